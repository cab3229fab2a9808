//! What the token endpoint answers to a sign-in, and the checks that it must pass before anybody uses it.

use ambient::Secret;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use outbound::{Answer, Request};
use token::{
    Audience, Expect, Purpose, SignedInAccessToken, SignedInIdToken, Trust, UnverifiedJwt, Verified, Verifier,
};
use url::Url;
use url::form_urlencoded::Serializer;
use wire::claims::Claims;
use wire::json::{Object, Value};
use wire::oauth::TokenType;

use super::{SignIn, Wanted, Way};
use crate::answer::{self, MOST_SECONDS};
use crate::ask::ClientAuth;
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::{Exchanger, MAX_ANSWER};
use crate::issued::{Entry, Issued, Session, is_printable};
use std::time::Duration;

/// What the ID token must be bound to, beside issuer and client.
#[derive(Default)]
pub(super) struct Bound<'a> {
    /// The sign-in that it answers.
    pub(super) nonce: Option<&'a str>,
    /// Whose session is renewed.
    pub(super) subject: Option<&'a str>,
    /// The issuer's keys, where they had to be there before anything was spent.
    pub(super) keys: Option<token::Keys>,
}

/// An answer whose ID token, if it has one, has passed.
pub(super) struct Received {
    document: Object,
    keys: token::Keys,
    id: Option<Verified<SignedInIdToken>>,
}

impl Received {
    /// A member that is a text and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.document.str(name).filter(|text| !text.is_empty())
    }

    /// Whose it is, as the ID token says.
    pub(super) fn subject(&self) -> Option<&str> {
        self.id.as_ref().and_then(Verified::subject)
    }

    pub(super) fn refresh_token(&self) -> Option<Secret<String>> {
        self.text("refresh_token").filter(|token| is_printable(token)).map(Secret::from)
    }
}

impl Exchanger {
    /// Posts a form as the client, once: what is in it may be spent by the first try.
    pub(super) async fn post_form(
        &self,
        ask: &SignIn,
        found: &Discovered,
        url: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let methods = &found.document.token_endpoint_auth_methods_supported;
        let by_header = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let header = ask.client.header().filter(|_| by_header);
        let body = body(&ask.client, form, header.is_none());
        let mut request = Request::form(url, Bytes::from(body.expose().clone()))
            .named_by(Some(&found.issuer))
            .cap(MAX_ANSWER);
        if let Some(value) = header {
            request = request.header(AUTHORIZATION, value);
        }
        Ok(self.send_once(request).await?)
    }

    /// Reads and checks an answer. Nothing of one that fails is used.
    pub(super) async fn receive(
        &self,
        ask: &SignIn,
        found: &Discovered,
        answer: &Answer,
        bound: &Bound<'_>,
    ) -> Result<Received, Error> {
        if answer.status != 200 {
            return Err(answer::refusal(&found.token_endpoint()?, answer, false));
        }
        let document =
            Object::parse(&answer.body).map_err(|e| Error::Answer(format!("it is not JSON ({e})")))?;
        let keys = match &bound.keys {
            Some(keys) => keys.clone(),
            None => self.keys(found).await?,
        };
        let mut received = Received { document, keys, id: None };
        if let Some(raw) = received.text("id_token") {
            let id = self.check::<SignedInIdToken>(ask, Audience::only(client(ask)), &received.keys, raw)?;
            judge(&id, client(ask), bound)?;
            received.id = Some(id);
        }
        Ok(received)
    }

    /// The same, for the cache.
    pub(super) async fn read_tokens(
        &self,
        ask: &SignIn,
        found: &Discovered,
        answer: &Answer,
        bound: Bound<'_>,
    ) -> Result<Entry, Error> {
        let received = self.receive(ask, found, answer, &bound).await?;
        let issued = match (ask.wanted, &received.id) {
            (Wanted::IdToken, Some(id)) => {
                let raw = received.text("id_token").unwrap_or_default();
                self.issued(raw, TokenType::IdToken, Some(id.expires()))
            }
            (Wanted::IdToken, None) => return Err(Error::no_id_token()),
            (Wanted::AccessToken, _) => {
                let raw = received.text("access_token");
                let raw = raw.ok_or_else(|| Error::Answer("it has no access_token".into()))?;
                self.access_token(ask, &received.keys, raw, &received.document)?
            }
        };
        let subject = received.subject().or(bound.subject).map(str::to_owned);
        let session = received.refresh_token().map(|refresh_token| Session {
            issuer: ask.issuer.clone(),
            client_id: client(ask).to_owned(),
            subject,
            refresh_token,
            authorities: ask.authorities.clone(),
        });
        Ok(Entry { issued, session })
    }

