//! The telemetry listener: metrics and probes that tell the truth each time they are asked.

use std::sync::Arc;
use std::time::Duration;

use ambient::Observer;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use provider::Provider;

use super::Metrics;

#[derive(Clone)]
struct Known {
    provider: Arc<Provider>,
    metrics: Arc<Metrics>,
}

/// The routes (dex.md 1.20).
pub(crate) fn service(provider: Arc<Provider>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(async |State(known): State<Known>| measured(&known)))
        .route("/healthz", get(async |State(known): State<Known>| ready(&known).await))
        .route("/healthz/ready", get(async |State(known): State<Known>| ready(&known).await))
        .route("/healthz/live", get(async || "ok"))
        .with_state(Known { provider, metrics })
}

fn measured(known: &Known) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], known.metrics.text()).into_response()
}

/// Ready: there are keys to sign with, the store answers now, and the audit log takes what is decided.
async fn ready(known: &Known) -> Response {
    let keys = known.provider.ring().jwks().is_some();
    let late = known.provider.around().clock.sleep(PATIENCE);
    let store = tokio::select! {
        found = known.provider.check_store() => found.map_err(|error| error.to_string()),
        () = late => Err("the store does not answer in time".to_owned()),
    };
    let audit = Observer::<provider::event::Event>::listens(&*known.metrics);
    let healthy = keys && store.is_ok() && audit;
    let document = serde_json::json!({
        "audit": { "healthy": audit },
        "keys": { "healthy": keys },
        "storage": { "healthy": store.is_ok(), "error": store.err() },
    });
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

const PATIENCE: Duration = Duration::from_secs(2);
