//! What is recorded of requests, and where it goes: the API server's `--audit-*` flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, SystemRandom, Tasks};
use anyhow::{Context as _, ensure};
use config::Faults;
use outbound::{Bearer, Client, Dial, Options, Trust};
use proxy::Credential;
use proxy::audit::{Audit, Batch, Delivery, Format, LogFile, Mode, Policy, Receiver, Settings, Throttle};
use url::Host;

use super::{duration, target};
use crate::cli::Usage;

/// Flags of the audit log.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
pub(super) struct Auditing {
    /// What is recorded of which requests: Kubernetes' audit policy (`audit.k8s.io/v1`); read again when it changes
    #[arg(long, value_name = "FILE")]
    audit_policy_file: Option<PathBuf>,
    /// The longest body that is recorded in an event, in bytes; a longer one is left out
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
    audit_max_body_bytes: usize,

    /// The file that events are written to; - is standard output
    #[arg(long, value_name = "FILE", requires = "audit_policy_file")]
    audit_log_path: Option<PathBuf>,
    /// Days that rotated files are kept; 0: for ever
    #[arg(long, value_name = "DAYS", default_value_t = 366)]
    audit_log_maxage: u32,
    /// Rotated files that are kept; 0: all
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    audit_log_maxbackup: usize,
    /// Megabytes after which the file is rotated; 0: never
    #[arg(long, value_name = "MEGABYTES", default_value_t = 100)]
    audit_log_maxsize: u32,
    /// How an event is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Written::Json)]
    audit_log_format: Written,
    /// The version of events in the log; there is one
    #[arg(long, value_name = "VERSION", value_parser = ["audit.k8s.io/v1"], default_value = "audit.k8s.io/v1")]
    audit_log_version: String,
    #[command(flatten)]
    log: LogDelivery,

    /// The kubeconfig of the receiver that events are sent to
    #[arg(long, value_name = "FILE", requires = "audit_policy_file")]
    audit_webhook_config_file: Option<PathBuf>,
    /// How long the second try of a batch waits; each further one half as long again
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration,
        alias = "audit-webhook-batch-initial-backoff")]
    audit_webhook_initial_backoff: Duration,
    /// The version of events that are sent; there is one
    #[arg(long, value_name = "VERSION", value_parser = ["audit.k8s.io/v1"], default_value = "audit.k8s.io/v1")]
    audit_webhook_version: String,
    #[command(flatten)]
    webhook: WebhookDelivery,
}

/// How a line of the audit log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Written {
    /// As JSON
    Json,
    /// As a line of text with part of what is known
    Legacy,
}

/// What requests wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Waits {
    /// For nothing; events are stored in batches, and lost when too many wait
    Batch,
    /// Until their event is stored, or that has failed
    Blocking,
    /// As blocking; a request whose first event cannot be stored is refused
    BlockingStrict,
}

