//! What upstreams have in common that know OAuth 2.0 and no OpenID: a code is redeemed for a token, and their API says
//! whose it is.
//!
//! The way back is protected by `state` (the provider's, bound to this browser), by a code verifier that only we have (RFC
//! 7636), by `iss` where it comes (RFC 9207), and by a callback of the connector's own where `redirectURI` names that; an upstream
//! that knows none of it ignores it (RFC 6749 section 3.1). A token goes to the API that is configured and nowhere else, also
//! when an answer names a next page.

mod api;
mod by_code;
mod places;
mod registration;
mod tokens;

use std::sync::Arc;

use ambient::{Clock, Random, RandomExt as _, Secret};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{Fields, HttpUrl};
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use outbound::{Answer, Client, Request, Trust};
use provider::connector::{Departure, UpstreamError};
use serde::{Deserialize, Serialize};
use url::Url;
use wire::b64;
use wire::form::Form;

use crate::Given;
pub(crate) use api::{Api, of_status, parsed};
pub(crate) use by_code::{ByCode, Question, Upstream};
pub(crate) use places::Places;
use registration::Proof;
pub(crate) use registration::{Callback, Registration};
pub(crate) use tokens::Tokens;

/// A client that is registered with an upstream.
pub(crate) struct CodeFlow {
    client_id: String,
    proof: Proof,
    callback: Callback,
    places: Places,
    secret_in: SecretIn,
    client: Client,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// How a client shows its secret (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretIn {
    /// In the body.
    Body,
    /// In a header, or in the body if the upstream does not know us by the header.
    HeaderOrBody,
}

/// What is remembered until the browser returns.
#[derive(Serialize, Deserialize)]
struct Attempt {
    verifier: String,
}

impl CodeFlow {
    /// Of endpoints that the configuration names.
    pub(crate) fn new(
        registration: Registration,
        authorize: Url,
        token: Url,
        client: Client,
        given: &Given<'_>,
    ) -> Self {
        Self::at(registration, Places::written(authorize, token), client, given)
    }

    /// Of endpoints wherever they are.
    pub(crate) fn at(registration: Registration, places: Places, client: Client, given: &Given<'_>) -> Self {
        let Registration { client_id, proof, callback } = registration;
        let (clock, random) = (Arc::clone(&given.context.clock), Arc::clone(&given.context.random));
        Self { client_id, proof, callback, places, secret_in: SecretIn::Body, client, clock, random }
    }

    /// With another way to show the secret.
    pub(crate) const fn secret_in(mut self, secret_in: SecretIn) -> Self {
        self.secret_in = secret_in;
        self
    }

    /// Where the browser goes.
    pub(crate) async fn depart(
        &self,
        scopes: &[&str],
        more: &[(&str, &str)],
        callback: &Url,
        state: &str,
    ) -> Result<Departure, UpstreamError> {
        let attempt = Attempt { verifier: b64::encode(self.random.bytes::<32>()) };
        let challenge = b64::encode(digest::digest(&digest::SHA256, attempt.verifier.as_bytes()));
        let mut to = self.places.known().await?.authorize.clone();
        {
            let mut query = to.query_pairs_mut();
            query.append_pair("client_id", &self.client_id).append_pair("response_type", "code");
            query.append_pair("redirect_uri", callback.as_str());
            if !scopes.is_empty() {
                query.append_pair("scope", &scopes.join(" "));
            }
            query.append_pair("state", state);
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
            query.extend_pairs(more);
        }
        let keep = serde_json::to_vec(&attempt).map_err(|why| UpstreamError::Invalid(why.to_string()))?;
        Ok(Departure { to, keep: Secret::new(keep) })
    }

