//! `authproxy`: a proxy before us signs people in and says by headers who they are (dex.md 3.12).
//!
//! Whoever reaches us can send headers, so they count only on connections from `trustedProxies`; Dex believes anybody. The
//! proxy must guard `/callback/{id}` and must remove these headers from what it is sent: one that comes twice is refused. A
//! proxy that sets one header lets the others through as they came, so only those are read that the configuration names.

use std::net::IpAddr;
use std::sync::Arc;

use ambient::Secret;
use config::{Fields, KeyStyle, Network};
use http::{HeaderMap, HeaderName};
use provider::connector::{
    Connector, Flow, Identity, Inbound, ProxiedFlow, SignedIn, SubjectAudiences, UpstreamError,
};

use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "authproxy", keys: KeyStyle::Dex, read, file: file!() };

struct AuthProxy {
    trusted: Vec<Network>,
    user: HeaderName,
    user_id: Option<HeaderName>,
    user_name: Option<HeaderName>,
    email: Option<HeaderName>,
    groups: Option<HeaderName>,
    separator: String,
    static_groups: Vec<String>,
    email_verified: bool,
}

fn read(fields: &mut Fields<'_>, _: &Given<'_>) -> Option<Built> {
    let trusted: Vec<Network> = fields.or_default("trustedProxies");
    let mut named = |key: &str| header(fields, key);
    let user = named("userHeader").map(|user| user.unwrap_or(HeaderName::from_static("x-remote-user")));
    let user_id = named("userIDHeader");
    let user_name = named("userNameHeader");
    let email = named("emailHeader");
    let groups = named("groupHeader");
    let separator: String = fields.or_default("groupHeaderSeparator");
    let static_groups: Vec<String> = fields.or_default("staticGroups");
    let email_verified = fields.or("emailVerified", false);
    if trusted.is_empty() {
        let what = "has no trustedProxies: nobody's headers are believed, and nobody can sign in through it";
        let instead = "write trustedProxies: [] with the networks of your proxies, and the keys of the headers that they set";
        fields.warning(what, instead);
    }
    let connector = AuthProxy {
        trusted,
        user: user?,
        user_id: user_id?,
        user_name: user_name?,
        email: email?,
        groups: groups?,
        separator: if separator.is_empty() { String::from(",") } else { separator },
        static_groups,
        email_verified,
    };
    Some(Built { connector: Arc::new(connector), audiences: SubjectAudiences::AnyOf(Arc::from([])) })
}

/// `Some(None)`: it is not written. `None`: it is no header's name.
fn header(fields: &mut Fields<'_>, key: &str) -> Option<Option<HeaderName>> {
    let Some(written) = fields.optional::<String>(key).filter(|name| !name.is_empty()) else {
        return Some(None);
    };
    let name: Option<HeaderName> = written.parse().ok();
    if name.is_none() {
        fields.error(
            format!("has {key}: {written:?}, which is no header's name"),
            "write one such as X-Remote-User",
        );
    }
    name.map(Some)
}

impl AuthProxy {
    fn trusts(&self, connection: Option<IpAddr>) -> bool {
        connection.is_some_and(|ip| self.trusted.iter().any(|network| network.contains(ip)))
    }

    fn groups(&self, headers: &HeaderMap) -> Result<Vec<String>, UpstreamError> {
        let listed = optional(headers, self.groups.as_ref())?.unwrap_or_default();
        let named = listed.split(self.separator.as_str()).map(str::trim).filter(|name| !name.is_empty());
        Ok(named.map(str::to_owned).chain(self.static_groups.iter().cloned()).collect())
    }
}

impl Connector for AuthProxy {
    fn flow(&self) -> Flow<'_> {
        Flow::Proxied(self)
    }
}

impl ProxiedFlow for AuthProxy {
    fn arrive(&self, inbound: &Inbound<'_>) -> Result<SignedIn, UpstreamError> {
        if !self.trusts(inbound.connection) {
            let from = inbound
                .connection
                .map_or_else(|| String::from("somewhere"), |ip| ip.to_canonical().to_string());
            return Err(UpstreamError::Denied(format!("{from} is not among trustedProxies")));
        }
        let headers = inbound.headers;
        let user = one(headers, &self.user)?
            .ok_or_else(|| UpstreamError::Invalid(format!("the proxy sent no {}", self.user)))?;
        let other = |name: &Option<HeaderName>| optional(headers, name.as_ref());
        let identity = Identity {
            user_id: other(&self.user_id)?.unwrap_or(user).to_owned(),
            username: user.to_owned(),
            preferred_username: other(&self.user_name)?.unwrap_or_default().to_owned(),
            email: other(&self.email)?.unwrap_or(user).to_owned(),
            email_verified: self.email_verified,
            groups: self.groups(headers)?,
        };
        Ok(SignedIn { identity, kept: Secret::default() })
    }
}

/// What a header says. Of two with one name, one may be the browser's own.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, UpstreamError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(UpstreamError::Invalid(format!("{name} came twice; the proxy must replace it")));
    }
    let text = value.map(|value| std::str::from_utf8(value.as_bytes())).transpose();
    let text = text.map_err(|_| UpstreamError::Invalid(format!("{name} is not UTF-8")))?;
    Ok(text.map(str::trim).filter(|text| !text.is_empty()))
}

/// What a header says that need not be configured.
fn optional<'h>(headers: &'h HeaderMap, name: Option<&HeaderName>) -> Result<Option<&'h str>, UpstreamError> {
    name.map_or(Ok(None), |name| one(headers, name))
}
