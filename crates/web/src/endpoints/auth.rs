//! `/auth`, `/auth/{connector}` and its password form (dex.md 1.8, 1.9).

use ambient::Secret;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use provider::login::{Notice, Stop};
use wire::form::Form;

use super::Shared;
use crate::extract::{self, Asked};
use crate::respond;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new()
        .route(&format!("{prefix}/auth"), get(authorize).post(authorize))
        .route(&format!("{prefix}/auth/{{connector}}"), get(begin))
        .route(&format!("{prefix}/auth/{{connector}}/login"), get(form).post(submit))
}

/// By GET the request is the query, by POST the form (OpenID Connect Core section 3.1.2.1).
async fn authorize(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let outcome = async {
        let asked = Asked::query_or_form(&web, request).await?;
        let form = parse(&asked.body)?;
        web.provider.authorize(&asked.peer, &asked.body, &form).await
    };
    respond::login(&web, &visitor, outcome.await)
}

async fn begin(State(web): State<Shared>, Path(connector): Path<String>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let query = request.uri().query().unwrap_or_default().to_owned();
    let cookies = extract::cookies(request.headers());
    let outcome =
        async { web.provider.begin_login(&peer, &connector, &parse(&query)?, cookies.as_deref()).await };
    respond::login(&web, &visitor, outcome.await)
}

async fn form(State(web): State<Shared>, Path(connector): Path<String>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let cookies = extract::cookies(request.headers());
    let state = extract::named(&request, "state");
    respond::login(&web, &visitor, web.provider.password_page(&peer, &connector, &state, cookies.as_deref()))
}

async fn submit(State(web): State<Shared>, Path(connector): Path<String>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let outcome = async {
        let (cookies, state) = (extract::cookies(request.headers()), extract::named(&request, "state"));
        let asked = Asked::same_site_form(&web, request).await?;
        let form = parse(&asked.body)?;
        let password = Secret::from(form.get("password").unwrap_or_default());
        let name = form.get("login").unwrap_or_default();
        web.provider
            .submit_password(&asked.peer, &connector, &state, cookies.as_deref(), name, &password)
            .await
    };
    respond::login(&web, &visitor, outcome.await)
}

/// Parameters that stand twice have no meaning (RFC 6749 section 3.1).
pub(super) fn parse(text: &str) -> Result<Form<'_>, Stop> {
    Form::parse(text, &[]).map_err(|error| Stop::detailed(400, Notice::Malformed, extract::malformed(&error)))
}
