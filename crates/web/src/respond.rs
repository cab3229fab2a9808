//! From answers to HTTP: the one place that knows status codes and headers.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use provider::error::{Error, Fault, Refusal};
use provider::login::{Answer, CookieChange, Reply, Stop, error_location};
use provider::store::StoreError;
use serde::Serialize;
use wire::oauth::{ErrorCode, TokenResponse};

use crate::Web;

/// RFC 6749 section 5.2
#[derive(Serialize)]
struct Told<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_description: &'a str,
}

/// Tokens (RFC 6749 section 5.1).
pub(crate) fn tokens(tokens: &TokenResponse) -> Response {
    json(tokens)
}

/// A JSON document that nobody may keep.
pub(crate) fn json(document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(body) => with_body(StatusCode::OK, "application/json", body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// An error of the token or UserInfo endpoint. `dex`: with Dex's codes.
pub(crate) fn error(error: &Error, dex: bool) -> Response {
    match error {
        Error::Refusal(refusal) => refused(refusal, dex),
        Error::Fault(fault) => failed(fault),
    }
}

/// A page.
pub(crate) fn page(status: u16, html: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_body(status, "text/html; charset=utf-8", html)
}

/// What a step of signing in came to.
pub(crate) fn login(web: &Web, outcome: Result<Reply, Stop>) -> Response {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(stop) => return stopped(web, stop),
    };
    let mut response = match &reply.answer {
        Answer::Redirect(to) => see_other(to),
        Answer::Choose(choices) => page(200, web.pages.choose(choices)),
        Answer::Password(form) => page(if form.wrong { 401 } else { 200 }, web.pages.password(form)),
        Answer::Consent(form) => page(200, web.pages.consent(form)),
    };
    for cookie in reply.cookie.iter().chain(&reply.stale).filter_map(set_cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn stopped(web: &Web, stop: Stop) -> Response {
    match stop {
        Stop::Page { status, told } => page(status, web.pages.error(&told)),
        Stop::Back { to, state, code, told } => {
            see_other(&error_location(*to, &state, code, &told, &web.provider.living().settings.issuer.text))
        }
        Stop::Fault(fault) => {
            tracing::error!(part = "login", "{fault}");
            page(
                status_of(&fault).as_u16(),
                web.pages.error("Something went wrong on our side. Please try again."),
            )
        }
    }
}

fn refused(refusal: &Refusal, dex: bool) -> Response {
    if let Some(dex) = refusal.dex.filter(|_| dex) {
        let status = StatusCode::from_u16(dex.status).unwrap_or(StatusCode::BAD_REQUEST);
        return told(status, dex.code.as_str(), &refusal.told);
    }
    let unauthorized = matches!(refusal.code, ErrorCode::InvalidClient | ErrorCode::InvalidToken);
    let status = if unauthorized { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let mut response = told(status, refusal.code.as_str(), &refusal.told);
    let challenge = match refusal.code {
        ErrorCode::InvalidToken => Some(r#"Bearer error="invalid_token""#),
        _ if refusal.challenge => Some(r#"Basic realm="obol""#),
        _ => None,
    };
    if let Some(challenge) = challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

fn failed(fault: &Fault) -> Response {
    tracing::error!(part = "token", "{fault}");
    let status = status_of(fault);
    let code = if status == StatusCode::INTERNAL_SERVER_ERROR {
        ErrorCode::ServerError
    } else {
        ErrorCode::TemporarilyUnavailable
    };
    let mut response = told(status, code.as_str(), "this is our fault, or an upstream's; please try again");
    let wait = match fault {
        Fault::Busy { retry_after } => retry_after.as_secs().max(1),
        _ => 5,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn status_of(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Busy { .. } | Fault::Upstream(_) | Fault::Store(StoreError::Unavailable(_)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Fault::Store(StoreError::Broken(_)) | Fault::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn told(status: StatusCode, code: &str, told: &str) -> Response {
    let body = serde_json::to_vec(&Told { error: code, error_description: told }).unwrap_or_default();
    with_body(status, "application/json", body)
}

/// RFC 9700 section 4.12: never 307, so that a form is not sent on.
fn see_other(to: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = with_body(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn with_body(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
    (status, headers, body.into()).into_response()
}

fn set_cookie(change: &CookieChange) -> Option<HeaderValue> {
    let secure = if change.secure { "; Secure" } else { "" };
    let (name, path) = (&change.name, &change.path);
    let value = change.value.as_deref().unwrap_or_default();
    let max_age = if change.value.is_some() { change.max_age } else { 0 };
    HeaderValue::from_str(&format!(
        "{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}"
    ))
    .ok()
}
