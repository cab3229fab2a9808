//! Whether this listener answers at all; the truth about the parts stands at the telemetry listener.

use axum::Router;
use axum::routing::get;

use super::Shared;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/healthz"), get(async || "Health check passed"))
}
