//! From HTTP to wire values, once per request.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Limited};
use provider::Peer;
use provider::error::Refusal;
use provider::login::Stop;
use wire::form::{BadForm, Form};

use crate::layers::RequestId;
use crate::{Web, respond};

/// A request with a form, read.
pub(crate) struct Asked {
    pub(crate) peer: Peer,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

impl Asked {
    /// A form in the body.
    pub(crate) async fn form(web: &Web, request: Request) -> Result<Self, Refusal> {
        let peer = peer(web, &request);
        let authorization = authorization(request.headers())?;
        let body = form_body(request).await?;
        Ok(Self { peer, authorization, body })
    }

    /// The query by GET, the form by POST.
    pub(crate) async fn query_or_form(web: &Web, request: Request) -> Result<Self, Stop> {
        if request.method() == Method::POST {
            return Self::form(web, request).await.map_err(|refusal| bad_form(&refusal));
        }
        let body = request.uri().query().unwrap_or_default().to_owned();
        Ok(Self { peer: peer(web, &request), authorization: None, body })
    }

    /// A form that one of our own pages sent. The attempt's cookie does not come along from elsewhere; this refuses
    /// early, and for browsers that know no SameSite.
    pub(crate) async fn same_site_form(web: &Web, request: Request) -> Result<Self, Stop> {
        if let Some(site) = request.headers().get("sec-fetch-site")
            && site != "same-origin"
            && site != "none"
        {
            return Err(Stop::page(403, "This form was sent from another site."));
        }
        Self::form(web, request).await.map_err(|refusal| bad_form(&refusal))
    }
}

/// Who asks.
pub(crate) fn peer(web: &Web, request: &Request) -> Peer {
    let connection = request.extensions().get::<inbound::Peer>().map(|peer| peer.address.ip());
    let request_id =
        request.extensions().get::<RequestId>().map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0));
    Peer { request_id, address: connection.map(|ip| web.settings.client_address.of(ip, request.headers())) }
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

async fn form_body(request: Request) -> Result<String, Refusal> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Refusal::request("the body must be application/x-www-form-urlencoded"));
    }
    let body = Limited::new(request.into_body(), MAX_FORM).collect().await;
    let body = body.map_err(|_| Refusal::request("the body is too large or broke off"))?.to_bytes();
    String::from_utf8(Vec::from(body)).map_err(|_| Refusal::request("the body is not UTF-8"))
}

fn bad_form(refusal: &Refusal) -> Stop {
    Stop::page(400, format!("The request is malformed: {}.", refusal.told))
}

/// A subject token of the largest size, an actor's, and the rest.
const MAX_FORM: usize = 160 * 1024;
