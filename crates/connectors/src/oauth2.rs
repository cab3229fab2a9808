//! What upstreams have in common that know OAuth 2.0 and no OpenID: a code is redeemed for a token, and their API says
//! whose it is.
//!
//! The way back is protected by `state` (the provider's, bound to this browser) and by a code verifier that only we have
//! (RFC 7636); an upstream that knows none of it ignores it (RFC 6749 section 3.1). A token goes to the API that is
//! configured and nowhere else, also when an answer names a next page.

mod api;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Random, RandomExt as _, Secret, Time};
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

/// A client that is registered with an upstream.
pub(crate) struct CodeFlow {
    client_id: String,
    proof: Proof,
    authorize: Url,
    token: Url,
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

/// `clientID`, `clientSecret` and `redirectURI`.
pub(crate) struct Registration {
    client_id: String,
    proof: Proof,
}

/// What shows that it is us.
enum Proof {
    Secret(Secret<String>),
    /// A JWT in a file that somebody else renews (RFC 7523 section 2.2), so it is read each time.
    AssertionFile(PathBuf),
}

/// What a token endpoint granted, and what is kept of it, in the form in which Dex keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: Secret<String>,
    pub(crate) refresh: Option<Secret<String>>,
    pub(crate) expires: Option<Time>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept<'k> {
    #[serde(borrow)]
    access_token: std::borrow::Cow<'k, str>,
    #[serde(default)]
    refresh_token: std::borrow::Cow<'k, str>,
    #[serde(default)]
    expiry: std::borrow::Cow<'k, str>,
}

/// What is remembered until the browser returns.
#[derive(Serialize, Deserialize)]
struct Attempt {
    verifier: String,
}

impl Registration {
    pub(crate) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        let secret: Option<Secret<String>> = fields.required("clientSecret");
        Self::with(fields, given, Proof::Secret(secret.unwrap_or_default()))
    }

    /// With `clientAssertion` in the place of a secret, if it is there.
    pub(crate) fn read_with_assertion(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        let secret: Secret<String> = fields.or_default("clientSecret");
        let file: String = fields.or_default("clientAssertion");
        let proof = if file.is_empty() { Proof::Secret(secret) } else { Proof::AssertionFile(file.into()) };
        Self::with(fields, given, proof)
    }

    fn with(fields: &mut Fields<'_>, given: &Given<'_>, proof: Proof) -> Option<Self> {
        let client_id: Option<String> = fields.required("clientID");
        check_redirect(fields, given);
        let client_id = client_id?;
        if client_id.is_empty() || matches!(&proof, Proof::Secret(secret) if secret.expose().is_empty()) {
            fields.error("has an empty clientID or clientSecret", "write what the upstream gave you");
            return None;
        }
        Some(Self { client_id, proof })
    }
}

/// Dex answers 500 to every login if this is not right; nobody needs to wait for that.
pub(crate) fn check_redirect(fields: &mut Fields<'_>, given: &Given<'_>) {
    let Some(written) = fields.optional::<String>("redirectURI").filter(|uri| !uri.is_empty()) else {
        return;
    };
    if given.context.issuer.is_empty() {
        return;
    }
    let callback = format!("{}/callback", given.context.issuer.trim_end_matches('/'));
    if written != callback {
        fields.error(
            format!("has the redirectURI {written:?}, which is not our callback"),
            format!("write {callback}"),
        );
    }
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
        let Registration { client_id, proof } = registration;
        let (clock, random) = (Arc::clone(&given.context.clock), Arc::clone(&given.context.random));
        Self { client_id, proof, authorize, token, secret_in: SecretIn::Body, client, clock, random }
    }

    /// With another way to show the secret.
    pub(crate) const fn secret_in(mut self, secret_in: SecretIn) -> Self {
        self.secret_in = secret_in;
        self
    }

    /// Where the browser goes.
    pub(crate) fn depart(
        &self,
        scopes: &[&str],
        more: &[(&str, &str)],
        callback: &Url,
        state: &str,
    ) -> Result<Departure, UpstreamError> {
        let attempt = Attempt { verifier: b64::encode(self.random.bytes::<32>()) };
        let challenge = b64::encode(digest::digest(&digest::SHA256, attempt.verifier.as_bytes()));
        let mut to = self.authorize.clone();
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
        let request = match &self.proof {
            Proof::Secret(secret) if !in_body => Request::form(&self.token, self.form(ask, &[]))
                .header(AUTHORIZATION, basic(&self.client_id, secret.expose())?),
            Proof::Secret(secret) => {
                Request::form(&self.token, self.form(ask, &[("client_secret", secret.expose().as_str())]))
            }
            Proof::AssertionFile(path) => {
                let read = std::fs::read_to_string(path).map(Secret::new);
                let assertion = read.map_err(|why| {
                    UpstreamError::Unavailable(format!("clientAssertion cannot be read ({why})"))
                })?;
                let shown =
                    [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion.expose().trim())];
                Request::form(&self.token, self.form(ask, &shown))
            }
        };
        let sent = self.client.send(request.cap(CAP)).await;
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

