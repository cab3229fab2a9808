//! `obol proxy`: OpenID Connect for a cluster whose API server cannot be configured. The flags are kube-oidc-proxy's.

mod audit;
mod log;
mod login;
mod metrics;
mod reload;
mod serve;
mod target;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use proxy::{Extras, Mode, TrustedProxies};

use audit::Auditing;
use login::Login;
use target::Server;

use crate::cli::Usage;
use crate::door::Door;

/// Put OpenID Connect login before a Kubernetes API server that cannot be configured for it.
///
/// Verifies each caller's token and passes the request on as that user, by impersonation; the API server's own RBAC decides.
/// Without --server it runs in a pod and uses the pod's service account.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  In a pod, whose service account may impersonate users and groups:
    obol proxy --oidc-issuer-url https://obol.example.com --oidc-client-id prod-cluster \\
      --oidc-username-prefix oidc: --oidc-groups-claim groups --oidc-groups-prefix oidc: \\
      --tls-cert-file /tls/tls.crt --tls-private-key-file /tls/tls.key

  Beside a cluster:
    obol proxy --server https://10.0.0.1:6443 --certificate-authority ca.crt --token-file token …")]
pub(crate) struct Args {
    #[command(flatten)]
    login: Login,

    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The port to serve HTTPS on; 0 takes a free one and prints it
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// The certificate to serve with, followed by its intermediates; read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert_file: PathBuf,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    tls_private_key_file: PathBuf,
    /// The port of /ready and /live, over plain HTTP; 0 takes a free one and prints it
    #[arg(long, short = 'P', value_name = "PORT", default_value_t = 8080)]
    readiness_probe_port: u16,
    /// Be ready only while every issuer's keys are known; otherwise those of one are enough
    #[arg(long)]
    readiness_require_all_issuers: bool,

    #[command(flatten)]
    api_server: Server,

    /// Pass the caller's own token on instead of impersonating
    #[arg(long)]
    disable_impersonation: bool,
    /// Pass tokens on that no issuer signed and the API server knows (TokenReview), service accounts' for example
    #[arg(long)]
    token_passthrough: bool,
    /// Such tokens must be meant for one of these; for the API server if not given
    #[arg(long, value_name = "AUDIENCES", value_delimiter = ',', requires = "token_passthrough")]
    token_passthrough_audiences: Vec<String>,
    /// Let callers impersonate whom they may by the API server's word (`kubectl --as`); refused otherwise
    #[arg(long, conflicts_with = "disable_impersonation")]
    allow_impersonation: bool,
    /// All questions whether one request may impersonate are answered within this time, or it is refused
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    subject_access_review_timeout: Duration,
    /// Extra fields of every impersonated user; a repeated key has more values
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = pair, conflicts_with = "disable_impersonation")]
    extra_user_headers: Vec<(String, String)>,
    /// Ranges of proxies before this one, whose X-Forwarded-For says who the client is
    #[arg(long, value_name = "CIDRS", default_value = "", hide_default_value = true, value_parser = ranges)]
    trusted_proxies: TrustedProxies,
    /// How long a watch, an exec or another stream may outlive its caller's token; `never` lets it
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = grace)]
    stream_grace: Grace,

    /// Tokens of one address that may fail each second, ten times as many at once; more are answered with 429. 0: any number
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    failures_per_second: u32,

    /// How much is logged: debug, info, warn or error
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How a line of the log looks
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Where Prometheus finds /metrics, over plain HTTP; nowhere if not given
    #[arg(long, value_name = "ADDRESS")]
    metrics_bind_address: Option<SocketAddr>,

    /// Add the caller's address to the extra fields as remote-client-ip
    #[arg(long, conflicts_with = "disable_impersonation")]
    extra_user_header_client_ip: bool,

    #[command(flatten)]
    audit: Auditing,
}

/// Not an option of clap's: it is always there, and may be `never`.
type Grace = Option<Duration>;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// For machines
    Json,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        self.check()?;
        serve::run(&std::sync::Arc::new(self), door)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.login.check()?;
        ensure!(
            self.secure_port != self.readiness_probe_port || self.secure_port == 0,
            Usage(format!("unable to securely serve on port {} (used by readiness probe)", self.secure_port))
        );
        self.api_server.check(!self.disable_impersonation)?;
        self.audit.check()
    }

    fn mode(&self) -> Mode {
        if self.disable_impersonation {
            return Mode::AsIs;
        }
        let mut fixed: Vec<(String, Vec<String>)> = Vec::new();
        for (key, value) in &self.extra_user_headers {
            match fixed.iter_mut().find(|(known, _)| known == key) {
                Some((_, values)) => values.push(value.clone()),
                None => fixed.push((key.clone(), vec![value.clone()])),
            }
        }
        Mode::Impersonate(Extras { fixed, client_ip: self.extra_user_header_client_ip })
    }

    const fn secure_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.secure_port)
    }

    const fn probe_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.readiness_probe_port)
    }
}

fn ranges(text: &str) -> Result<TrustedProxies, String> {
    TrustedProxies::read(text.split(',').filter(|range| !range.is_empty()))
}

fn grace(text: &str) -> Result<Grace, String> {
    match text {
        "never" => Ok(None),
        _ => config::parse_duration(text).map(Some).map_err(|error| error.to_string()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match config::parse_duration(text) {
        Ok(span) if !span.is_zero() => Ok(span),
        Ok(_) => Err("must be more than 0".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text} must be formatted as key=value")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(more: &[&str]) -> Result<Args, String> {
        let least = [
            "proxy",
            "--oidc-issuer-url=https://issuer.test",
            "--oidc-client-id=c",
            "--tls-cert-file=c",
            "--tls-private-key-file=k",
        ];
        let line = Line::try_parse_from(least.iter().chain(more)).map_err(|error| error.to_string())?;
        line.args.check().map_err(|error| error.to_string())?;
        Ok(line.args)
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for bad in [
            &["--secure-port=8080"][..],
            &["--server=https://a.test"],
            &["--trusted-proxies=everybody"],
            &["--stream-grace=soon"],
            &["--disable-impersonation", "--extra-user-headers=a=b"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn flags_become_settings() {
        let args = read(&[
            "--extra-user-headers=k1=foo,k2=bar,k1=bar",
            "--secure-port=0",
            "--readiness-probe-port=0",
        ])
        .unwrap();
        let Mode::Impersonate(extras) = args.mode() else { panic!("it impersonates") };
        let expected = [("k1".into(), vec!["foo".into(), "bar".into()]), ("k2".into(), vec!["bar".into()])];
        assert_eq!(extras.fixed, expected);
    }
}
