//! What a cached token is filed under: a hash of everything that the answer depends on.
//!
//! No secret is part of it in the clear, and the client's secret not at all: another secret for the same client gets
//! the same token or none.

use aws_lc_rs::digest::{Context, SHA256};

use http::HeaderMap;

use crate::ask::{Ask, Endpoint};
use crate::sign_in::{SignIn, Wanted};
use crate::subject::Subject;

/// The name of a cache entry, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// `believed` is who may say that they are the server: what somebody answered whom only another configuration
    /// believes is nothing to this one.
    pub(crate) fn of(
        ask: &Ask,
        subject: &Subject,
        headers: &HeaderMap,
        believed: Option<&[[Vec<u8>; 2]]>,
    ) -> Self {
        let mut hash = Hash::new("obol token cache 3", believed);
        match &ask.endpoint {
            Endpoint::Issuer(issuer) => hash.text("issuer").text(issuer),
            Endpoint::Token(url) => hash.text("token endpoint").text(url.as_str()),
        };
        hash.list(ask.client.id.as_slice());
        hash.text(&ask.subject_token_type).list(ask.requested_token_type.as_slice());
        hash.list(&ask.audience).list(&ask.resource).list(&ask.scope).list(ask.connector_id.as_slice());
        hash.text(&subject.identity).headers(headers);
        hash.finish()
    }

    /// Of a sign-in. Browser and device lead to the same session of the same person, so they share it.
    pub(crate) fn of_sign_in(ask: &SignIn, believed: Option<&[[Vec<u8>; 2]]>) -> Self {
        let mut hash = Hash::new("obol session cache 1", believed);
        hash.text(&ask.issuer).list(ask.client.id.as_slice()).list(&ask.scope);
        hash.text(match ask.wanted {
            Wanted::IdToken => "id token",
            Wanted::AccessToken => "access token",
        });
        hash.list(&ask.way.who());
        hash.list(&ask.extra.iter().flat_map(|(name, value)| [name, value]).collect::<Vec<_>>());
        hash.headers(&ask.headers);
        hash.finish()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first byte, for what is shared among entries.
    pub(crate) fn bucket(&self) -> &str {
        self.0.get(..2).unwrap_or("00")
    }
}

struct Hash(Context);

impl Hash {
    fn new(what: &str, believed: Option<&[[Vec<u8>; 2]]>) -> Self {
        let mut hash = Self(Context::new(&SHA256));
        hash.text(what);
        match believed {
            None => hash.text("anybody"),
            Some(authorities) => hash.text("authorities").list(authorities.as_flattened()),
        };
        hash
    }

    fn finish(self) -> Key {
        Key(self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Every text goes in with its length, so that no two sequences of texts look the same.
    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn list(&mut self, items: &[impl AsRef<[u8]>]) -> &mut Self {
        self.0.update(&u64::try_from(items.len()).unwrap_or(u64::MAX).to_be_bytes());
        for item in items {
            self.bytes(item.as_ref());
        }
        self
    }

    fn headers(&mut self, headers: &HeaderMap) -> &mut Self {
        let pairs = headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
        self.list(&pairs.collect::<Vec<_>>())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use ambient::Secret;

    use super::*;
    use crate::ask::ClientAuth;

    #[test]
    fn everything_that_matters_counts_and_secrets_do_not() {
        let subject = |token: &str| Subject::new(&Secret::from(token), "a test").unwrap();
        let ask = Ask {
            endpoint: Endpoint::Issuer("https://o.example".into()),
            client: ClientAuth { id: Some("c".into()), secret: Some(Secret::from("s")) },
            subject_token_type: "urn:s".into(),
            requested_token_type: None,
            audience: vec!["a".into(), "b".into()],
            resource: Vec::new(),
            scope: Vec::new(),
            connector_id: None,
        };
        let ca = |name: &str| [name.as_bytes().to_vec(), b"key".to_vec()];
        let believed = [ca("one"), ca("two")];
        let of = |ask: &Ask, subject: &Subject| Key::of(ask, subject, &HeaderMap::new(), Some(&believed));
        let base = of(&ask, &subject("one"));
        assert_eq!(base.as_str().len(), 64);
        let changes: [fn(&mut Ask); 9] = [
            |ask| ask.endpoint = Endpoint::Issuer("https://p.example".into()),
            |ask| ask.endpoint = Endpoint::Token("https://o.example".parse().unwrap()),
            |ask| ask.client.id = None,
            |ask| ask.subject_token_type = "urn:t".into(),
            |ask| ask.requested_token_type = Some("urn:t".into()),
            |ask| ask.audience = vec!["ab".into()],
            |ask| (ask.audience, ask.resource) = (vec!["a".into()], vec!["b".into()]),
            |ask| ask.scope = vec!["openid".into()],
            |ask| ask.connector_id = Some("k".into()),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut other = ask.clone();
            change(&mut other);
            assert_ne!(of(&other, &subject("one")), base, "change {at}");
        }
        assert_ne!(of(&ask, &subject("two")), base);
        for others in [None, Some(&[][..]), Some(&[ca("one")]), Some(&[ca("one"), ca("three")])] {
            assert_ne!(Key::of(&ask, &subject("one"), &HeaderMap::new(), others), base);
        }
        let tenant = HeaderMap::from_iter([(http::header::FROM, http::HeaderValue::from_static("a"))]);
        assert_ne!(Key::of(&ask, &subject("one"), &tenant, Some(&believed)), base);
        let mut other = ask;
        other.client.secret = None;
        assert_eq!(of(&other, &subject("one")), base);
    }
}
