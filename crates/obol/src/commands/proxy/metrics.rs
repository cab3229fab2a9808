//! Prometheus metrics of the proxy, under kube-apiserver's names where it has one. No label comes from a claim or a request.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use ambient::Observer;
use aws_lc_rs::digest;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use proxy::audit::Audit as Recorder;
use proxy::{Event, Outcome, Proxy};

use super::log::Audit;

/// All metrics, and the audit log behind them.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    attempts: Family<Attempt, Counter>,
    reloads: Family<Reload, Counter>,
    panics: Counter,
    handshakes: Counter,
    audit: Audit,
    proxy: OnceLock<Arc<Proxy>>,
    recorder: OnceLock<Arc<Recorder>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    outcome: &'static str,
    error: &'static str,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    status: &'static str,
}

impl Metrics {
    /// With the audit log that hears the same events.
    pub(super) fn new(audit: Audit) -> Arc<Self> {
        let mut registry = Registry::default();
        let (requests, attempts, reloads) = (Family::default(), Family::default(), Family::default());
        let (panics, handshakes) = (Counter::default(), Counter::default());
        registry.register("obol_proxy_requests", "Requests by what became of them", Family::clone(&requests));
        registry.register(
            "authentication_attempts",
            "Authenticated requests by result",
            Family::clone(&attempts),
        );
        registry.register(
            "apiserver_authentication_config_controller_automatic_reloads",
            "Changed authentication configurations by whether they were taken over",
            Family::clone(&reloads),
        );
        registry.register("obol_panics", "Requests that ended in a panic", Counter::clone(&panics));
        registry.register(
            "obol_failed_tls_handshakes",
            "Connections that never became one",
            Counter::clone(&handshakes),
        );
        let (proxy, recorder) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { registry, requests, attempts, reloads, panics, handshakes, audit, proxy, recorder })
    }

    /// Says whose issuers are looked at, and who records by a policy.
    pub(super) fn look_at(&self, proxy: Arc<Proxy>, recorder: Option<Arc<Recorder>>) {
        let _ = self.proxy.set(proxy);
        if let Some(recorder) = recorder {
            let _ = self.recorder.set(recorder);
        }
    }

    /// Counts a changed configuration.
    pub(super) fn reloaded(&self, taken_over: bool) {
        let status = if taken_over { "success" } else { "failure" };
        self.reloads.get_or_create(&Reload { status }).inc();
    }

    /// Resolves when everything that was told so far is written.
    pub(super) async fn written(&self) {
        self.audit.written().await;
    }

    /// The text that Prometheus reads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let _ = encode(&mut text, &self.registry);
        let mut more =
            format!("# TYPE obol_audit_lost counter\nobol_audit_lost_total {}\n", self.audit.lost());
        more.push_str(
            "# TYPE obol_proxy_issuer_keys gauge\n# TYPE obol_proxy_issuer_keys_age_seconds gauge\n",
        );
        for (issuer, keys) in self.proxy.get().map(|proxy| proxy.issuer_keys()).unwrap_or_default() {
            let (health, hash) = (keys.health(), hash(&issuer));
            let _ = writeln!(more, "obol_proxy_issuer_keys{{jwt_issuer_hash=\"{hash}\"}} {}", health.keys);
            if let Some(age) = health.age {
                let age = age.as_secs();
                let _ =
                    writeln!(more, "obol_proxy_issuer_keys_age_seconds{{jwt_issuer_hash=\"{hash}\"}} {age}");
            }
        }
        if let Some(recorder) = self.recorder.get() {
            more.push_str(&recorded(recorder));
        }
        // Before the end mark.
        text.replace("# EOF\n", &format!("{more}# EOF\n"))
    }
}

impl Observer<Event> for Metrics {
    fn observe(&self, event: &Event) {
        let (outcome, error, code) = match &event.outcome {
            Outcome::Passed { status, .. } => ("allow", "", status.as_u16().to_string()),
            Outcome::Refused { status, code, .. } => ("deny", *code, status.as_u16().to_string()),
            Outcome::Abandoned { .. } => ("abandoned", "", String::new()),
        };
        let result = match (&event.user, &event.outcome) {
            (Some(_), _) => "success",
            (None, Outcome::Refused { code: "no_token" | "unheard", .. }) => "failure",
            (None, _) => "error",
        };
        self.requests.get_or_create(&Request { outcome, error, code }).inc();
        self.attempts.get_or_create(&Attempt { result }).inc();
        self.audit.observe(event);
    }

    fn listens(&self) -> bool {
        self.audit.listens()
    }
}

impl Observer<inbound::Event> for Metrics {
    fn observe(&self, event: &inbound::Event) {
        match event {
            inbound::Event::Panicked { peer } => {
                self.panics.inc();
                tracing::error!(
                    "a request from {peer} ended in a panic and was answered with 500; please report it"
                );
            }
            inbound::Event::Handshake { peer, reason } => {
                self.handshakes.inc();
                tracing::debug!("no TLS with {peer}: {reason}");
            }
            other => tracing::warn!(event = ?other, "at the listener"),
        }
    }
}

/// kube-apiserver's names of what its audit counts.
fn recorded(recorder: &Recorder) -> String {
    let counted = recorder.counted();
    let mut text = format!(
        "# TYPE apiserver_audit_event counter\napiserver_audit_event_total {}\n\
         # TYPE apiserver_audit_requests_rejected counter\napiserver_audit_requests_rejected_total {}\n\
         # TYPE apiserver_audit_level counter\n",
        counted.events, counted.rejected
    );
    for (level, count) in counted.levels {
        let _ = writeln!(text, "apiserver_audit_level_total{{level=\"{level}\"}} {count}");
    }
    text.push_str("# TYPE apiserver_audit_error counter\n");
    for (plugin, count) in counted.lost {
        let _ = writeln!(text, "apiserver_audit_error_total{{plugin=\"{plugin}\"}} {count}");
    }
    text
}

/// As kube-apiserver names an issuer in a label.
fn hash(issuer: &str) -> String {
    let digest = digest::digest(&digest::SHA256, issuer.as_bytes());
    digest.as_ref().iter().fold(String::from("sha256:"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
