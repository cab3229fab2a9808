//! What stands around every endpoint, outermost first: request id, deadline, security headers.

use std::sync::Arc;
use std::time::Duration;

use ambient::RandomExt as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::endpoints::Shared;
use crate::settings::Settings;

/// The id of a request: ours, never the caller's, so that nobody writes into our logs.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Puts the layers around the routes.
pub(crate) fn around(routes: Router<Shared>, web: Shared) -> Router {
    routes.layer(from_fn_with_state(Arc::clone(&web), identify)).with_state(web)
}

/// CORS for endpoints that scripts of configured origins may call (dex.md 1.3); none without `allowedOrigins`.
pub(crate) fn cross_origin(routes: Router<Shared>, settings: &Settings) -> Router<Shared> {
    if settings.allowed_origins.is_empty() {
        return routes;
    }
    let any = settings.allowed_origins.iter().any(|origin| origin == "*");
    let origins = settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(origins) };
    let named = settings.allowed_headers.iter().filter_map(|name| name.parse::<HeaderName>().ok());
    let basic = [
        header::ACCEPT,
        header::ACCEPT_LANGUAGE,
        header::CONTENT_LANGUAGE,
        header::CONTENT_TYPE,
        header::ORIGIN,
    ];
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(basic.into_iter().chain(named).collect::<Vec<_>>())
        .allow_origin(allowed);
    routes.layer(layer)
}

async fn identify(State(web): State<Shared>, mut request: Request, next: Next) -> Response {
    let around = web.provider.around();
    let id: Arc<str> = around.random.hex(8).into();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let late = around.clock.sleep(DEADLINE);
    let mut response = tokio::select! {
        response = next.run(request) => response,
        () = late => (StatusCode::SERVICE_UNAVAILABLE, "the request took too long\n").into_response(),
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in web.settings.headers.iter() {
        headers.entry(name.clone()).or_insert_with(|| value.clone());
    }
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// For one request, its body and every upstream it waits for.
const DEADLINE: Duration = Duration::from_secs(60);
