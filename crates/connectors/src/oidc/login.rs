//! Signing in by redirect, and asking again at refresh.
//!
//! What protects the way back: `state` binds it to this browser (the provider's), `nonce` binds the ID token to this
//! attempt, the code verifier binds the code to us, and `iss` in the answer (RFC 9207) must be the upstream's; it may be missing
//! only if the upstream does not say that it sends it. The ID token is verified for this purpose alone.

use ambient::{BoxFuture, RandomExt as _, Secret};
use aws_lc_rs::digest;
use provider::connector::{Departure, Hints, Identity, RedirectFlow, Refresh, SignedIn, UpstreamError};
use serde::{Deserialize, Serialize};
use token::{UnverifiedJwt, UpstreamIdToken, Verified};
use url::Url;
use wire::b64;
use wire::form::Form;

use super::Oidc;
use super::asking::{Granted, Kept, Refused};
use super::claims::{Unfit, Who};
use super::settings::Pkce;
use crate::oauth2::Callback;

/// What is remembered until the browser returns.
#[derive(Serialize, Deserialize)]
struct Attempt {
    nonce: String,
    verifier: Option<String>,
}

impl RedirectFlow for Oidc {
    fn depart<'a>(
        &'a self,
        scopes: Hints,
        callback: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Departure, UpstreamError>> {
        Box::pin(async move {
            let document = self.endpoints.document().await.map_err(UpstreamError::Unavailable)?;
            let to = self.authorization_endpoint(document.authorization_endpoint.as_deref())?;
            let knows = document.code_challenge_methods_supported.iter().any(|method| method == "S256");
            let challenged = self.settings.pkce == Pkce::Always || knows;
            let random = &*self.context.random;
            let attempt = Attempt {
                nonce: b64::encode(random.bytes::<16>()),
                verifier: challenged.then(|| b64::encode(random.bytes::<32>())),
            };
            let to = self.question(to, scopes, callback, state, &attempt);
            let keep = serde_json::to_vec(&attempt).map_err(|e| UpstreamError::Invalid(e.to_string()))?;
            Ok(Departure { to, keep: Secret::new(keep) })
        })
    }

    fn hint_parameter(&self) -> Option<&'static str> {
        Some("login_hint")
    }

    fn has_own_callback(&self) -> bool {
        self.settings.callback == Callback::Own
    }

    fn arrive<'a>(
        &'a self,
        _: Hints,
        callback: &'a Url,
        kept: &'a [u8],
        query: &'a Form<'a>,
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let attempt: Attempt = serde_json::from_slice(kept)
                .map_err(|_| UpstreamError::Invalid("the attempt was not begun here".into()))?;
            let document = self.endpoints.document().await.map_err(UpstreamError::Unavailable)?;
            let code = self.code(query, document.authorization_response_iss_parameter_supported)?;
            let mut ask = vec![
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", callback.as_str()),
            ];
            if let Some(verifier) = &attempt.verifier {
                ask.push(("code_verifier", verifier));
            }
            let granted = self.tokens(&ask).await?;
            let raw = granted.id_token.as_ref().ok_or_else(|| {
                UpstreamError::Invalid("it answered without an ID token; is openid among its scopes?".into())
            })?;
            let verified = self.verified(raw.expose()).await?;
            if verified.claims().str("nonce") != Some(attempt.nonce.as_str()) {
                return Err(UpstreamError::Invalid("the ID token is of another attempt (nonce)".into()));
            }
            self.signed_in(Some(verified), granted, None).await
        })
    }
}

impl Refresh for Oidc {
    fn refresh<'a>(
        &'a self,
        _: Hints,
        known: &'a Identity,
        kept: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let before = Kept::refresh_token(kept).ok_or_else(|| {
                UpstreamError::Denied(
                    "it gave no refresh token; does it want the scope offline_access?".into(),
                )
            })?;
            let ask = [("grant_type", "refresh_token"), ("refresh_token", before.expose().as_str())];
            let granted = self.tokens(&ask).await?;
            let verified = match &granted.id_token {
                Some(raw) => Some(self.verified(raw.expose()).await?),
                None => None,
            };
            let signed_in = self.signed_in(verified, granted, Some(before)).await?;
            // OpenID Connect Core section 12.2: the subject is the one of the sign-in.
            if signed_in.identity.user_id != known.user_id {
                return Err(UpstreamError::Denied("its answer is about somebody else".into()));
            }
            Ok(signed_in)
        })
    }
}

impl Oidc {
    /// A document that came by https names https alone.
    fn authorization_endpoint(&self, discovered: Option<&str>) -> Result<Url, UpstreamError> {
        if let Some(configured) = &self.settings.overrides.authorization {
            return Ok(configured.clone());
        }
        let by_http = self.endpoints.url().scheme() == "http";
        discovered
            .and_then(|text| Url::parse(text).ok())
            .filter(|url| url.scheme() == "https" || by_http && url.scheme() == "http")
            .ok_or_else(|| UpstreamError::Invalid("it has no authorization endpoint that is https".into()))
    }

