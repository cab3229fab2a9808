//! `jwt[]`: one issuer, whom its tokens are for, and how they become users.

use std::collections::HashSet;
use std::sync::Arc;

use config::{Field, Fields};
use outbound::{Protocols, Trust};
use token::{Alg, AlgSet};
use url::Url;

use super::{Seen, mappings, rules, text};
use crate::issuers::IssuerSpec;

/// Reads an entry. `None`: it cannot be used, and the faults say why.
pub(super) fn read(entry: &Field<'_>, seen: &mut Seen) -> Option<IssuerSpec> {
    let mut fields = entry.group();
    let mut issuer = fields.group("issuer");
    let url = read_url(&mut issuer, seen);
    let discovery = read_discovery(&mut issuer, url.as_deref(), seen);
    let ca_pem = read_ca(&mut issuer);
    let audiences = read_audiences(&mut issuer);
    if let Some((kind, field)) = text(&mut issuer, "egressSelectorType") {
        match kind.as_str() {
            "controlplane" | "cluster" => {
                field.warning("has no effect: the proxy has no egress selector", "");
            }
            _ => field.error("egress selector must be either controlplane or cluster", ""),
        }
    }
    issuer.finish();
    let claims = rules::claims(&mut fields);
    let mapping = mappings::read(&mut fields, &claims);
    let users = rules::users(&mut fields);
    fields.finish();
    let mut mapping = mapping?;
    mapping.required = claims.required;
    mapping.claim_rules = claims.rules;
    mapping.user_rules = users;
    Some(IssuerSpec {
        url: url?.into(),
        discovery: discovery?,
        ca_pem: ca_pem?,
        identity: None,
        audiences: audiences?,
        algs: kubernetes_algs(),
        mapping: Arc::new(mapping),
    })
}

/// The nine of the API server: no EdDSA.
pub fn kubernetes_algs() -> AlgSet {
    Alg::ALL.into_iter().filter(|alg| *alg != Alg::EdDsa).fold(AlgSet::NONE, AlgSet::with)
}

fn read_url(issuer: &mut Fields<'_>, seen: &mut Seen) -> Option<String> {
    let Some((url, field)) = text(issuer, "url") else {
        issuer.missing("url", "write the issuer's URL");
        return None;
    };
    check_url(&url, &field)?;
    if !seen.issuers.insert(url.clone()) {
        field.error(format!("is a duplicate value: {url:?}"), "one entry an issuer");
    }
    Some(url)
}

/// `Some(None)`: the usual place.
#[expect(clippy::option_option, reason = "absent is no fault")]
fn read_discovery(issuer: &mut Fields<'_>, url: Option<&str>, seen: &mut Seen) -> Option<Option<Url>> {
    let Some((written, field)) = text(issuer, "discoveryURL") else { return Some(None) };
    if url.is_some_and(|url| url.trim_end_matches('/') == written.trim_end_matches('/')) {
        field.error("discoveryURL must be different from URL", "");
    }
    let discovery = check_url(&written, &field)?;
    if !seen.discovery.insert(written.clone()) {
        field.error(format!("is a duplicate value: {written:?}"), "one entry a discovery URL");
    }
    Some(Some(discovery))
}

fn check_url(written: &str, field: &Field<'_>) -> Option<Url> {
    let unfit = |what: &str| {
        field.error(format!("is an invalid value: {written:?}: {what}"), "write https://host/path");
    };
    let url = match Url::parse(written) {
        Ok(url) if url.has_host() => url,
        Ok(_) => {
            return {
                unfit("URL must have a host");
                None
            };
        }
        Err(error) => {
            return {
                unfit(&error.to_string());
                None
            };
        }
    };
    let faults = [
        (url.scheme() != "https", "URL scheme must be https"),
        (
            !url.username().is_empty() || url.password().is_some(),
            "URL must not contain a username or password",
        ),
        (written.contains('?'), "URL must not contain a query"),
        (written.contains('#'), "URL must not contain a fragment"),
    ];
    faults.iter().filter(|(found, _)| *found).for_each(|(_, what)| unfit(what));
    faults.iter().all(|(found, _)| !found).then_some(url)
}

#[expect(clippy::option_option, reason = "absent is no fault")]
fn read_ca(issuer: &mut Fields<'_>) -> Option<Option<Vec<u8>>> {
    let Some((pem, field)) = text(issuer, "certificateAuthority") else { return Some(None) };
    let pem = pem.into_bytes();
    match Trust::only(Some(pem.clone())).client_config(Protocols::Both) {
        Ok(_) => Some(Some(pem)),
        Err(error) => {
            field.error(format!("is an invalid value: <omitted>: {error}"), "paste the PEM text");
            None
        }
    }
}

fn read_audiences(issuer: &mut Fields<'_>) -> Option<Vec<Arc<str>>> {
    let elements = issuer.elements("audiences");
    if elements.is_empty() {
        issuer.missing("audiences", "at least one is required");
    }
    let mut seen = HashSet::new();
    let mut audiences = Vec::new();
    for element in &elements {
        match element.string() {
            Some(audience) if audience.is_empty() => element.error("is empty", "write an audience"),
            Some(audience) if !seen.insert(audience.clone()) => {
                element.error(format!("is a duplicate value: {audience:?}"), "");
            }
            Some(audience) => audiences.push(audience.into()),
            None => {}
        }
    }
    let policy = text(issuer, "audienceMatchPolicy");
    match &policy {
        Some((word, field)) if word != "MatchAny" => {
            field.error(
                format!("is an invalid value: {word:?}"),
                "audienceMatchPolicy must be empty or MatchAny",
            );
        }
        None if elements.len() > 1 => {
            issuer.missing(
                "audienceMatchPolicy",
                "audienceMatchPolicy must be MatchAny for multiple audiences",
            );
        }
        _ => {}
    }
    (!audiences.is_empty()).then_some(audiences)
}
