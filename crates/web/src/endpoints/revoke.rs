//! `/token/revoke` (RFC 7009), beside introspection.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use provider::error::{Error, Refusal};
use wire::form::Form;

use super::Shared;
use crate::extract::{self, Asked};
use crate::respond;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/token/revoke"), post(revoke).fallback(extract::only_post))
}

async fn revoke(State(web): State<Shared>, request: Request) -> Response {
    match answer(&web, request).await {
        Ok(()) => respond::done(),
        Err(error) => respond::error(&error, false),
    }
}

/// What stands in a URL ends up in logs: only the body is looked at.
async fn answer(web: &Shared, request: Request) -> Result<(), Error> {
    let asked = Asked::form(web, request, extract::TOKEN_FORM).await?;
    let form = Form::parse(&asked.body, &[]);
    let form = form.map_err(|error| Refusal::request(extract::malformed(&error)))?;
    web.provider.revoke(&asked.peer, asked.authorization.as_deref(), &form).await
}
