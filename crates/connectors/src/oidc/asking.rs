//! What is asked of the upstream's own endpoints, with our credentials where they belong.

use ambient::{Fetch as _, FetchError, Secret, Want};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use outbound::{Answer, Request};
use serde::{Deserialize, Serialize};
use url::Url;
use wire::claims::Claims;
use wire::discovery::Upstream;

use super::Oidc;

/// What a token endpoint granted.
#[derive(Deserialize)]
pub(super) struct Granted {
    #[serde(default, deserialize_with = "secret")]
    pub(super) access_token: Option<Secret<String>>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) id_token: Option<Secret<String>>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) refresh_token: Option<Secret<String>>,
}

/// Why the upstream gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It answered that what was shown to it is not good (any more).
    #[error("it refused: {0}")]
    Denied(String),
    /// It cannot be asked.
    #[error("{0}")]
    Unavailable(String),
    /// It answered something that makes no sense, or that it does not know us.
    #[error("{0}")]
    Unusable(String),
}

/// What is kept of a sign-in, in Dex's form: `{"RefreshToken": base64}`.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(rename = "RefreshToken")]
    refresh_token: String,
}

impl Kept {
    pub(super) fn bytes(refresh_token: Option<&Secret<String>>) -> Secret<Vec<u8>> {
        let Some(token) = refresh_token else { return Secret::default() };
        let kept = Self { refresh_token: STANDARD.encode(token.expose()) };
        Secret::new(serde_json::to_vec(&kept).unwrap_or_default())
    }

    pub(super) fn refresh_token(raw: &[u8]) -> Option<Secret<String>> {
        let kept: Self = serde_json::from_slice(raw).ok()?;
        let token = String::from_utf8(STANDARD.decode(kept.refresh_token).ok()?).ok()?;
        (!token.is_empty()).then(|| Secret::new(token))
    }
}

impl Oidc {
    /// Asks the token endpoint (RFC 6749 section 3.2).
    pub(super) async fn tokens(&self, ask: &[(&str, &str)]) -> Result<Granted, Refused> {
        let document = self.endpoints.document().await.map_err(Refused::Unavailable)?;
        let (url, named_by) = self.place(
            self.settings.overrides.token.as_ref(),
            document.token_endpoint.as_deref(),
            "token endpoint",
        )?;
        let answer = self.ask_as_client(&document, &url, named_by, ask).await?;
        if answer.status == StatusCode::OK {
            return serde_json::from_slice(&answer.body)
                .map_err(|_| Refused::Unusable("the token endpoint's answer is no JSON".into()));
        }
        Err(refusal(&answer))
    }

    /// Asks whom an access token is of (OpenID Connect Core section 5.3).
    pub(super) async fn userinfo(&self, access_token: &str) -> Result<Claims, Refused> {
        let document = self.endpoints.document().await.map_err(Refused::Unavailable)?;
        let (url, named_by) = self.place(
            self.settings.overrides.userinfo.as_ref(),
            document.userinfo_endpoint.as_deref(),
            "UserInfo endpoint",
        )?;
        let bearer = Some(access_token);
        let want = Want { url: &url, named_by, accept: "application/json", bearer, cap: CAP };
        match self.client.fetch(want).await {
            Ok(fetched) => {
                Claims::parse(&fetched.body).map_err(|why| Refused::Unusable(format!("UserInfo: {why}")))
            }
            Err(FetchError::Status { status, .. }) if (400..500).contains(&status) && status != 429 => {
                Err(Refused::Denied(format!("UserInfo answered {status}")))
            }
            Err(why) => Err(Refused::Unavailable(why.to_string())),
        }
    }

