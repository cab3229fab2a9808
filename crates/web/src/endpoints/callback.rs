//! `/callback` and `/callback/{connector}`: back from an upstream, or through a proxy that says who it is. Which of the two is
//! the connector's to say; the path goes along as it came, since only one spelling of it is good.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use provider::connector::Inbound;

use super::Shared;
use super::auth::parse;
use crate::{extract, respond};

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new()
        .route(&format!("{prefix}/callback"), get(arrive))
        .route(&format!("{prefix}/callback/{{connector}}"), get(arrive))
}

async fn arrive(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let cookies = extract::cookies(request.headers());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let connection = request.extensions().get::<inbound::Peer>().map(|peer| peer.address.ip());
    let inbound = Inbound { connection, headers: request.headers() };
    let path = request.uri().path();
    let outcome =
        async { web.provider.arrive(&peer, path, &parse(&query)?, cookies.as_deref(), &inbound).await };
    respond::login(&web, &visitor, outcome.await)
}
