//! The JWK Set.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use super::Shared;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/keys"), get(keys))
}

async fn keys(State(web): State<Shared>, headers: HeaderMap) -> Response {
    web.documents.keys(&web.provider, &headers)
}
