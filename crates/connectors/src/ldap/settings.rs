//! The keys of `config` (dex.md 3.2). What Dex only finds out at a login is a fault at start.

use std::collections::BTreeSet;
use std::sync::Arc;

use ambient::Secret;
use config::{Base64, Field, Fields, Kind, Node, Read, Value};
use outbound::{Identity, Protocols, Roots, Trust};
use rustls::ClientConfig;
use wire::ldap::{Filter, Scope, is_attribute};

pub(super) struct Settings {
    pub(super) server: Server,
    /// Both empty: searches are anonymous.
    pub(super) bind_dn: String,
    pub(super) bind_pw: Secret<String>,
    pub(super) prompt: String,
    pub(super) users: Users,
    pub(super) groups: Option<Groups>,
    /// Addresses of the directory count as verified (weakness K5: in Dex they always do).
    pub(super) email_verified: bool,
}

/// Where the directory is, and how it is talked to.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) tls: Arc<ClientConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// Passwords go in clear.
    None,
    /// TLS after a first message in clear.
    StartTls,
    /// TLS from the first byte.
    Ldaps,
}

/// `userSearch`
pub(super) struct Users {
    pub(super) base: String,
    pub(super) filters: Vec<Filter>,
    /// A name is looked for in any of these.
    pub(super) names: Vec<String>,
    pub(super) scope: Scope,
    pub(super) id: String,
    pub(super) email: String,
    pub(super) name: Option<String>,
    pub(super) preferred_username: Option<String>,
    /// The address is made of the name and this, instead of read.
    pub(super) email_suffix: Option<String>,
}

/// `groupSearch`
pub(super) struct Groups {
    pub(super) base: String,
    pub(super) filters: Vec<Filter>,
    pub(super) scope: Scope,
    pub(super) name: String,
    pub(super) matchers: Vec<Matcher>,
}

/// How a group says that somebody, or another group, belongs to it.
pub(super) struct Matcher {
    pub(super) user: String,
    pub(super) group: String,
    pub(super) recursion: Option<String>,
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let server = Server::read(fields);
        let bind_dn: String = fields.or_default("bindDN");
        let bind_pw: Secret<String> = fields.or_default("bindPW");
        if bind_dn.is_empty() != bind_pw.expose().is_empty() {
            fields.error(
                "has only one of bindDN and bindPW",
                "write both; without either, searches are anonymous",
            );
        }
        let prompt: String = fields.or_default("usernamePrompt");
        let users = Users::read(fields.group("userSearch"));
        let groups = Groups::read(fields.group("groupSearch"));
        let email_verified = fields.or("emailVerified", false);
        fields.unsupported(&["kerberos"]);
        Some(Self {
            server: server?,
            bind_dn,
            bind_pw,
            prompt: if prompt.is_empty() { String::from("Username") } else { prompt },
            users: users?,
            groups: groups.ok()?,
            email_verified,
        })
    }

    /// What is asked of a user's entry.
    pub(super) fn user_attributes(&self) -> Vec<String> {
        let users = &self.users;
        let of_groups =
            self.groups.iter().flat_map(|groups| groups.matchers.iter().map(|matcher| &matcher.user));
        let named: BTreeSet<&String> = [&users.id, &users.email]
            .into_iter()
            .chain(&users.name)
            .chain(&users.preferred_username)
            .chain(of_groups)
            .filter(|name| !is_dn(name))
            .collect();
        let state = super::account::ATTRIBUTES.iter().map(|name| (*name).to_owned());
        named.into_iter().cloned().chain(state).collect()
    }
}

impl Server {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let plain = fields.or("insecureNoSSL", false);
        let start_tls = fields.or("startTLS", false);
        let security = match (plain, start_tls) {
            (true, _) => Security::None,
            (false, true) => Security::StartTls,
            (false, false) => Security::Ldaps,
        };
        if security == Security::None {
            let what = "talks to the directory in clear: whoever listens learns the passwords";
            fields.warning(what, "remove insecureNoSSL; use LDAPS, or startTLS: true");
        }
        let host: Option<String> = fields.required("host");
        let trust = trust(fields);
        let (host, port) = address(&host?, security).or_else(|| {
            fields.error("has a host that cannot be read", "write host, or host:port");
            None
        })?;
        let tls = trust?.client_config(Protocols::Raw);
        let tls = tls
            .map_err(|error| fields.error(format!("cannot set up TLS ({error})"), "mend the certificates"));
        Some(Self { host, port, security, tls: tls.ok()? })
    }
}

