//! Registered clients and how they prove who they are (RFC 6749 section 2.3).

use std::collections::HashMap;
use std::sync::Arc;

use ambient::Secret;
use base64::Engine as _;
use subtle::ConstantTimeEq as _;
use token::Alg;
use url::Url;
use wire::form::{Form, decode};
use wire::oauth::ErrorCode;

pub use crate::client_groups::GroupRules;
use crate::error::Refusal;

/// A client as it is configured (dex.md 2.3).
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`
    pub id: Arc<str>,
    /// Absent only for public clients.
    pub secret: Option<Secret<String>>,
    /// For people.
    pub name: String,
    /// An image of it for people, by https.
    pub logo: Option<Url>,
    /// Compared byte for byte; see `login::redirect`.
    pub redirect_uris: Vec<String>,
    /// Cannot keep a secret (RFC 6749 section 2.1).
    pub public: bool,
    /// Clients that may ask for tokens with this client as audience.
    pub trusted_peers: Vec<String>,
    /// Connectors that may be used; empty: all.
    pub allowed_connectors: Vec<String>,
    /// `idTokenSignedResponseAlg`; absent: the signer's default.
    pub signing_alg: Option<Alg>,
    /// `accessTokenFormat`
    pub access_tokens: AccessTokens,
    /// `groups`
    pub groups: GroupRules,
    /// Groups of the client itself in `client_credentials` (dex.md 2.3).
    pub own_groups: Vec<String>,
}

/// What a client's access tokens look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessTokens {
    /// With every claim of an ID token, as Dex's are.
    #[default]
    Dex,
    /// Without what belongs to an ID token alone (RFC 9068 section 2.2).
    Rfc9068,
}

/// All clients, by id.
#[derive(Debug, Clone, Default)]
pub struct Clients(HashMap<Arc<str>, Arc<Client>>);

/// What a request presents. Borrowed; never logged.
pub enum Credentials<'a> {
    /// An id and a secret, in the header or in the body.
    Secret {
        /// `client_id`
        id: std::borrow::Cow<'a, str>,
        /// `client_secret`
        secret: std::borrow::Cow<'a, str>,
    },
    /// Only an id.
    Name {
        /// `client_id`
        id: &'a str,
    },
}

impl Client {
    /// Whether this client's tokens may be asked for by `asking` (`trustedPeers`); a client always trusts itself.
    pub fn trusts(&self, asking: &str) -> bool {
        *self.id == *asking || self.trusted_peers.iter().any(|peer| peer == asking)
    }

    /// Whether the client may use a connector.
    pub fn may_use(&self, connector: &str) -> bool {
        self.allowed_connectors.is_empty() || self.allowed_connectors.iter().any(|known| known == connector)
    }
}

impl Clients {
    /// From a list; a later client of the same id takes the place of an earlier one (config refuses twins before).
    pub fn new(clients: impl IntoIterator<Item = Client>) -> Self {
        Self(clients.into_iter().map(|client| (Arc::clone(&client.id), Arc::new(client))).collect())
    }

    /// The client of that id.
    pub fn find(&self, id: &str) -> Option<&Arc<Client>> {
        self.0.get(id)
    }

    /// All clients.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.0.values()
    }

    /// Checks what a request presents.
    ///
    /// A public client needs no secret; the one stored for it, if it sends it, is accepted as in Dex, and a wrong one
    /// is refused. An unknown id costs the same comparison as a wrong secret.
    ///
    /// # Errors
    /// `invalid_client`, the same for every cause; the cause goes to the audit log.
    pub fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Arc<Client>, Refusal> {
        let id = credentials.id();
        let secret = match credentials {
            Credentials::Secret { secret, .. } => Some(secret.as_ref()),
            Credentials::Name { .. } => None,
        };
        let known = self.find(id);
        let stored =
            known.and_then(|client| client.secret.as_ref()).map_or(DECOY, |secret| secret.expose().as_str());
        let equal = secret.is_some_and(|sent| same(sent, stored));
        let Some(client) = known else { return Err(failed("unknown client")) };
        match secret {
            Some(_) if equal && client.secret.is_some() => Ok(Arc::clone(client)),
            Some("") | None if client.public => Ok(Arc::clone(client)),
            Some(_) => Err(failed("wrong client secret")),
            None => Err(failed("no client secret")),
        }
    }
}

impl<'a> Credentials<'a> {
    /// Who it claims to be.
    pub fn id(&self) -> &str {
        match self {
            Self::Secret { id, .. } => id,
            Self::Name { id } => id,
        }
    }

    /// Reads the `Authorization` header and the form: exactly one method (RFC 6749 section 2.3).
    ///
    /// # Errors
    /// `invalid_request` for two methods at once or a broken encoding, `invalid_client` for none.
    pub fn read(authorization: Option<&'a str>, form: &'a Form<'a>) -> Result<Self, Refusal> {
        let id = form.get("client_id");
        if let Some(header) = authorization {
            let (basic_id, basic_secret) = basic(header)?;
            if form.mentions("client_secret") || form.mentions("client_assertion") {
                return Err(Refusal::request("two ways of client authentication at once"));
            }
            if id.is_some_and(|id| id != basic_id) {
                return Err(Refusal::request(
                    "the client_id parameter differs from the Authorization header",
                ));
            }
            return Ok(Self::Secret { id: basic_id.into(), secret: basic_secret.into() });
        }
        if form.mentions("client_assertion") || form.mentions("client_assertion_type") {
            return Err(failed("client assertions are not supported"));
        }
        match (id, form.get("client_secret")) {
            (Some(id), Some(secret)) => Ok(Self::Secret { id: id.into(), secret: secret.into() }),
            (Some(id), None) => Ok(Self::Name { id }),
            (None, _) => Err(failed("no client authentication")),
        }
    }
}

/// Compares in a time that depends on neither text's content.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.len() == right.len() && bool::from(left.as_bytes().ct_eq(right.as_bytes()))
}

/// Id and secret of a Basic header; both parts are form-encoded inside (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Result<(String, String), Refusal> {
    let malformed = || Refusal::request("the Authorization header is malformed");
    let (scheme, value) = header.trim().split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::request("the Authorization header is not Basic"));
    }
    let raw = base64::engine::general_purpose::STANDARD.decode(value.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(raw).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    let part = |raw: &str| decode(raw).map(std::borrow::Cow::into_owned).map_err(|_| malformed());
    let (id, secret) = (part(id)?, part(secret)?);
    if id.is_empty() { Err(malformed()) } else { Ok((id, secret)) }
}

pub(crate) fn failed(reason: &'static str) -> Refusal {
    let mut refusal = Refusal::new(ErrorCode::InvalidClient, "client authentication failed").because(reason);
    refusal.challenge = true;
    refusal
}

/// Compared against when there is no secret to compare with.
const DECOY: &str = "no client has this secret, and comparing with it takes its time";

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str, secret: Option<&str>, public: bool) -> Client {
        Client {
            id: id.into(),
            secret: secret.map(Secret::from),
            name: id.into(),
            redirect_uris: vec![],
            public,
            trusted_peers: vec!["friend".into()],
            allowed_connectors: vec![],
            signing_alg: None,
            access_tokens: AccessTokens::Dex,
            groups: GroupRules::default(),
            own_groups: vec![],
            logo: None,
        }
    }

    fn try_with(header: Option<&str>, body: &str) -> Result<String, &'static str> {
        let clients = Clients::new([
            client("a:b", Some("p%ss"), false),
            client("pub", Some("not-a-secret"), true),
            client("bare", None, true),
        ]);
        let form = Form::parse(body, &[]).unwrap();
        let credentials = Credentials::read(header, &form).map_err(|r| r.code.as_str())?;
        clients.authenticate(&credentials).map(|c| c.id.to_string()).map_err(|r| r.code.as_str())
    }

    #[test]
    fn both_secret_methods_and_none_for_public_clients() {
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        assert_eq!(try_with(Some(&basic("a%3Ab:p%25ss")), ""), Ok("a:b".into()));
        assert_eq!(try_with(None, "client_id=a%3Ab&client_secret=p%25ss"), Ok("a:b".into()));
        assert_eq!(try_with(None, "client_id=bare"), Ok("bare".into()));
        assert_eq!(try_with(None, "client_id=pub"), Ok("pub".into()));
        assert_eq!(try_with(None, "client_id=pub&client_secret=not-a-secret"), Ok("pub".into()));
        assert_eq!(try_with(Some(&basic("pub:")), ""), Ok("pub".into()), "an empty secret is none");
    }

    #[test]
    fn attack_20_wrong_missing_and_doubled_credentials() {
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        assert_eq!(try_with(None, "client_id=a%3Ab"), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=a%3Ab&client_secret="), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=a%3Ab&client_secret=p%25sS"), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=pub&client_secret=wrong"), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=bare&client_secret=x"), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=nobody&client_secret=no client"), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=nobody&client_secret="), Err("invalid_client"));
        assert_eq!(try_with(None, ""), Err("invalid_client"));
        assert_eq!(try_with(None, "client_id=pub&client_assertion=x"), Err("invalid_client"));
        assert_eq!(
            try_with(Some(&basic("pub:not-a-secret")), "client_secret=not-a-secret"),
            Err("invalid_request")
        );
        assert_eq!(try_with(Some(&basic("pub:not-a-secret")), "client_id=bare"), Err("invalid_request"));
        for header in ["Basic", "Basic !!!", "Bearer x", "Basic OnNlY3JldA==", "Basic YQ=="] {
            assert_eq!(try_with(Some(header), "client_id=bare"), Err("invalid_request"), "{header}");
        }
    }

    #[test]
    fn a_client_trusts_itself_and_its_peers() {
        let a = client("a", None, true);
        assert!(a.trusts("a") && a.trusts("friend") && !a.trusts("b"));
    }
}