    /// The URL that the browser is sent to.
    fn question(&self, mut to: Url, scopes: Hints, callback: &Url, state: &str, attempt: &Attempt) -> Url {
        let asked: Vec<&str> = std::iter::once("openid")
            .chain(self.settings.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"))
            .collect();
        {
            let mut query = to.query_pairs_mut();
            query
                .append_pair("client_id", self.settings.client_id.as_deref().unwrap_or_default())
                .append_pair("redirect_uri", callback.as_str())
                .append_pair("response_type", "code")
                .append_pair("scope", &asked.join(" "))
                .append_pair("state", state)
                .append_pair("nonce", &attempt.nonce);
            if let Some(verifier) = &attempt.verifier {
                let challenge = b64::encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
                query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
            }
            if !self.settings.acr_values.is_empty() {
                query.append_pair("acr_values", &self.settings.acr_values.join(" "));
            }
            if scopes.offline {
                query.append_pair("access_type", "offline");
                if !self.settings.prompt.is_empty() {
                    query.append_pair("prompt", &self.settings.prompt);
                }
            }
        }
        to
    }

    /// The code that came back, if it came from this upstream.
    fn code<'q>(&self, query: &'q Form<'_>, sends_issuer: Option<bool>) -> Result<&'q str, UpstreamError> {
        let why = match query.get("iss") {
            Some(iss) if self.issuers.iter().any(|issuer| **issuer == *iss) => None,
            Some(_) => Some("the answer is another issuer's (iss, RFC 9207)"),
            None if sends_issuer == Some(true) => Some("the answer names no issuer (iss, RFC 9207)"),
            None => None,
        };
        if let Some(why) = why {
            return Err(UpstreamError::Invalid(why.into()));
        }
        if let Some(error) = query.get("error") {
            let told: String = error.chars().take(EXCERPT).collect();
            return Err(match error {
                "access_denied" | "login_required" | "interaction_required" | "consent_required" => {
                    UpstreamError::Denied(told)
                }
                "server_error" | "temporarily_unavailable" => UpstreamError::Unavailable(told),
                _ => UpstreamError::Invalid(format!("it answered the error {told:?}")),
            });
        }
        query.get("code").ok_or_else(|| UpstreamError::Invalid("it answered without a code".into()))
    }

    /// The ID token, meant for us: OpenID Connect Core section 3.1.3.7.
    async fn verified(&self, raw: &str) -> Result<Verified<UpstreamIdToken>, UpstreamError> {
        let verifier =
            self.logins.as_ref().ok_or_else(|| UpstreamError::Invalid("it has no clientID".into()))?;
        let invalid = |why: String| UpstreamError::Invalid(why);
        let unverified = UnverifiedJwt::parse(raw).map_err(|why| invalid(why.to_string()))?;
        let verified = verifier.verify(unverified, self.context.clock.now()).await.map_err(|why| {
            if why.is_temporary() {
                UpstreamError::Unavailable(why.to_string())
            } else {
                invalid(why.to_string())
            }
        })?;
        let us = self.settings.client_id.as_deref();
        let party = verified.authorized_party();
        if party.is_some() && party != us || party.is_none() && verified.audience().count() > 1 {
            return Err(invalid("the ID token was issued to another client (azp)".into()));
        }
        Ok(verified)
    }

    /// The claims of the ID token, with those of UserInfo over them, as somebody.
    async fn signed_in(
        &self,
        verified: Option<Verified<UpstreamIdToken>>,
        granted: Granted,
        before: Option<Secret<String>>,
    ) -> Result<SignedIn, UpstreamError> {
        let invalid = UpstreamError::Invalid;
        let mut claims = verified.map(Verified::into_claims).unwrap_or_default();
        if self.settings.userinfo {
            let token =
                granted.access_token.as_ref().ok_or_else(|| invalid("it gave no access token".into()))?;
            let userinfo = self.userinfo(token.expose()).await?;
            claims = self.mapping.merged(&claims, &userinfo).map_err(invalid)?;
        }
        let who = Who::Person { with_email: self.settings.asks_for("email") };
        let identity = self.mapping.identify(&claims, who).map_err(|why| match why {
            Unfit::NotAllowed => UpstreamError::Denied(why.to_string()),
            Unfit::Incomplete(why) => invalid(why),
        })?;
        // An upstream that rotates gives a new one; one that does not lets the old one live on.
        let kept = granted.refresh_token.or(before);
        Ok(SignedIn { identity, kept: Kept::bytes(kept.as_ref()) })
    }
}

impl From<Refused> for UpstreamError {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Denied(why) => Self::Denied(why),
            Refused::Unavailable(why) => Self::Unavailable(why),
            Refused::Unusable(why) => Self::Invalid(why),
        }
    }
}

const EXCERPT: usize = 60;
