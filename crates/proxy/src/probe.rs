//! `/ready` and `/live`, told as they are at this moment: nothing is latched.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ambient::Clock;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use token::RemoteKeys;

use crate::Proxy;
use crate::body::Body;

/// Answers a load balancer's questions.
pub struct Probe {
    proxy: Arc<Proxy>,
    serve_for: Duration,
    every_issuer: bool,
    serving: AtomicBool,
    clock: Arc<dyn Clock>,
}

impl Probe {
    /// Looks at the issuers' keys, which verify tokens until they are `serve_for` old. Ready is who has those of one issuer,
    /// or of `every_issuer`; who has no issuer at all is ready without.
    pub const fn new(
        proxy: Arc<Proxy>,
        serve_for: Duration,
        every_issuer: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { proxy, serve_for, every_issuer, serving: AtomicBool::new(false), clock }
    }

    /// Says whether the proxy accepts requests: true once it listens, false when it drains.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    /// Sees to it that keys are there before somebody needs them, and come back after an outage though nobody asked.
    /// Never ends. What is wrong with them stands in the log, once a change: the probe's port tells it to nobody.
    pub async fn keep_keys(&self) {
        let mut logged = HashMap::new();
        loop {
            let all = self.proxy.issuer_keys();
            logged.retain(|known, _| all.iter().any(|(issuer, _)| issuer == known));
            for (issuer, keys) in all {
                let health = keys.health();
                let trouble = health.last_error.as_ref().map(ToString::to_string);
                if logged.insert(Arc::clone(&issuer), trouble.clone()).flatten() != trouble {
                    match trouble {
                        Some(why) => tracing::warn!(%issuer, why, "an issuer's keys cannot be had"),
                        None => tracing::info!(%issuer, "an issuer's keys can be had again"),
                    }
                }
                if health.last_error.is_some() || health.age.is_none_or(|age| age > REFRESH_AFTER) {
                    keys.warm();
                }
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
                let issuers: Vec<_> =
                    self.proxy.issuer_keys().iter().map(|(_, keys)| self.has_keys(keys)).collect();
                let enough = issuers.is_empty()
                    || if self.every_issuer {
                        issuers.iter().all(|has| *has)
                    } else {
                        issuers.contains(&true)
                    };
                let status =
                    if self.serves() && enough { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let serving = std::iter::once(("serving".to_owned(), self.serves()));
                let each = issuers.iter().enumerate().map(|(i, has)| (name(i, issuers.len()), *has));
                let full = serving.chain(each).map(|(name, passes)| (name, words(passes).into()));
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

    fn has_keys(&self, keys: &RemoteKeys) -> bool {
        let health = keys.health();
        health.keys > 0 && health.age.is_some_and(|age| age <= self.serve_for)
    }
}

/// Issuers are counted and not named: anybody may ask.
fn name(index: usize, of: usize) -> String {
    if of == 1 { "oidc-issuer".to_owned() } else { format!("oidc-issuer-{}", index + 1) }
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
