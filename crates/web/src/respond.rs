//! From answers to HTTP: the one place that knows status codes and headers.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use provider::error::{Error, Fault, Refusal};
use provider::login::{Answer, CookieChange, Notice, Reply, Stop};
use provider::store::StoreError;
use serde::Serialize;
use url::Url;
use wire::oauth::{ErrorCode, TokenResponse};

use crate::Web;
use crate::pages::Visitor;

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

/// Nothing more to say (RFC 7009 section 2.2).
pub(crate) fn done() -> Response {
    with_body(StatusCode::OK, "application/json", "")
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
pub(crate) fn login(web: &Web, visitor: &Visitor, outcome: Result<Reply, Stop>) -> Response {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(stop) => return stopped(web, visitor, stop),
    };
    let status = match &reply.answer {
        Answer::Password(form) if form.wrong => 401,
        Answer::Device(form) if form.wrong => 400,
        _ => 200,
    };
    let mut response = answered(web, visitor, status, &reply.answer);
    for cookie in reply.cookie.iter().chain(&reply.others).filter_map(set_cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn answered(web: &Web, visitor: &Visitor, status: u16, answer: &Answer) -> Response {
    let html = match answer {
        Answer::Redirect(to) => return see_other(to),
        Answer::FormPost(form) => return with_script(web, page(status, web.pages.form_post(visitor, form))),
        Answer::Choose(choices) => web.pages.choose(visitor, choices),
        Answer::Password(form) => web.pages.password(visitor, form),
        Answer::Consent(form) => {
            return with_image(web, page(status, web.pages.consent(visitor, form)), form.logo.as_ref());
        }
        Answer::ByHand(code) => web.pages.by_hand(visitor, code),
        Answer::Device(form) => web.pages.device(visitor, form),
        Answer::DeviceDone(client) => web.pages.device_done(visitor, client),
    };
    page(status, html)
}

/// The one page that runs a script, of ours: nothing else may.
fn with_script(web: &Web, mut response: Response) -> Response {
    if let Some(policy) = web.settings.headers.with_script() {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A client's image may be loaded by the page that shows it, from where it is and nowhere else.
fn with_image(web: &Web, mut response: Response, image: Option<&Url>) -> Response {
    if let Some(policy) = image.and_then(|image| web.settings.headers.with_image(image)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn stopped(web: &Web, visitor: &Visitor, stop: Stop) -> Response {
    match stop {
        Stop::Page { status, notice, detail } => {
            page(status, web.pages.error(visitor, notice, detail.as_deref()))
        }
        Stop::Back { way, code, told } => {
            let issuer = &web.provider.living().settings.issuer.text;
            match way.error(issuer, code, &told) {
                Some(answer) => answered(web, visitor, 200, &answer),
                None => page(400, web.pages.error(visitor, Notice::CannotBeGranted, Some(&told))),
            }
        }
        Stop::Fault(fault) => {
            complain("login", &fault);
            let notice = if matches!(fault, Fault::TooMany { .. }) { Notice::TooMany } else { Notice::Fault };
            with_wait(page(status_of(&fault).as_u16(), web.pages.error(visitor, notice, None)), &fault)
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
    complain("token", fault);
    let status = status_of(fault);
    let words = match fault {
        Fault::TooMany { .. } => "too many failed tries; please wait",
        _ => "this is our fault, or an upstream's; please try again",
    };
    with_wait(told(status, fault.code().as_str(), words), fault)
}

/// Whoever is held up for having been wrong stands in the audit log, and in no other.
fn complain(part: &str, fault: &Fault) {
    if !matches!(fault, Fault::TooMany { .. }) {
        tracing::error!(part, "{fault}");
    }
}

/// When to come again (RFC 9110 section 10.2.3).
fn with_wait(mut response: Response, fault: &Fault) -> Response {
    let wait = match fault {
        Fault::Busy { retry_after } | Fault::TooMany { retry_after } => {
            retry_after.as_millis().div_ceil(1000).max(1)
        }
        _ => 5,
    };
    let later = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
    if later.contains(&response.status())
        && let Ok(wait) = HeaderValue::from_str(&wait.to_string())
    {
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

fn status_of(fault: &Fault) -> StatusCode {
    match fault {
        Fault::Busy { .. } | Fault::Upstream(_) | Fault::Store(StoreError::Unavailable(_)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Fault::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
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
