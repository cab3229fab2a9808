//! The time between listening and serving, which a store that does not answer makes long: whoever comes is told to come
//! again, the probes say why, and the store is asked until it answers.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ambient::{Clock, Secret};
use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use provider::error::Fault;
use provider::keys::Keeper;
use provider::store::StoreError;

/// What a listener answers with: first one router, and from some moment on another.
#[derive(Clone)]
pub(crate) struct Gate {
    closed: Router,
    opened: Arc<OnceLock<Router>>,
    /// Kept by each connection that has seen it open.
    through: Option<Router>,
}

impl Gate {
    /// Closed.
    pub(crate) fn new(closed: Router) -> Self {
        Self { closed, opened: Arc::default(), through: None }
    }

    /// From now on these routes answer, also along connections that there are already.
    pub(crate) fn open(&self, routes: Router) {
        let _ = self.opened.set(routes);
    }
}

impl tower::Service<Request<Incoming>> for Gate {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = <Router as tower::Service<Request<axum::body::Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let router = match (&mut self.through, self.opened.get()) {
            (Some(router), _) => router,
            (through, Some(opened)) => through.insert(opened.clone()),
            (None, None) => &mut self.closed,
        };
        tower::Service::call(router, request.map(axum::body::Body::new))
    }
}

/// Why nothing is served yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reason(Arc<Mutex<String>>);

impl Reason {
    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whatever is asked: come again.
pub(crate) fn later() -> Router {
    Router::new().fallback(async || {
        let again = [(header::RETRY_AFTER, "5"), (header::CACHE_CONTROL, "no-store")];
        (StatusCode::SERVICE_UNAVAILABLE, again, "not ready yet; try again\n")
    })
}

/// The probes: it lives, a restart would mend nothing, and this is what it waits for.
pub(crate) fn probes(reason: &Reason) -> Router {
    let asked = reason.clone();
    let ready = move || {
        let document =
            serde_json::json!({ "storage": { "healthy": false, "error": asked.text() } }).to_string();
        async {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (StatusCode::SERVICE_UNAVAILABLE, kind, document).into_response()
        }
    };
    Router::new()
        .route("/healthz", get(ready.clone()))
        .route("/healthz/ready", get(ready))
        .route("/healthz/live", get(async || "ok"))
        .fallback(async || StatusCode::SERVICE_UNAVAILABLE)
}

/// Loads the signing keys as soon as the store gives them. Each new reason why it does not is told once; `slow` is called
/// when clients should not be kept waiting for it any longer.
pub(crate) async fn load(
    keeper: &Keeper,
    clock: &dyn Clock,
    reason: &Reason,
    mut slow: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Secret<Vec<u8>>> {
    reason.set("the store has not answered yet".into());
    let mut loading = Box::pin(keeper.load());
    let soon = tokio::select! {
        loaded = &mut loading => Some(loaded),
        () = clock.sleep(SOON) => None,
    };
    let mut loaded = match soon {
        Some(loaded) => loaded,
        None => {
            slow()?;
            loading.await
        }
    };
    let mut told = String::new();
    loop {
        match loaded {
            Err(Fault::Store(StoreError::Unavailable(why))) => {
                slow()?;
                if why != told {
                    tracing::error!("nothing can be served yet: the store is unavailable: {why}");
                    told.clone_from(&why);
                }
                reason.set(why);
                clock.sleep(AGAIN).await;
                loaded = keeper.load().await;
            }
            loaded => return Ok(loaded?),
        }
    }
}

/// Who comes earlier waits instead of being told to come again.
const SOON: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(2);
