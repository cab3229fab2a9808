//! Where the keys of a workload issuer come from: its discovery document, a key set at a URL, or keys written down.

use std::sync::Arc;

use config::{Field, Fields, HttpUrl, Kind, Read};
use outbound::{Bearer, Credential, TokenFile};
use token::{KeySet, Keys, Source};
use url::Url;

use crate::root_ca::Machine;
use crate::{Given, root_ca};

/// The keys that say where keys are.
struct Written {
    discovery: Option<HttpUrl>,
    jwks_url: Option<HttpUrl>,
    inline: Option<Inline>,
    file: Option<KeysFile>,
    bearer_file: Option<String>,
}

/// Reads them. Keys that are written down or named by their own URL need no discovery; otherwise the issuer is asked.
pub(crate) fn read(fields: &mut Fields<'_>, issuer: Option<&HttpUrl>, given: &Given<'_>) -> Option<Keys> {
    let trust = root_ca::trust(fields, Machine::Goes);
    let written = Written {
        discovery: fields.optional("discoveryURL"),
        jwks_url: fields.optional("jwksURL"),
        inline: fields.optional("jwks"),
        file: fields.optional("keysFile"),
        bearer_file: fields.optional("bearerTokenFile"),
    };
    let ways = [
        written.discovery.is_some(),
        written.jwks_url.is_some(),
        written.inline.is_some(),
        written.file.is_some(),
    ];
    if ways.into_iter().filter(|there| *there).count() > 1 {
        fields.error("names several sources of keys", "keep one of discoveryURL, jwksURL, jwks and keysFile");
        return None;
    }
    if let Some(set) = written.inline.map(|inline| inline.0).or(written.file.map(|file| file.0)) {
        return Some(Keys::fixed(set));
    }
    let (source, url) = source(fields, written.discovery, written.jwks_url, issuer)?;
    if url.scheme() == "http" {
        fields.warning("fetches keys by http: anybody on the way can replace them", "use https");
    }
    let credential = written.bearer_file.map(|path| credential(&url, path, given));
    let client = given
        .context
        .client(trust, credential)
        .map_err(|error| fields.error(format!("cannot set up TLS ({error})"), "mend rootCAs"))
        .ok()?;
    Some(Keys::remote(given.context.remote_keys(source, client)))
}

fn source(
    fields: &Fields<'_>,
    discovery: Option<HttpUrl>,
    jwks_url: Option<HttpUrl>,
    issuer: Option<&HttpUrl>,
) -> Option<(Source, Url)> {
    if let Some(url) = jwks_url {
        return Some((Source::Jwks(url.url().clone()), url.url().clone()));
    }
    let Some(issuer) = issuer else {
        if discovery.is_some() {
            fields.unfit("issuer", "write the issuer that the discovery document must be of");
        } else if !fields.was_there("issuer") {
            fields.error(
                "says neither who the issuer is nor where its keys are",
                "add issuer, jwksURL, jwks or keysFile",
            );
        }
        return None;
    };
    match discovery {
        Some(url) => {
            let issuers = vec![Arc::from(issuer.as_str())];
            Some((Source::Discovery { url: url.url().clone(), issuers }, url.url().clone()))
        }
        None => Some((Source::of_issuer(issuer.as_str()).ok()?, issuer.url().clone())),
    }
}

/// A token that goes to the origin it is for and nowhere else.
fn credential(url: &Url, path: String, given: &Given<'_>) -> Credential {
    let file = TokenFile::new(path, Arc::clone(&given.context.clock));
    Credential {
        origin: url.clone(),
        bearer: Some(Bearer::File(Arc::new(file))),
        headers: http::HeaderMap::new(),
    }
}

/// A key set in the configuration itself: as a mapping, or as text.
struct Inline(KeySet);

impl Read for Inline {
    const KIND: Kind = Kind::Any;

    fn read(field: &Field<'_>) -> Option<Self> {
        let raw = match serde_json::Value::read(field)? {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        key_set(field, &raw).map(Self)
    }
}

/// A file with PEM public keys or a JWK Set; read once.
struct KeysFile(KeySet);

impl Read for KeysFile {
    const KIND: Kind = Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let path = field.string()?;
        match std::fs::read_to_string(&path) {
            Ok(raw) => key_set(field, &raw).map(Self),
            Err(error) => {
                field.error(format!("cannot be read ({error})"), "name a file with public keys");
                None
            }
        }
    }
}

/// A key set that somebody wrote down: one without a usable key is a mistake.
fn key_set(field: &Field<'_>, raw: &str) -> Option<KeySet> {
    let read = if raw.trim_start().starts_with('{') {
        KeySet::from_jwks(raw.as_bytes())
    } else {
        KeySet::from_pem(raw)
    };
    let set = read
        .map_err(|error| {
            field.error(
                format!("holds no keys that can be used ({error})"),
                "write a JWK Set, or PEM public keys",
            );
        })
        .ok()?;
    let skipped = set.skipped().first().map(ToString::to_string);
    match skipped {
        Some(why) if set.keys().is_empty() => {
            field.error(format!("holds no key that can be used ({why})"), "write public signature keys");
            return None;
        }
        None if set.keys().is_empty() => {
            field.error("holds no key", "write public signature keys");
            return None;
        }
        Some(why) => field.warning(format!("holds a key that cannot be used ({why})"), "remove it"),
        None => {}
    }
    Some(set)
}