    fn check<P: Purpose>(
        &self,
        ask: &SignIn,
        audience: Audience,
        keys: &token::Keys,
        raw: &str,
    ) -> Result<Verified<P>, Error> {
        let expect = Expect::<P>::new(ask.issuer.as_str(), audience).early_by(CLOCKS_DIFFER_BY);
        let verifier = Verifier::new(Trust::new("sign-in"), keys.clone(), expect);
        let parsed = UnverifiedJwt::parse(raw).map_err(Error::Unverified)?;
        verifier.verify_at_hand(parsed, self.clock.now()).map_err(Error::Unverified)
    }

    /// It is handed to an API server like an ID token, so it must be one that can be checked. Whom it is for, its
    /// issuer decides. A client as itself may get one that only its issuer understands.
    fn access_token(
        &self,
        ask: &SignIn,
        keys: &token::Keys,
        raw: &str,
        document: &Object,
    ) -> Result<Issued, Error> {
        let lasts = document.get("expires_in").and_then(Value::as_int);
        let lasts = lasts.filter(|seconds| (0..=MOST_SECONDS).contains(seconds));
        let told = lasts.map(|seconds| ambient::Time::from_unix(self.clock.now().unix() + seconds));
        if matches!(ask.way, Way::Client) && raw.split('.').count() != 3 {
            if !is_printable(raw) {
                return Err(Error::Answer("its access_token is no token".into()));
            }
            return Ok(self.issued(raw, TokenType::AccessToken, told));
        }
        let checked = self.check::<SignedInAccessToken>(ask, Audience::Unrestricted, keys, raw)?;
        let ends = told.map_or(checked.expires(), |told| told.min(checked.expires()));
        Ok(self.issued(raw, TokenType::AccessToken, Some(ends)))
    }

    fn issued(&self, raw: &str, kind: TokenType, expires: Option<ambient::Time>) -> Issued {
        Issued {
            token: Secret::from(raw),
            issued_token_type: kind.uri().to_owned(),
            token_type: "bearer".to_owned(),
            scope: None,
            expires,
            fresh_until: expires.map(|expires| Issued::fresh_until(self.clock.now(), expires)),
        }
    }
}

impl Entry {
    /// Whom the page greets.
    pub(super) fn who(&self) -> Option<String> {
        let parsed = wire::jose::Compact::parse(self.issued.token.expose()).ok()?;
        let claims = Claims::parse(&parsed.payload).ok()?;
        let names = ["name", "email", "preferred_username", "sub"];
        names.into_iter().find_map(|name| claims.str(name).filter(|text| !text.is_empty())).map(str::to_owned)
    }
}

fn body(client: &ClientAuth, form: &[(&str, &str)], with_client: bool) -> Secret<String> {
    let mut body = Serializer::new(String::new());
    body.extend_pairs(form);
    if with_client {
        let named = form.iter().any(|(name, _)| *name == "client_id");
        body.extend_pairs(client.id.iter().filter(|_| !named).map(|id| ("client_id", id)));
        body.extend_pairs(client.secret.iter().map(|secret| ("client_secret", secret.expose())));
    }
    Secret::new(body.finish())
}

/// OpenID Connect Core sections 3.1.3.7 (4, 5, 11) and 12.2.
fn judge(id: &Verified<SignedInIdToken>, client: &str, bound: &Bound<'_>) -> Result<(), Error> {
    let wrong = |what: &'static str| Err(Error::Unbound(what));
    match id.authorized_party() {
        Some(party) if party != client => return wrong("it was issued to another client (azp)"),
        None if id.audience().count() > 1 => {
            return wrong("it is for several, and does not say to whom it was issued");
        }
        _ => {}
    }
    if let Some(nonce) = bound.nonce
        && id.claims().str("nonce") != Some(nonce)
    {
        return wrong("it does not answer this sign-in (nonce)");
    }
    match (id.subject(), bound.subject) {
        (None | Some(""), _) => wrong("it does not say whose it is"),
        (Some(now), Some(before)) if now != before => wrong("it is somebody else's than before"),
        _ => Ok(()),
    }
}

fn client(ask: &SignIn) -> &str {
    ask.client.id.as_deref().unwrap_or_default()
}

/// A laptop's clock that is behind must not keep anybody out: `iat` and `nbf` are the API server's to judge.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(300);
