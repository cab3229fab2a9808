//! `/token/introspect` (RFC 7662), where Dex has it.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use provider::error::{Error, Refusal};
use provider::introspection::Introspection;
use wire::form::Form;

use super::Shared;
use crate::extract::{self, Asked};
use crate::respond;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/token/introspect"), post(introspect).fallback(extract::only_post))
}

async fn introspect(State(web): State<Shared>, request: Request) -> Response {
    match answer(&web, request).await {
        Ok(told) => respond::json(&told),
        Err(error) => respond::error(&error, false),
    }
}

/// What stands in a URL ends up in logs: only the body is looked at.
async fn answer(web: &Shared, request: Request) -> Result<Introspection, Error> {
    let asked = Asked::form(web, request, extract::TOKEN_FORM).await?;
    let form = Form::parse(&asked.body, &[]);
    let form = form.map_err(|error| Refusal::request(extract::malformed(&error)))?;
    web.provider.introspect(&asked.peer, asked.authorization.as_deref(), &form).await
}