/// The same flags for each place where events go.
macro_rules! delivery_flags {
    ($name:ident, $place:literal, $mode:ident, $most:literal, $throttle:literal) => {
        #[derive(Debug, clap::Args)]
        struct $name {
            /// What requests wait for
            #[arg(id = concat!("audit_", $place, "_mode"), long = concat!("audit-", $place, "-mode"),
                value_name = "MODE", value_enum, default_value_t = Waits::$mode)]
            mode: Waits,
            /// Events that may wait or be under way, 64 MiB of them at most; more are lost
            #[arg(id = concat!("audit_", $place, "_queued"), long = concat!("audit-", $place, "-batch-buffer-size"),
                value_name = "NUMBER", default_value_t = 10_000)]
            queued: usize,
            /// Events in one batch
            #[arg(id = concat!("audit_", $place, "_most"), long = concat!("audit-", $place, "-batch-max-size"),
                value_name = "NUMBER", default_value_t = $most)]
            most: usize,
            /// How long the first event of a batch waits for more
            #[arg(id = concat!("audit_", $place, "_wait"), long = concat!("audit-", $place, "-batch-max-wait"),
                value_name = "DURATION", default_value = "30s", value_parser = duration)]
            wait: Duration,
            /// Limit the batches of a second
            #[arg(id = concat!("audit_", $place, "_throttle"), long = concat!("audit-", $place, "-batch-throttle-enable"),
                value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
                default_value_t = $throttle, action = clap::ArgAction::Set)]
            throttle: bool,
            /// Batches a second, where that is limited
            #[arg(id = concat!("audit_", $place, "_qps"), long = concat!("audit-", $place, "-batch-throttle-qps"),
                value_name = "NUMBER", default_value_t = 10.0)]
            per_second: f64,
            /// Batches at once after a pause, where that is limited
            #[arg(id = concat!("audit_", $place, "_burst"), long = concat!("audit-", $place, "-batch-throttle-burst"),
                value_name = "NUMBER", default_value_t = 15)]
            burst: u32,
            /// Leave the objects out of events that are too large, and such events out if that is not enough
            #[arg(id = concat!("audit_", $place, "_truncate"), long = concat!("audit-", $place, "-truncate-enabled"),
                value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
                default_value_t = false, action = clap::ArgAction::Set)]
            truncate: bool,
            /// Bytes of one batch
            #[arg(id = concat!("audit_", $place, "_most_batch"), long = concat!("audit-", $place, "-truncate-max-batch-size"),
                value_name = "BYTES", default_value_t = 10 * 1024 * 1024)]
            most_batch: usize,
            /// Bytes of one event, where too large ones are cut
            #[arg(id = concat!("audit_", $place, "_most_event"), long = concat!("audit-", $place, "-truncate-max-event-size"),
                value_name = "BYTES", default_value_t = 100 * 1024)]
            most_event: usize,
        }

        impl $name {
            fn delivery(&self) -> anyhow::Result<Delivery> {
                let Self { mode, queued, most, wait, throttle, per_second, burst, .. } = *self;
                let Self { truncate, most_batch, most_event, .. } = *self;
                let flag = |name: &str| concat!("--audit-", $place, "-").to_owned() + name;
                for (name, good) in [
                    ("batch-buffer-size", queued > 0),
                    ("batch-max-size", most > 0),
                    ("batch-throttle-qps", !throttle || per_second.is_finite() && per_second >= 0.001),
                    ("batch-throttle-burst", !throttle || burst > 0),
                    ("truncate-max-event-size", most_event > 0),
                ] {
                    ensure!(good, Usage(format!("{} must be a positive number", flag(name))));
                }
                ensure!(
                    most_batch >= most_event,
                    Usage(format!(
                        "{} must not be less than {}",
                        flag("truncate-max-batch-size"),
                        flag("truncate-max-event-size")
                    ))
                );
                Ok(Delivery {
                    mode: match mode {
                        Waits::Batch => Mode::Batch,
                        Waits::Blocking => Mode::Blocking,
                        Waits::BlockingStrict => Mode::BlockingStrict,
                    },
                    batch: Batch { queued, most, wait, throttle: throttle.then_some(Throttle { per_second, burst }) },
                    most_event: truncate.then_some(most_event),
                    most_batch,
                })
            }
        }
    };
}
delivery_flags!(LogDelivery, "log", Blocking, 1, false);
delivery_flags!(WebhookDelivery, "webhook", Batch, 400, true);

impl Auditing {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.audit_policy_file.is_none()
                || self.audit_log_path.is_some()
                || self.audit_webhook_config_file.is_some(),
            Usage(
                "--audit-policy-file needs --audit-log-path or --audit-webhook-config-file: where do events go?"
                    .into()
            )
        );
        self.log.delivery()?;
        self.webhook.delivery()?;
        Ok(())
    }

    /// The policy's file, if requests are recorded.
    pub(super) fn file(&self) -> Option<&Path> {
        self.audit_policy_file.as_deref()
    }

    /// Reads the policy and opens what events go to.
    pub(super) fn start(
        &self,
        dial: &Dial,
        clock: &Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> anyhow::Result<Option<Arc<Audit>>> {
        let Some(path) = self.file() else { return Ok(None) };
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let format = match self.audit_log_format {
            Written::Json => Format::Json,
            Written::Legacy => Format::Legacy,
        };
        let log = self.log_file().map(|file| anyhow::Ok((file, format, self.log.delivery()?))).transpose()?;
        let webhook = self.audit_webhook_config_file.as_deref();
        let webhook =
            webhook.map(|file| anyhow::Ok((self.receiver(file, dial, clock)?, self.webhook.delivery()?)));
        let webhook = webhook.transpose()?;
        let settings =
            Settings { policy: self.policy(&text)?, log, webhook, most_body: self.audit_max_body_bytes };
        let audit = Audit::start(settings, Arc::clone(clock), Arc::new(SystemRandom), tasks);
        let shown = || format!("the audit log {} cannot be opened", self.log_path().display());
        audit.with_context(shown).map(Some)
    }

    /// Reads a text of the policy; what is wrong with it is told on the log, every fault a line.
    pub(super) fn policy(&self, text: &str) -> anyhow::Result<Policy> {
        let name = self.file().map(|path| path.display().to_string()).unwrap_or_default();
        let faults = Faults::new();
        let read = Policy::read(text, &name, &faults);
        for fault in faults.all() {
            match fault.severity {
                config::Severity::Error => tracing::error!("{name}:{fault}"),
                config::Severity::Warning => tracing::warn!("{name}:{fault}"),
            }
        }
        let first = faults.errors().first().map(ToString::to_string).unwrap_or_default();
        read.with_context(|| format!("{name} cannot be used: {first}"))
    }

    fn log_path(&self) -> &Path {
        self.audit_log_path.as_deref().unwrap_or(Path::new("-"))
    }

    fn log_file(&self) -> Option<LogFile> {
        Some(LogFile {
            path: self.audit_log_path.clone()?,
            most_bytes: u64::from(self.audit_log_maxsize) * 1024 * 1024,
            most_backups: self.audit_log_maxbackup,
            most_age: Duration::from_secs(u64::from(self.audit_log_maxage) * 24 * 60 * 60),
        })
    }

    fn receiver(&self, file: &Path, dial: &Dial, clock: &Arc<dyn Clock>) -> anyhow::Result<Receiver> {
        let (url, roots, credential) = target::of_receiver(file, clock)?;
        let near = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if url.scheme() != "https" && !near {
            ensure!(
                credential.is_none(),
                "{}: a credential is not sent over plain http; write https",
                file.display()
            );
            tracing::warn!("audit events go to {} unencrypted", url.host_str().unwrap_or_default());
        }
        let (bearer, identity) = match credential {
            Some(Credential::TokenFile(file)) => (Some(Bearer::File(file)), None),
            Some(Credential::Token(token)) => (Some(Bearer::Fixed(token)), None),
            Some(Credential::Certificate(identity)) => (None, Some(identity)),
            None => (None, None),
        };
        let headers = http::HeaderMap::new();
        let options = Options {
            trust: Trust { roots, identity, skip_verify: false, any_name: false },
            credential: Some(outbound::Credential { origin: url.clone(), bearer, headers }),
            deadline: WITHIN,
        };
        let client =
            Client::new(dial, options).with_context(|| format!("{} cannot be used", file.display()))?;
        Ok(Receiver { url, client, backoff: self.audit_webhook_initial_backoff })
    }
}

