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

use super::{METRICS_KIND, Metrics};

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
    ([(header::CONTENT_TYPE, METRICS_KIND)], known.metrics.text()).into_response()
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use testkit::{Fault, Gate, Stage, Verb};
    use tower::ServiceExt as _;

    use super::*;
    use crate::telemetry::{Audit, Logger};

    fn probes(provider: &Arc<Provider>) -> Router {
        let faults = config::Faults::new();
        let root = config::Section::empty("logger");
        let logger = Logger::read(root.fields(config::KeyStyle::Dex, &faults));
        service(Arc::clone(provider), Metrics::new(Audit::start(&logger).unwrap()))
    }

    async fn ask(probes: &Router, path: &str) -> (u16, String) {
        let answer = probes.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_not_ready_and_recovers_without_a_restart() {
        let stage = Stage::new().await;
        let probes = probes(&stage.provider);
        assert_eq!(ask(&probes, "/healthz/ready").await.0, 200);
        stage.store.set_down(true);
        for path in ["/healthz/ready", "/healthz"] {
            let (status, body) = ask(&probes, path).await;
            assert!(status == 503 && body.contains("as planned"), "{status} {body}");
        }
        assert_eq!(ask(&probes, "/healthz/live").await, (200, "ok".into()), "a restart would mend nothing");
        stage.store.set_down(false);
        assert_eq!(ask(&probes, "/healthz/ready").await.0, 200);
    }

    #[tokio::test]
    async fn a_store_that_hangs_is_not_ready() {
        let stage = Stage::new().await;
        let (probes, gate) = (probes(&stage.provider), Gate::closed());
        stage.store.plan(Verb::Get, Fault::HoldBefore(gate.clone()));
        let asked = ask(&probes, "/healthz/ready");
        let passes = async {
            gate.reached().await;
            stage.clock.advance(PATIENCE + Duration::from_secs(1));
        };
        let ((status, body), ()) = tokio::join!(asked, passes);
        assert!(status == 503 && body.contains("in time"), "{status} {body}");
        assert_eq!(ask(&probes, "/healthz/ready").await.0, 200);
    }

    #[tokio::test]
    async fn without_signing_keys_it_is_not_ready() {
        let stage = Stage::new().await;
        let probes = probes(&stage.provider);
        stage.provider.ring().install_signers(Vec::new(), &[]);
        let (status, body) = ask(&probes, "/healthz/ready").await;
        assert!(status == 503 && body.contains(r#""keys":{"healthy":false}"#), "{status} {body}");
    }
}
