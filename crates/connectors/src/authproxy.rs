//! `authproxy`: a proxy before us signs people in and says by headers who they are (dex.md 3.12).
//!
//! Whoever reaches us can send headers, so they count only on connections from `trustedProxies`; Dex believes anybody. The
//! proxy must guard `/callback/{id}` and must remove these headers from what it is sent: one that comes twice is refused.

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
    user_id: HeaderName,
    user_name: HeaderName,
    email: HeaderName,
    groups: HeaderName,
    separator: String,
    static_groups: Vec<String>,
    email_verified: bool,
}

fn read(fields: &mut Fields<'_>, _: &Given<'_>) -> Option<Built> {
    let trusted: Vec<Network> = fields.or_default("trustedProxies");
    let mut named = |key: &str, default: &'static str| header(fields, key, default);
    let user = named("userHeader", "x-remote-user");
    let user_id = named("userIDHeader", "x-remote-user-id");
    let user_name = named("userNameHeader", "x-remote-user-name");
    let email = named("emailHeader", "x-remote-user-email");
    let groups = named("groupHeader", "x-remote-group");
    let separator: String = fields.or_default("groupHeaderSeparator");
    let static_groups: Vec<String> = fields.or_default("staticGroups");
    let email_verified = fields.or("emailVerified", false);
    if trusted.is_empty() {
        let what = "has no trustedProxies: nobody's headers are believed, and nobody can sign in through it";
        fields.warning(what, "write trustedProxies: [] with the networks of your proxies");
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

fn header(fields: &mut Fields<'_>, key: &str, default: &'static str) -> Option<HeaderName> {
    let Some(written) = fields.optional::<String>(key).filter(|name| !name.is_empty()) else {
        return Some(HeaderName::from_static(default));
    };
    let name = written.parse().ok();
    if name.is_none() {
        fields.error(
            format!("has {key}: {written:?}, which is no header's name"),
            "write one such as X-Remote-User",
        );
    }
    name
}

impl AuthProxy {
    fn trusts(&self, connection: Option<IpAddr>) -> bool {
        connection.is_some_and(|ip| self.trusted.iter().any(|network| network.contains(ip)))
    }

    fn groups(&self, headers: &HeaderMap) -> Result<Vec<String>, UpstreamError> {
        let listed = one(headers, &self.groups)?.unwrap_or_default();
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
        let other = |name| one(headers, name).map(|value| value.unwrap_or(user).to_owned());
        let identity = Identity {
            user_id: other(&self.user_id)?,
            username: user.to_owned(),
            preferred_username: one(headers, &self.user_name)?.unwrap_or_default().to_owned(),
            email: other(&self.email)?,
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
