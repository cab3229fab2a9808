//! The discovery documents (OpenID Connect Discovery section 4; RFC 8414 section 3).

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use super::Shared;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    // RFC 8414 puts its path between host and issuer path; both places are served.
    let mut paths = vec![
        format!("{prefix}/.well-known/openid-configuration"),
        format!("{prefix}/.well-known/oauth-authorization-server"),
    ];
    if !prefix.is_empty() {
        paths.push(format!("/.well-known/oauth-authorization-server{prefix}"));
    }
    paths.iter().fold(Router::new(), |router, path| router.route(path, get(document)))
}

async fn document(State(web): State<Shared>, headers: HeaderMap) -> Response {
    web.documents.discovery(&web.provider, &headers)
}
