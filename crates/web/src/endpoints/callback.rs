//! `/callback`: back from an upstream.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::Shared;
use super::auth::parse;
use crate::{extract, respond};

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/callback"), get(arrive))
}

async fn arrive(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let cookies = extract::cookies(request.headers());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let outcome = async { web.provider.callback(&peer, &parse(&query)?, cookies.as_deref()).await };
    respond::login(&web, &visitor, outcome.await)
}
