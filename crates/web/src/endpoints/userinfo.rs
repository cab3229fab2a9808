//! UserInfo (OpenID Connect Core section 5.3).

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::Shared;
use crate::{extract, respond};

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/userinfo"), get(userinfo).post(userinfo))
}

async fn userinfo(State(web): State<Shared>, request: Request) -> Response {
    let peer = extract::peer(&web, &request);
    let bearer = extract::bearer(request.headers());
    match web.provider.userinfo(&peer, bearer.as_deref()).await {
        Ok(claims) => respond::json(claims.object()),
        Err(error) => respond::error(&error, false),
    }
}