    /// What the code that came back is worth.
    pub(crate) async fn redeem(
        &self,
        callback: &Url,
        kept: &[u8],
        query: &Form<'_>,
    ) -> Result<Tokens, UpstreamError> {
        let attempt: Attempt = serde_json::from_slice(kept)
            .map_err(|_| UpstreamError::Invalid("the attempt was not begun here".into()))?;
        if let Some(why) = self.places.known().await?.refuses(query.get("iss")) {
            return Err(UpstreamError::Invalid(why.into()));
        }
        if let Some(error) = query.get("error") {
            return Err(told(error));
        }
        let code = query.get("code").filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| UpstreamError::Invalid("it answered without a code".into()))?;
        let ask = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback.as_str()),
            ("code_verifier", &attempt.verifier),
        ];
        self.ask(&ask, None).await
    }

    /// The tokens, or newer ones if these are over.
    pub(crate) async fn current(&self, kept: Tokens) -> Result<Tokens, UpstreamError> {
        let over = kept.expires.is_some_and(|at| at <= self.clock.now());
        match &kept.refresh {
            Some(refresh) if over => self.renew(refresh).await,
            _ => Ok(kept),
        }
    }

    /// New tokens for a refresh token; an upstream that does not rotate it lets it live on.
    pub(crate) async fn renew(&self, refresh: &Secret<String>) -> Result<Tokens, UpstreamError> {
        let ask = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose().as_str())];
        self.ask(&ask, Some(refresh)).await
    }

    /// The upstream's API in the name of whose token that is.
    pub(crate) fn api<'a>(&'a self, tokens: &'a Tokens, headers: &[(&'static str, &'static str)]) -> Api<'a> {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Api { client: &self.client, token: &tokens.access, headers: headers.iter().map(header).collect() }
    }

    async fn ask(
        &self,
        ask: &[(&str, &str)],
        before: Option<&Secret<String>>,
    ) -> Result<Tokens, UpstreamError> {
        let answer = match self.secret_in {
            SecretIn::Body => self.post(ask, true).await?,
            SecretIn::HeaderOrBody => {
                let answer = self.post(ask, false).await?;
                let refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST);
                let unknown = refused && matches!(error_code(&answer).as_str(), "invalid_client" | "");
                if unknown { self.post(ask, true).await? } else { answer }
            }
        };
        let code = error_code(&answer);
        // Some say with 200 that they refuse.
        if !answer.status.is_success() || !code.is_empty() {
            return Err(match code.as_str() {
                "" => of_status(&answer, "the token endpoint"),
                code => told(code),
            });
        }
        Tokens::read(&answer.body, before, self.clock.now())
    }

    async fn post(&self, ask: &[(&str, &str)], in_body: bool) -> Result<Answer, UpstreamError> {
        let places = self.places.known().await?;
        let token = &places.token;
        let request = match &self.proof {
            Proof::Secret(secret) if !in_body => Request::form(token, self.form(ask, &[]))
                .header(AUTHORIZATION, basic(&self.client_id, secret.expose())?),
            Proof::Secret(secret) => {
                Request::form(token, self.form(ask, &[("client_secret", secret.expose().as_str())]))
            }
            Proof::AssertionFile(path) => {
                let read = std::fs::read_to_string(path).map(Secret::new);
                let assertion = read.map_err(|why| {
                    UpstreamError::Unavailable(format!("clientAssertion cannot be read ({why})"))
                })?;
                let shown =
                    [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion.expose().trim())];
                Request::form(token, self.form(ask, &shown))
            }
        };
        let sent = self.client.send(request.named_by(places.named_by.as_ref()).cap(CAP)).await;
        sent.map_err(|why| UpstreamError::Unavailable(why.to_string()))
    }

    /// With our name where there is a proof of it.
    fn form(&self, ask: &[(&str, &str)], proof: &[(&str, &str)]) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(ask);
        if !proof.is_empty() {
            form.append_pair("client_id", &self.client_id).extend_pairs(proof);
        }
        form.finish()
    }
}

/// What an upstream's error means, be it in the query of the way back or from its token endpoint.
fn told(code: &str) -> UpstreamError {
    let shown: String = code.chars().take(60).collect();
    match code {
        "access_denied"
        | "login_required"
        | "interaction_required"
        | "consent_required"
        | "invalid_grant"
        | "bad_verification_code"
        | "bad_refresh_token" => UpstreamError::Denied(shown),
        "server_error" | "temporarily_unavailable" => UpstreamError::Unavailable(shown),
        _ => UpstreamError::Invalid(format!("it answered the error {shown:?}")),
    }
}

/// `error` of an answer; empty if there is none.
fn error_code(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Told {
        error: String,
    }
    serde_json::from_slice::<Told>(&answer.body).map(|told| told.error).unwrap_or_default()
}

fn basic(id: &str, secret: &str) -> Result<HeaderValue, UpstreamError> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| UpstreamError::Invalid("the client's credentials do not fit into a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The root of a server that people may run themselves; what it gives ends in a slash.
pub(crate) fn base(fields: &mut Fields<'_>, key: &str, default: &str) -> Option<Url> {
    let is_written = fields.has_text(key);
    let url = match fields.optional::<HttpUrl>(key) {
        Some(written) => written.url().clone(),
        None if is_written => return None,
        None => Url::parse(default).ok()?,
    };
    Some(rooted(fields, key, url))
}

/// The same of one that was read.
pub(crate) fn rooted(fields: &Fields<'_>, key: &str, mut url: Url) -> Url {
    if url.scheme() == "http" {
        fields
            .warning(format!("has a {key} by http: anybody on the way can sign in as anybody"), "use https");
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// A client for one upstream; a trust that cannot be used is a fault.
pub(crate) fn client(fields: &Fields<'_>, given: &Given<'_>, trust: Trust) -> Option<Client> {
    let client = given.context.client(trust, None);
    client.map_err(|error| fields.error(format!("cannot set up TLS ({error})"), "mend the certificates")).ok()
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const CAP: usize = 1 << 20;
