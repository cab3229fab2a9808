//! From an issuer to its endpoints (OpenID Connect Discovery section 4, RFC 8414 section 3.3).

use outbound::Request;
use token::{KeySet, Keys};
use url::{Host, Url};
use wire::discovery::Upstream;

use crate::error::{Error, shown};
use crate::flow::Exchanger;

/// A document, and the configured URL that named what stands in it.
#[derive(Clone)]
pub(crate) struct Discovered {
    pub(crate) document: Upstream,
    pub(crate) issuer: Url,
}

impl Exchanger {
    /// Reads the discovery document of `issuer`, which must repeat it byte for byte.
    pub(crate) async fn discover(&self, issuer: &str) -> Result<Discovered, Error> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let bad = |reason: String| Error::Discovery { url: url.clone(), reason };
        let parsed = |text: &str| Url::parse(text).map_err(|_| bad(format!("{text:?} is not a URL")));
        let (at, issuer_url) = (parsed(&url)?, parsed(issuer)?);
        refuse_plain(&at)?;
        let answer = self.send(|| Request::get(&at).cap(MAX_DOCUMENT)).await?;
        if answer.status != 200 {
            return Err(bad(format!("the server answered {}", answer.status.as_u16())));
        }
        // Read twice: once for one meaning, once for its members.
        wire::json::Object::parse(&answer.body).map_err(|e| bad(e.to_string()))?;
        let document: Upstream = serde_json::from_slice(&answer.body).map_err(|e| bad(e.to_string()))?;
        if document.issuer != issuer {
            return Err(bad(format!("it is of the issuer {:?}, not {issuer:?}", document.issuer)));
        }
        Ok(Discovered { document, issuer: issuer_url })
    }

    /// The keys that an issuer publishes.
    pub(crate) async fn keys(&self, found: &Discovered) -> Result<Keys, NoKeys> {
        let url = found.endpoint("jwks_uri", Some(&found.document.jwks_uri))?;
        let request = || Request::get(&url).named_by(Some(&found.issuer)).cap(token::MAX_KEY_SET);
        let answer = self.send(request).await.map_err(Error::Fetch)?;
        if answer.status != 200 {
            let reason = format!("its jwks_uri answered {}", answer.status.as_u16());
            return Err(Error::Discovery { url: found.document.issuer.clone(), reason }.into());
        }
        Ok(Keys::fixed(KeySet::from_jwks(&answer.body)?))
    }
}

impl Discovered {
    /// An endpoint that the document names. Nobody but its server may listen on the way to it.
    pub(crate) fn endpoint(&self, name: &str, named: Option<&str>) -> Result<Url, Error> {
        let bad = |reason: String| Error::Discovery { url: self.document.issuer.clone(), reason };
        let named = named.filter(|named| !named.is_empty());
        let named = named.ok_or_else(|| bad(format!("it names no {name}")))?;
        let url = Url::parse(named).map_err(|_| bad(format!("its {name} is not a URL")))?;
        refuse_plain(&url)?;
        Ok(url)
    }

    pub(crate) fn token_endpoint(&self) -> Result<Url, Error> {
        self.endpoint("token_endpoint", self.document.token_endpoint.as_deref())
    }
}

/// The issuer's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoKeys {
    /// Not fetched.
    #[error(transparent)]
    Fetch(#[from] Error),
    /// The key set is not one.
    #[error("the issuer's key set cannot be used: {0}")]
    Set(#[from] token::BadKeySet),
}

/// Tokens travel by https; by http only where nobody else can listen.
pub(crate) fn refuse_plain(url: &Url) -> Result<(), Error> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && loopback) {
        return Ok(());
    }
    Err(Error::Insecure { url: shown(url) })
}

/// Discovery documents stay below 16 KiB.
const MAX_DOCUMENT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback() {
        for (url, good) in [
            ("https://o.example/token", true),
            ("http://localhost:5556/dex", true),
            ("http://127.0.0.1:1/", true),
            ("http://[::1]/", true),
            ("http://o.example/", false),
            ("http://localhost.o.example/", false),
            ("ftp://localhost/", false),
        ] {
            assert_eq!(refuse_plain(&Url::parse(url).unwrap()).is_ok(), good, "{url}");
        }
    }
}