/// One try of a webhook, as in the API server.
const WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        auditing: Auditing,
    }

    fn read(flags: &[&str]) -> Result<Auditing, String> {
        let line = Line::try_parse_from(["proxy"].iter().chain(flags)).map_err(|error| error.to_string())?;
        line.auditing.check().map_err(|error| error.to_string())?;
        Ok(line.auditing)
    }

    #[test]
    fn the_defaults_are_the_api_servers() {
        let flags =
            read(&["--audit-policy-file=p", "--audit-log-path=l", "--audit-webhook-config-file=w"]).unwrap();
        let (log, webhook) = (flags.log.delivery().unwrap(), flags.webhook.delivery().unwrap());
        assert_eq!((log.mode, webhook.mode), (Mode::Blocking, Mode::Batch));
        assert_eq!((log.batch.queued, log.batch.most, log.batch.throttle), (10_000, 1, None));
        assert_eq!((webhook.batch.most, webhook.batch.wait), (400, Duration::from_secs(30)));
        assert_eq!(webhook.batch.throttle, Some(Throttle { per_second: 10.0, burst: 15 }));
        assert_eq!((log.most_event, webhook.most_batch), (None, 10 * 1024 * 1024));
        assert_eq!(flags.audit_webhook_initial_backoff, Duration::from_secs(10));
        let file = flags.log_file().unwrap();
        assert_eq!((file.most_bytes, file.most_backups), (100 * 1024 * 1024, 100));
        assert_eq!(file.most_age, Duration::from_secs(366 * 24 * 60 * 60));
    }

    #[test]
    fn flags_are_read_as_the_api_server_reads_them() {
        let flags = read(&[
            "--audit-policy-file=p",
            "--audit-log-path=-",
            "--audit-log-mode=blocking-strict",
            "--audit-log-truncate-enabled",
            "--audit-webhook-batch-throttle-enable=false",
            "--audit-webhook-batch-initial-backoff=1s",
        ])
        .unwrap();
        assert_eq!(flags.log.delivery().unwrap().mode, Mode::BlockingStrict);
        assert_eq!(flags.log.delivery().unwrap().most_event, Some(100 * 1024));
        assert_eq!(flags.webhook.delivery().unwrap().batch.throttle, None);
        assert_eq!(flags.audit_webhook_initial_backoff, Duration::from_secs(1));
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for bad in [
            &["--audit-log-path=l"][..],
            &["--audit-webhook-config-file=w"],
            &["--audit-policy-file=p"],
            &["--audit-policy-file=p", "--audit-log-path=l", "--audit-log-mode=sometimes"],
            &["--audit-policy-file=p", "--audit-log-path=l", "--audit-log-version=audit.k8s.io/v1beta1"],
            &["--audit-policy-file=p", "--audit-log-path=l", "--audit-log-maxage=-1"],
            &["--audit-policy-file=p", "--audit-log-path=l", "--audit-webhook-batch-buffer-size=0"],
            &["--audit-policy-file=p", "--audit-log-path=l", "--audit-webhook-batch-throttle-qps=0"],
            &["--audit-policy-file=p", "--audit-log-path=l", "--audit-log-truncate-max-batch-size=1"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