    /// Asks whom an access token was issued to and meant for (RFC 7662). `Ok(None)`: it is not active.
    pub(super) async fn introspect(
        &self,
        document: &Upstream,
        endpoint: &str,
        access_token: &str,
    ) -> Result<Option<Claims>, Refused> {
        let (url, named_by) = self.place(None, Some(endpoint), "introspection endpoint")?;
        let ask = [("token", access_token), ("token_type_hint", "access_token")];
        let answer = self.ask_as_client(document, &url, named_by, &ask).await?;
        if answer.status != StatusCode::OK {
            return Err(match refusal(&answer) {
                // Our own credentials were refused: nothing is known about the token.
                Refused::Denied(why) => Refused::Unusable(why),
                other => other,
            });
        }
        let claims = Claims::parse(&answer.body)
            .map_err(|why| Refused::Unusable(format!("the introspection answer: {why}")))?;
        let active = claims.get("active").and_then(wire::json::Value::as_bool) == Some(true);
        Ok(active.then_some(claims))
    }

    /// Where an endpoint is, and which configured URL answers for it.
    fn place<'a>(
        &'a self,
        configured: Option<&Url>,
        discovered: Option<&str>,
        what: &str,
    ) -> Result<(Url, Option<&'a Url>), Refused> {
        if let Some(url) = configured {
            return Ok((url.clone(), None));
        }
        let url = discovered.and_then(|text| Url::parse(text).ok());
        let url = url.ok_or_else(|| Refused::Unusable(format!("it has no {what}")))?;
        Ok((url, Some(self.endpoints.url())))
    }

    /// A form with our client authentication: in the header (RFC 6749 section 2.3.1), or in the body where the upstream
    /// says so, is known for it, or refuses the header without having said anything.
    async fn ask_as_client(
        &self,
        document: &Upstream,
        url: &Url,
        named_by: Option<&Url>,
        ask: &[(&str, &str)],
    ) -> Result<Answer, Refused> {
        let methods = &document.token_endpoint_auth_methods_supported;
        let knows = |name: &str| methods.iter().any(|method| method == name);
        let in_body = self.settings.basic_auth_unsupported
            || self.settings.client_secret.is_none()
            || knows("client_secret_post") && !knows("client_secret_basic");
        let answer = self.post(url, named_by, ask, in_body).await?;
        let refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST)
            && error_code(&answer) == "invalid_client";
        if !in_body && refused && methods.is_empty() {
            return self.post(url, named_by, ask, true).await;
        }
        Ok(answer)
    }

    async fn post(
        &self,
        url: &Url,
        named_by: Option<&Url>,
        ask: &[(&str, &str)],
        in_body: bool,
    ) -> Result<Answer, Refused> {
        let mut request = Request::form(url, self.form(ask, in_body)).named_by(named_by).cap(CAP);
        if !in_body && let Some(secret) = &self.settings.client_secret {
            request = request.header(AUTHORIZATION, basic(self.client_id(), secret.expose())?);
        }
        self.client.send(request).await.map_err(|why| Refused::Unavailable(why.to_string()))
    }

    fn form(&self, ask: &[(&str, &str)], with_client: bool) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(ask);
        if with_client {
            form.append_pair("client_id", self.client_id());
            if let Some(secret) = &self.settings.client_secret {
                form.append_pair("client_secret", secret.expose());
            }
        }
        form.finish()
    }

    fn client_id(&self) -> &str {
        self.settings.client_id.as_deref().unwrap_or_default()
    }
}

fn basic(id: &str, secret: &str) -> Result<HeaderValue, Refused> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| Refused::Unusable("the client's credentials do not fit into a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whose fault an answer that is not 200 tells of.
fn refusal(answer: &Answer) -> Refused {
    let (status, code) = (answer.status, error_code(answer));
    let told = format!("it answered {status} {code:?}");
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Refused::Unavailable(told)
    } else if code == "invalid_grant" {
        Refused::Denied(told)
    } else {
        Refused::Unusable(told)
    }
}

/// `error` of an error answer, cut; its description may hold anything.
fn error_code(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Told {
        error: String,
    }
    let told = serde_json::from_slice::<Told>(&answer.body).map(|told| told.error).unwrap_or_default();
    told.chars().take(60).collect()
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

const CAP: usize = 256 * 1024;