impl Tokens {
    /// RFC 6749 section 5.1.
    fn read(raw: &[u8], before: Option<&Secret<String>>, now: Time) -> Result<Self, UpstreamError> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            #[serde(default)]
            refresh_token: Option<String>,
            #[serde(default)]
            expires_in: Option<f64>,
        }
        let granted: Granted = serde_json::from_slice(raw)
            .map_err(|_| UpstreamError::Invalid("the token endpoint's answer holds no token".into()))?;
        if granted.access_token.is_empty() {
            return Err(UpstreamError::Invalid("the token endpoint's answer holds no token".into()));
        }
        let refresh = granted.refresh_token.filter(|token| !token.is_empty()).map(Secret::new);
        let lives = granted.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self {
            access: Secret::new(granted.access_token),
            refresh: refresh.or_else(|| before.cloned()),
            expires: lives.filter(|lives| !lives.is_zero()).map(|lives| now + lives),
        })
    }

    /// In Dex's form.
    pub(crate) fn kept(&self) -> Result<Secret<Vec<u8>>, UpstreamError> {
        let kept = Kept {
            access_token: self.access.expose().into(),
            refresh_token: self
                .refresh
                .as_ref()
                .map(|token| token.expose().as_str())
                .unwrap_or_default()
                .into(),
            expiry: self.expires.map_or_else(|| GO_ZERO.to_owned(), Time::rfc3339).into(),
        };
        serde_json::to_vec(&kept).map(Secret::new).map_err(|why| UpstreamError::Invalid(why.to_string()))
    }

    /// What was kept; without a token nobody can be asked for.
    pub(crate) fn of_kept(raw: &[u8]) -> Result<Self, UpstreamError> {
        let kept: Option<Kept<'_>> = serde_json::from_slice(raw).ok();
        let kept = kept.filter(|kept| !kept.access_token.is_empty() || !kept.refresh_token.is_empty());
        let kept = kept.ok_or_else(|| UpstreamError::Denied("no token was kept to ask with".into()))?;
        let refresh =
            Some(kept.refresh_token.into_owned()).filter(|token| !token.is_empty()).map(Secret::new);
        let expires = Time::parse_rfc3339(&kept.expiry).filter(|_| kept.expiry != GO_ZERO);
        Ok(Self { access: Secret::new(kept.access_token.into_owned()), refresh, expires })
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

/// The root of a server that people run themselves; what it gives ends in a slash.
pub(crate) fn base(fields: &mut Fields<'_>, key: &str, default: &str) -> Option<Url> {
    let is_written = fields.has_text(key);
    let mut url = match fields.optional::<HttpUrl>(key) {
        Some(written) => written.url().clone(),
        None if is_written => return None,
        None => Url::parse(default).ok()?,
    };
    if url.scheme() == "http" {
        fields
            .warning(format!("has a {key} by http: anybody on the way can sign in as anybody"), "use https");
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

/// A client for one upstream; a trust that cannot be used is a fault.
pub(crate) fn client(fields: &Fields<'_>, given: &Given<'_>, trust: Trust) -> Option<Client> {
    let client = given.context.client(trust, None);
    client.map_err(|error| fields.error(format!("cannot set up TLS ({error})"), "mend the certificates")).ok()
}

/// No time, as Go writes it.
const GO_ZERO: &str = "0001-01-01T00:00:00Z";

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const CAP: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_kept_as_dex_keeps_them() {
        let of_dex = br#"{"accessToken":"a","refreshToken":"r","expiry":"2026-01-01T00:00:00Z"}"#;
        let tokens = Tokens::of_kept(of_dex).unwrap();
        assert_eq!(tokens.expires, Some(Time::from_unix(1_767_225_600)));
        assert_eq!(tokens.kept().unwrap().expose(), of_dex);
        let old = Tokens::of_kept(br#"{"accessToken":"a"}"#).unwrap();
        assert!(old.refresh.is_none() && old.expires.is_none());
        let never = Tokens::of_kept(br#"{"accessToken":"a","expiry":"0001-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(never.expires, None);
        assert_eq!(
            never.kept().unwrap().expose(),
            br#"{"accessToken":"a","refreshToken":"","expiry":"0001-01-01T00:00:00Z"}"#
        );
        for raw in [&b""[..], b"{}", br#"{"accessToken":""}"#, br#"{"accessToken":1}"#] {
            assert!(matches!(Tokens::of_kept(raw), Err(UpstreamError::Denied(_))));
        }
    }
}
