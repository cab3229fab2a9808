//! Step 3, impersonate: as whom a request goes on. From here there are two ways and no third.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::bearer::Bearer;
use crate::identity::KubeUser;
use crate::refusal::Refusal;

/// All that the last step may do.
#[derive(Debug)]
pub(crate) enum Passage {
    /// With the proxy's credential, as this user.
    Impersonate(KubeUser),
    /// With the caller's own token, if there is one, and nothing of the proxy's.
    AsIs(Option<Bearer>),
}

/// What the operator adds to every impersonated user.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// Extra fields with fixed values (`--extra-user-headers`).
    pub fixed: Vec<(String, Vec<String>)>,
    /// Adds the caller's address as `remote-client-ip`.
    pub client_ip: bool,
}

impl Extras {
    /// The keys of the fields that are added.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let client_ip = self.client_ip.then_some(CLIENT_IP);
        self.fixed.iter().map(|(key, _)| key.as_str()).chain(client_ip)
    }

    /// Adds what the account may say of it.
    pub(crate) fn add_to(&self, user: &mut KubeUser, peer: IpAddr, rights: &Rights) {
        user.extra.extend(self.fixed.iter().filter(|(key, _)| rights.may_say(key)).cloned());
        if self.client_ip && rights.may_say(CLIENT_IP) {
            user.extra.push((CLIENT_IP.into(), vec![peer.to_string()]));
        }
    }
}

/// What the proxy's own account may impersonate besides users and groups. A header that it may not send would have the whole
/// request refused, so what is not here is left out; but never of what somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    /// UIDs.
    pub uid: bool,
    /// Extra fields of any key.
    pub every_extra: bool,
    /// Extra fields of these keys.
    pub extras: BTreeSet<String>,
}

impl Rights {
    /// What is known before anybody was asked: the operator's own fields were asked for, so they are sent.
    pub fn of_configured(extras: &Extras) -> Self {
        Self { extras: extras.keys().map(str::to_owned).collect(), ..Self::default() }
    }

    /// Whether an extra field of this key may be sent.
    pub(crate) fn may_say(&self, key: &str) -> bool {
        self.every_extra || self.extras.contains(key)
    }

    pub(crate) fn narrow(&self, user: &mut KubeUser) {
        if !self.uid {
            user.uid.clear();
        }
        user.extra.retain(|(key, _)| self.may_say(key));
    }
}

/// Writes `user` into headers that hold nothing of the kind yet.
pub(crate) fn write(user: &KubeUser, headers: &mut HeaderMap) -> Result<(), Refusal> {
    headers.insert(USER, value(&user.name)?);
    if !user.uid.is_empty() {
        headers.insert(UID, value(&user.uid)?);
    }
    for group in &user.groups {
        headers.append(GROUP, value(group)?);
    }
    for (key, values) in &user.extra {
        let name = HeaderName::try_from(format!("impersonate-extra-{}", escaped(key)))
            .map_err(|_| Refusal::Unheadable)?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    Ok(())
}

/// Writes a token into headers that hold none yet.
pub(crate) fn authorize(token: &str, headers: &mut HeaderMap) -> Result<(), Refusal> {
    let value = Bearer::header(token).ok_or_else(|| Refusal::NoCredential("it is not printable".into()))?;
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// Names may be any UTF-8; the API server takes the bytes as they are.
fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| Refusal::Unheadable)
}

/// An extra key as client-go writes it: bytes that a header name cannot hold, and `%`, as `%xx`.
fn escaped(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len()), |mut out, byte| {
        if byte != b'%' && (byte.is_ascii_alphanumeric() || TOKEN_PUNCTUATION.contains(&byte)) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
        out
    })
}

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const UID: HeaderName = HeaderName::from_static("impersonate-uid");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// kube-oidc-proxy's name for the caller's address.
pub(crate) const CLIENT_IP: &str = "remote-client-ip";

/// RFC 9110 section 5.6.2.
const TOKEN_PUNCTUATION: &[u8] = b"!#$&'*+-.^_`|~";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_written_as_client_go_writes_it() {
        let user = KubeUser {
            name: "oidc:jäne".into(),
            uid: "u1".into(),
            groups: vec!["a".into(), "b, c".into()],
            extra: vec![("example.org/scope%".into(), vec!["x".into(), "y".into()])],
        };
        let mut headers = HeaderMap::new();
        write(&user, &mut headers).unwrap();
        let lines = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect::<Vec<_>>();
        assert_eq!(
            lines,
            [
                ("impersonate-user", "oidc:jäne".as_bytes()),
                ("impersonate-uid", b"u1"),
                ("impersonate-group", b"a"),
                ("impersonate-group", b"b, c"),
                ("impersonate-extra-example.org%2fscope%25", b"x"),
                ("impersonate-extra-example.org%2fscope%25", b"y"),
            ]
        );
    }

    #[test]
    fn what_would_end_a_line_is_not_written() {
        let user = KubeUser { name: "a\r\nImpersonate-Group: b".into(), ..KubeUser::default() };
        assert!(write(&user, &mut HeaderMap::new()).is_err());
    }

    #[test]
    fn extras_are_added_only_when_configured() {
        let mut user = KubeUser { name: "a".into(), ..KubeUser::default() };
        let peer = IpAddr::from([192, 0, 2, 7]);
        let every = Rights { every_extra: true, ..Rights::default() };
        Extras::default().add_to(&mut user, peer, &every);
        assert!(user.extra.is_empty());
        let extras = Extras { fixed: vec![("k".into(), vec!["v".into()])], client_ip: true };
        extras.add_to(&mut user, peer, &Rights::default());
        assert!(user.extra.is_empty());
        extras.add_to(&mut user, peer, &every);
        assert_eq!(
            user.extra,
            [("k".into(), vec!["v".into()]), ("remote-client-ip".to_owned(), vec!["192.0.2.7".into()])]
        );
    }

    #[test]
    fn what_the_account_may_not_send_is_left_out() {
        let whole = KubeUser {
            name: "a".into(),
            uid: "7".into(),
            groups: vec!["g".into()],
            extra: vec![("k".into(), vec!["v".into()]), ("l".into(), vec!["w".into()])],
        };
        let narrowed = |rights: Rights| {
            let mut user = whole.clone();
            rights.narrow(&mut user);
            (user.uid, user.extra.len(), user.groups.len())
        };
        assert_eq!(narrowed(Rights::default()), (String::new(), 0, 1));
        assert_eq!(
            narrowed(Rights { extras: ["l".into()].into(), ..Rights::default() }),
            (String::new(), 1, 1)
        );
        assert_eq!(
            narrowed(Rights { uid: true, every_extra: true, ..Rights::default() }),
            ("7".into(), 2, 1)
        );
    }
}
