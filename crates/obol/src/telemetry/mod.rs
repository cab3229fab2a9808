//! What operators see: logs, audit lines and metrics, all made from events.

mod audit;
mod board;
mod health;
mod lines;
mod logs;
mod metrics;
mod scribe;

use std::net::SocketAddr;

use config::{Fields, Read as _};

pub(crate) use audit::Audit;
pub(crate) use board::{Board, METRICS_KIND};
pub(crate) use health::service;
pub(crate) use lines::Line;
pub(crate) use logs::Logger;
pub(crate) use metrics::Metrics;
pub(crate) use scribe::{Entry, Scribe};

/// `telemetry` and `logger` (dex.md 2.2).
pub(crate) struct Settings {
    /// Where metrics and probes are served.
    pub(crate) http: Option<SocketAddr>,
    /// How logs are written.
    pub(crate) logger: Logger,
}

impl Settings {
    pub(crate) fn read(root: &mut Fields<'_>) -> Self {
        let mut fields = root.group("telemetry");
        let http = fields.take("http").filter(|field| !field.is_blank()).and_then(|field| {
            let text = String::read(&field)?;
            let parsed = web::socket_address(&text);
            if parsed.is_none() {
                field.error("is not host:port", "write it as 127.0.0.1:5558");
            }
            parsed
        });
        fields.unsupported(&["enableProfiling"]);
        fields.finish();
        Self { http, logger: Logger::read(root.group("logger")) }
    }
}