/// Whose certificates count: those of `rootCAData`, else of `rootCA`, and then no others.
fn trust(fields: &mut Fields<'_>) -> Option<Trust> {
    let skip_verify = fields.or("insecureSkipVerify", false);
    let inline: Option<Base64> = fields.optional("rootCAData");
    let file = PemFile::read(fields, "rootCA");
    let (certificate, key) = (PemFile::read(fields, "clientCert"), PemFile::read(fields, "clientKey"));
    let identity = match (certificate?, key?) {
        (Some(chain_pem), Some(key)) => Some(Identity { chain_pem, key_pem: Secret::new(key) }),
        (None, None) => None,
        _ => {
            fields.error("has only one of clientCert and clientKey", "write both, or neither");
            return None;
        }
    };
    let roots = inline.map(|Base64(pem)| pem).filter(|pem| !pem.is_empty()).or(file?);
    Some(Trust { roots: roots.map_or(Roots::System, Roots::Only), identity, skip_verify, ..Trust::default() })
}

struct PemFile;

impl PemFile {
    /// The file that `key` names, if it names one; outer `None`: it cannot be read.
    fn read(fields: &mut Fields<'_>, key: &str) -> Option<Option<Vec<u8>>> {
        let Some(path) = fields.optional::<String>(key).filter(|path| !path.is_empty()) else {
            return Some(None);
        };
        match std::fs::read(&path) {
            Ok(pem) => Some(Some(pem)),
            Err(error) => {
                fields.error(format!("has a {key} that cannot be read ({error})"), "name a PEM file");
                None
            }
        }
    }
}

/// Host and port; 636, or 389 where the connection begins in clear.
fn address(written: &str, security: Security) -> Option<(String, u16)> {
    let default = if security == Security::Ldaps { 636 } else { 389 };
    let (host, port) = match written.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        }
        // More than one colon: an IPv6 address without brackets.
        None if written.matches(':').count() > 1 => (written, ""),
        None => written.split_once(':').unwrap_or((written, "")),
    };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    let sound = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@[]".contains(c));
    sound.then(|| (host.to_owned(), port))
}

impl Users {
    fn read(mut fields: Fields<'_>) -> Option<Self> {
        let base: Option<String> = fields.required("baseDN");
        let filters = filters(&mut fields);
        let names: Option<Names> = fields.required("username");
        let users = Self {
            base: base.clone().unwrap_or_default(),
            filters: filters.clone().unwrap_or_default(),
            names: names.as_ref().map(|names| names.0.clone()).unwrap_or_default(),
            scope: scope(&mut fields),
            id: attribute(&mut fields, "idAttr").unwrap_or_else(|| String::from("uid")),
            email: attribute(&mut fields, "emailAttr").unwrap_or_else(|| String::from("mail")),
            name: attribute(&mut fields, "nameAttr"),
            preferred_username: attribute(&mut fields, "preferredUsernameAttr"),
            email_suffix: fields.optional("emailSuffix").filter(|suffix: &String| !suffix.is_empty()),
        };
        if base.as_ref().is_some_and(String::is_empty) {
            fields.error("has an empty baseDN", "write where the users are");
        }
        if users.email_suffix.is_some() && users.name.is_none() {
            fields.error(
                "has an emailSuffix without nameAttr: every address would be the same",
                "add nameAttr",
            );
        }
        fields.finish();
        base?;
        filters?;
        names.map(|_| users)
    }
}

