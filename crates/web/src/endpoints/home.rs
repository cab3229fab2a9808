//! The issuer's own URL: says what this is.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::Shared;
use crate::{extract, respond};

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(if prefix.is_empty() { "/" } else { prefix }, get(home))
}

async fn home(State(web): State<Shared>, request: Request) -> Response {
    let living = web.provider.living();
    let discovery = living.settings.issuer.endpoint("/.well-known/openid-configuration");
    respond::page(200, web.pages.home(&extract::visitor(&request), &discovery))
}
