//! The style sheet and the icon: all that a page loads.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::Shared;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new()
        .route(&format!("{prefix}/static/obol.css"), get(async || kept("text/css; charset=utf-8", STYLE)))
        .route(&format!("{prefix}/static/obol.svg"), get(async || kept("image/svg+xml", ICON)))
        .route(&format!("{prefix}/robots.txt"), get(async || "User-agent: *\nDisallow: /\n"))
}

fn kept(kind: &'static str, content: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=3600")];
    (StatusCode::OK, headers, content).into_response()
}

const STYLE: &str = include_str!("../../static/obol.css");

const ICON: &str = include_str!("../../static/obol.svg");
