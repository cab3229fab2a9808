//! wrk: a bounded load, and its report as numbers.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::last_core;
use super::load::Load;
use crate::peers;
use crate::shell::output;

/// What wrk saw.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    /// Answers that are neither 2xx nor 3xx, and broken connections.
    pub(crate) failed: u64,
    pub(crate) requests_per_second: f64,
    /// `50%` and so on, with what wrk says.
    pub(crate) latency: Vec<(String, String)>,
}

impl Report {
    /// Requests by the server's own CPU time: the figure that does not depend on how many cores there are.
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub(crate) fn requests_per_core_second(&self, cpu: Duration) -> f64 {
        self.requests.saturating_sub(self.failed) as f64 / cpu.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut report = Self { requests: 0, failed: 0, requests_per_second: 0.0, latency: Vec::new() };
        for line in text.lines().map(str::trim) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [percentile, latency] if percentile.ends_with('%') => {
                    report.latency.push(((*percentile).to_owned(), (*latency).to_owned()));
                }
                [requests, "requests", "in", ..] => report.requests = requests.parse().ok()?,
                ["Non-2xx", "or", "3xx", "responses:", failed] => {
                    report.failed += failed.parse::<u64>().ok()?;
                }
                ["Socket", "errors:", errors @ ..] => {
                    report.failed += errors
                        .iter()
                        .filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok())
                        .sum::<u64>();
                }
                ["Requests/sec:", rate] => report.requests_per_second = rate.parse().ok()?,
                _ => {}
            }
        }
        (report.requests > 0).then_some(report)
    }
}

/// Puts the load on, from another core than the first where there is one: pin the server to the first.
pub(crate) fn run(load: &Load) -> Result<Report> {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &last_core()?]).arg(peers::program("wrk", "wrk")?);
    command.args(["--threads", "1", "--latency", "--connections", &load.connections.to_string()]);
    command.arg("--duration").arg(format!("{}s", load.seconds));
    if let Some(script) = &load.script {
        command.arg("--script").arg(script);
    }
    let text = output(command.arg(&load.url))?;
    Report::parse(&text).with_context(|| format!("no request was answered; wrk says:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read_as_wrk_writes_it() {
        let text = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 16 connections\n  Thread Stats   Avg      \
            Stdev     Max   +/- Stdev\n    Latency     1.24ms    2.51ms  36.95ms   94.39%\n  Latency Distribution\n     \
            50%  635.00us\n     99%   13.25ms\n  46086 requests in 2.00s, 15.16MB read\n  Socket errors: connect 0, \
            read 3, write 0, timeout 1\n  Non-2xx or 3xx responses: 10\nRequests/sec:  23041.37\n";
        let report = Report::parse(text).unwrap();
        let latency = [("50%", "635.00us"), ("99%", "13.25ms")];
        assert_eq!(report.latency, latency.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((report.requests, report.failed), (46_086, 14));
        assert!((report.requests_per_second - 23_041.37).abs() < 0.01);
        assert!((report.requests_per_core_second(Duration::from_secs(2)) - 23_036.0).abs() < 0.01);
        assert_eq!(Report::parse("unable to connect"), None);
    }
}
