//! `/ready` and `/live`, told as they are at this moment: nothing is latched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ambient::Clock;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use token::RemoteKeys;

use crate::body::Body;

/// Answers a load balancer's questions.
pub struct Probe {
    keys: Arc<RemoteKeys>,
    serve_for: Duration,
    serving: AtomicBool,
    clock: Arc<dyn Clock>,
}

impl Probe {
    /// Looks at the issuer's keys, which verify tokens until they are `serve_for` old.
    pub const fn new(keys: Arc<RemoteKeys>, serve_for: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { keys, serve_for, serving: AtomicBool::new(false), clock }
    }

    /// Says whether the proxy accepts requests: true once it listens, false when it drains.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    /// Sees to it that keys are there before somebody needs them, and come back after an outage though nobody asked.
    /// Never ends. What is wrong with them stands in the log, once a change: the probe's port tells it to nobody.
    pub async fn keep_keys(&self) {
        let mut logged = None;
        loop {
            let health = self.keys.health();
            let trouble = health.last_error.as_ref().map(ToString::to_string);
            if trouble != logged {
                tracing::warn!(?trouble, "the issuer's keys");
                logged = trouble;
            }
            if health.last_error.is_some() || health.age.is_none_or(|age| age > REFRESH_AFTER) {
                self.keys.warm();
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Answers one request to the probe's port. `?full=1` tells which check fails, and not why: anybody may ask.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let told = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "full=1"));
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/live") => answer(StatusCode::OK, &serde_json::json!({})),
            (&Method::GET | &Method::HEAD, "/ready") => {
                let checks = [("serving", self.serves()), ("oidc-issuer", self.has_keys())];
                let ready = checks.iter().all(|(_, passes)| *passes);
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let full = checks.into_iter().map(|(name, passes)| (name.to_owned(), words(passes).into()));
                answer(
                    status,
                    &if told { serde_json::Value::Object(full.collect()) } else { serde_json::json!({}) },
                )
            }
            _ => answer(StatusCode::NOT_FOUND, &serde_json::json!({})),
        }
    }

    fn serves(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    fn has_keys(&self) -> bool {
        let health = self.keys.health();
        health.keys > 0 && health.age.is_some_and(|age| age <= self.serve_for)
    }
}

const fn words(passes: bool) -> &'static str {
    if passes { "OK" } else { "failed" }
}

fn answer(status: StatusCode, document: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string().into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Before keys stop being fresh by themselves, so that a quiet proxy notices an outage too.
const REFRESH_AFTER: Duration = Duration::from_mins(10);
