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
    /// Never ends.
    pub async fn keep_keys(&self) {
        loop {
            let health = self.keys.health();
            if health.last_error.is_some() || health.age.is_none_or(|age| age > REFRESH_AFTER) {
                self.keys.warm();
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Answers one request to the probe's port. `?full=1` tells what is missing.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let told = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "full=1"));
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/live") => answer(StatusCode::OK, &serde_json::json!({})),
            (&Method::GET | &Method::HEAD, "/ready") => {
                let checks = [("serving", self.check_serving()), ("oidc-issuer", self.check_issuer())];
                let ready = checks.iter().all(|(_, check)| check.is_ok());
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let full = checks.into_iter().map(|(name, check)| (name.to_owned(), words(check).into()));
                answer(
                    status,
                    &if told { serde_json::Value::Object(full.collect()) } else { serde_json::json!({}) },
                )
            }
            _ => answer(StatusCode::NOT_FOUND, &serde_json::json!({})),
        }
    }

    fn check_serving(&self) -> Result<(), String> {
        if self.serving.load(Ordering::Acquire) { Ok(()) } else { Err("not accepting requests".into()) }
    }

    fn check_issuer(&self) -> Result<(), String> {
        let health = self.keys.health();
        match health.age {
            Some(age) if age <= self.serve_for && health.keys > 0 => Ok(()),
            _ => Err(health.last_error.map_or("no keys yet".into(), |error| error.to_string())),
        }
    }
}

fn words(check: Result<(), String>) -> String {
    check.map_or_else(|why| why, |()| "OK".into())
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
