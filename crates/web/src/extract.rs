//! From HTTP to wire values, once per request.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use provider::Peer;
use provider::error::{Error, Refusal};
use provider::login::{Notice, Stop};
use wire::form::{BadForm, Form};

use crate::bodies::{Held, Room};
use crate::layers::RequestId;
use crate::pages::Visitor;
use crate::{Web, respond};

/// A request with a form, read.
pub(crate) struct Asked {
    pub(crate) peer: Peer,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
    /// What the body takes of the budget, until it is answered.
    _room: Option<Room>,
}

impl Asked {
    /// A form in the body, at most that large.
    pub(crate) async fn form(web: &Web, request: Request, most: usize) -> Result<Self, Error> {
        let peer = peer(web, &request);
        let authorization = authorization(request.headers())?;
        is_form(request.headers())?;
        let Held { bytes, room } = web.bodies.read(request.into_body(), most).await?;
        let body = String::from_utf8(bytes).map_err(|_| Refusal::request("the body is not UTF-8"))?;
        Ok(Self { peer, authorization, body, _room: room })
    }

    /// The query by GET, the form by POST.
    pub(crate) async fn query_or_form(web: &Web, request: Request) -> Result<Self, Stop> {
        if request.method() == Method::POST {
            return Self::form(web, request, PAGE_FORM).await.map_err(bad_form);
        }
        let body = request.uri().query().unwrap_or_default().to_owned();
        Ok(Self { peer: peer(web, &request), authorization: None, body, _room: None })
    }

    /// A form that one of our own pages sent. The attempt's cookie does not come along from elsewhere; this refuses
    /// early, and for browsers that know no SameSite.
    pub(crate) async fn same_site_form(web: &Web, request: Request) -> Result<Self, Stop> {
        if let Some(site) = request.headers().get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return Err(Stop::page(403, Notice::OtherSite));
        }
        Self::form(web, request, PAGE_FORM).await.map_err(bad_form)
    }
}

/// Who asks.
pub(crate) fn peer(web: &Web, request: &Request) -> Peer {
    let connection = request.extensions().get::<inbound::Peer>().map(|peer| peer.address.ip());
    let request_id =
        request.extensions().get::<RequestId>().map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0));
    Peer { request_id, address: connection.map(|ip| web.settings.client_address.of(ip, request.headers())) }
}

/// Whom a page is for.
pub(crate) fn visitor(request: &Request) -> Visitor {
    let accepted = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let request_id = request.extensions().get::<RequestId>().map(|id| Arc::clone(&id.0));
    Visitor { languages: accepted.map(str::to_owned), request_id: request_id.unwrap_or_default() }
}

/// The bearer token of the one `Authorization` header (RFC 6750 section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = authorization(headers).ok()??;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' '))
        .then(|| token.to_owned())
}

/// All cookies, as one header.
pub(crate) fn cookies(headers: &HeaderMap) -> Option<String> {
    let all: Vec<_> =
        headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// One parameter of the query; empty if it is not there.
pub(crate) fn named(request: &Request, name: &str) -> String {
    let form = Form::parse(request.uri().query().unwrap_or_default(), &[]).unwrap_or_default();
    form.get(name).unwrap_or_default().to_owned()
}

/// For the token and introspection endpoints: everything but POST.
pub(crate) async fn only_post() -> Response {
    let refusal = Refusal::request("this endpoint takes POST requests");
    let mut response = respond::error(&refusal.into(), false);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

/// What is wrong with a form. Names are repeated only if they look like one: a token sent in the place of a name is not.
pub(crate) fn malformed(error: &BadForm) -> Cow<'static, str> {
    match error {
        BadForm::Repeated(name)
            if name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') =>
        {
            error.to_string().into()
        }
        BadForm::Repeated(_) => "a parameter is given more than once".into(),
        other => other.to_string().into(),
    }
}

fn authorization(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one
            .to_str()
            .map(|text| Some(text.to_owned()))
            .map_err(|_| Refusal::request("the Authorization header is malformed")),
        (Some(_), Some(_)) => Err(Refusal::request("more than one Authorization header")),
    }
}

fn is_form(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(Refusal::request("the body must be application/x-www-form-urlencoded"))
}

fn bad_form(error: Error) -> Stop {
    match error {
        Error::Refusal(refusal) => Stop::detailed(400, Notice::Malformed, refusal.told),
        Error::Fault(fault) => Stop::Fault(fault),
    }
}

/// A subject token of the largest size, an actor's, and the rest.
pub(crate) const TOKEN_FORM: usize = 160 * 1024;

/// An authorization request, or what somebody typed.
const PAGE_FORM: usize = 16 * 1024;