impl Groups {
    /// `Ok(None)`: groups are not looked for.
    fn read(mut fields: Fields<'_>) -> Result<Option<Self>, ()> {
        let base: String = fields.or_default("baseDN");
        let filters = filters(&mut fields);
        let scope = scope(&mut fields);
        let name = attribute(&mut fields, "nameAttr");
        let legacy = Matcher::read(&mut fields);
        let elements = fields.elements("userMatchers");
        let listed: Vec<_> = elements
            .iter()
            .filter_map(|element| {
                let mut fields = element.group();
                let matcher = Matcher::read(&mut fields);
                fields.finish();
                matcher
            })
            .collect();
        let matchers = if listed.is_empty() { legacy.into_iter().collect() } else { listed };
        if !base.is_empty() && name.is_none() {
            fields.error("has no nameAttr", "write which attribute names a group");
        }
        if !base.is_empty() && matchers.is_empty() {
            fields.warning("has no userMatchers: nobody will be in any group", "add userMatchers");
        }
        fields.finish();
        let filters = filters.ok_or(())?;
        if base.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { base, filters, scope, name: name.ok_or(())?, matchers }))
    }
}

impl Matcher {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user = attribute(fields, "userAttr");
        let group = attribute(fields, "groupAttr");
        let recursion = attribute(fields, "recursionGroupAttr");
        if user.is_some() != group.is_some() {
            fields.error("has only one of userAttr and groupAttr", "write both");
        }
        Some(Self { user: user?, group: group?, recursion })
    }
}

fn scope(fields: &mut Fields<'_>) -> Scope {
    fields.one_of("scope", &[("sub", Scope::Sub), ("one", Scope::One)]).unwrap_or(Scope::Sub)
}

/// `filter`; empty means none, one that cannot be read is not none.
fn filters(fields: &mut Fields<'_>) -> Option<Vec<Filter>> {
    let text: String = fields.or_default("filter");
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let instead = "write it as in RFC 4515: (objectClass=person)";
    Filter::parse_list(&text).map_err(|why| fields.error(format!("has a filter that {why}"), instead)).ok()
}

fn attribute(fields: &mut Fields<'_>, key: &str) -> Option<String> {
    let name = fields.optional::<String>(key).filter(|name| !name.is_empty())?;
    if !is_attribute(&name) {
        fields.error(format!("has {key}: {name:?}, which names no attribute"), "write one name");
        return None;
    }
    Some(name)
}

/// What a section calls an entry's own name.
pub(super) fn is_dn(attribute: &str) -> bool {
    attribute.eq_ignore_ascii_case("dn")
}

/// `username`: one attribute, or a list of them.
struct Names(Vec<String>);

impl Read for Names {
    const KIND: Kind = Kind::Any;

    fn read(field: &Field<'_>) -> Option<Self> {
        let names: Vec<String> = match field.node() {
            Node { value: Value::List(_), .. } => Vec::read(field)?,
            _ => vec![field.string()?],
        };
        if names.is_empty() || !names.iter().all(|name| is_attribute(name)) {
            field.error("names no attribute", "write the attribute that people sign in with, such as uid");
            return None;
        }
        Some(Self(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_follows_from_how_the_connection_begins() {
        for (written, security, want) in [
            ("ldap.example", Security::Ldaps, Some(("ldap.example", 636))),
            ("ldap.example", Security::None, Some(("ldap.example", 389))),
            ("ldap.example", Security::StartTls, Some(("ldap.example", 389))),
            ("ldap.example:1636", Security::Ldaps, Some(("ldap.example", 1636))),
            ("[2001:db8::1]:1636", Security::Ldaps, Some(("2001:db8::1", 1636))),
            ("[2001:db8::1]", Security::Ldaps, Some(("2001:db8::1", 636))),
            ("2001:db8::1", Security::None, Some(("2001:db8::1", 389))),
            ("", Security::Ldaps, None),
            (":636", Security::Ldaps, None),
            ("a:port", Security::Ldaps, None),
            ("[::1]636", Security::Ldaps, None),
            ("ldaps://a", Security::Ldaps, None),
            ("a/b", Security::Ldaps, None),
        ] {
            let want = want.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(address(written, security), want, "{written}");
        }
    }
}
