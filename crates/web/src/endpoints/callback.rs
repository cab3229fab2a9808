//! `/callback`: back from an upstream; `/callback/{connector}`: back through a proxy that says who it is.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use provider::connector::Inbound;

use super::Shared;
use super::auth::parse;
use crate::{extract, respond};

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new()
        .route(&format!("{prefix}/callback"), get(arrive))
        .route(&format!("{prefix}/callback/{{connector}}"), get(proxied))
}

async fn arrive(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let cookies = extract::cookies(request.headers());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let outcome = async { web.provider.callback(&peer, &parse(&query)?, cookies.as_deref()).await };
    respond::login(&web, &visitor, outcome.await)
}

async fn proxied(State(web): State<Shared>, Path(connector): Path<String>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let cookies = extract::cookies(request.headers());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let connection = request.extensions().get::<inbound::Peer>().map(|peer| peer.address.ip());
    let inbound = Inbound { connection, headers: request.headers() };
    let outcome = async {
        web.provider.proxied(&peer, &connector, &parse(&query)?, cookies.as_deref(), &inbound).await
    };
    respond::login(&web, &visitor, outcome.await)
}
