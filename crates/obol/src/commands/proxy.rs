//! `obol proxy`: OpenID Connect for a cluster whose API server cannot be configured. The flags are kube-oidc-proxy's.

mod log;
mod serve;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ambient::Secret;
use anyhow::ensure;
use proxy::{Extras, Mapping, Mode, Prefixes};
use token::{Alg, AlgSet};
use url::Url;

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
    /// The issuer whose tokens are accepted, as it stands in them
    #[arg(long, value_name = "URL")]
    oidc_issuer_url: String,
    /// The audience that tokens must be meant for
    #[arg(long, value_name = "ID")]
    oidc_client_id: String,
    /// The CA of the issuer; the machine's roots if not given
    #[arg(long, value_name = "FILE")]
    oidc_ca_file: Option<PathBuf>,
    /// The claim that holds the user name
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    oidc_username_claim: String,
    /// Stands before every user name
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    oidc_username_prefix: String,
    /// How the username prefix is read: as it stands, or as kube-apiserver reads it (empty means <issuer>#, - means none)
    #[arg(long, value_name = "RULES", value_enum, default_value_t = PrefixRules::Literal)]
    oidc_prefix_rules: PrefixRules,
    /// The claim that holds the groups: a string or an array of strings
    #[arg(long, value_name = "CLAIM")]
    oidc_groups_claim: Option<String>,
    /// Stands before every group
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    oidc_groups_prefix: String,
    /// The signature algorithms that are accepted
    #[arg(long, value_name = "ALGS", value_delimiter = ',', default_value = "RS256", value_parser = alg)]
    oidc_signing_algs: Vec<Alg>,
    /// A claim that tokens must have with exactly this string; may be repeated
    #[arg(long, value_name = "CLAIM=VALUE", value_parser = pair)]
    oidc_required_claim: Vec<(String, String)>,
    /// `system:` groups that a token may carry all the same
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    allow_reserved_groups: Vec<String>,

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

    /// The API server; in a pod, its own if not given
    #[arg(long, short = 's', value_name = "URL")]
    server: Option<Url>,
    /// The CA of the API server; the machine's roots if not given
    #[arg(long, value_name = "FILE", requires = "server")]
    certificate_authority: Option<PathBuf>,
    /// A file with the proxy's token; read again while it runs
    #[arg(long, value_name = "FILE", requires = "server", group = "credential")]
    token_file: Option<PathBuf>,
    /// The proxy's token. Every process of the machine can read it here: prefer --token-file
    #[arg(long, value_name = "TOKEN", requires = "server", group = "credential")]
    token: Option<Secret<String>>,
    /// The proxy's client certificate
    #[arg(long, value_name = "FILE", requires_all = ["server", "client_key"], group = "credential")]
    client_certificate: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,

    /// Pass the caller's own token on instead of impersonating
    #[arg(long)]
    disable_impersonation: bool,
    /// Extra fields of every impersonated user; a repeated key has more values
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = pair, conflicts_with = "disable_impersonation")]
    extra_user_headers: Vec<(String, String)>,
    /// Add the caller's address to the extra fields as remote-client-ip
    #[arg(long, conflicts_with = "disable_impersonation")]
    extra_user_header_client_ip: bool,
}

/// How a prefix flag is read.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PrefixRules {
    /// As it stands
    Literal,
    /// As kube-apiserver reads it
    Apiserver,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        self.check()?;
        serve::run(&self, door)
    }

    fn check(&self) -> anyhow::Result<()> {
        for prefix in [&self.oidc_username_prefix, &self.oidc_groups_prefix] {
            ensure!(
                !prefix.starts_with("system:"),
                Usage(format!(
                    "the prefix {prefix:?} would make Kubernetes' own names of a token's: choose another"
                ))
            );
        }
        ensure!(
            self.secure_port != self.readiness_probe_port || self.secure_port == 0,
            Usage(format!("unable to securely serve on port {} (used by readiness probe)", self.secure_port))
        );
        let has_credential =
            self.token_file.is_some() || self.token.is_some() || self.client_certificate.is_some();
        ensure!(
            self.server.is_none() || has_credential || self.disable_impersonation,
            Usage(
                "--server needs --token-file, --token or --client-certificate: who is the proxy there?"
                    .into()
            )
        );
        Ok(())
    }

    fn mapping(&self) -> Mapping {
        let rules = match self.oidc_prefix_rules {
            PrefixRules::Literal => Prefixes::Literal,
            PrefixRules::Apiserver => Prefixes::ApiServer,
        };
        let claim = &self.oidc_username_claim;
        Mapping {
            username_claim: claim.clone(),
            username_prefix: rules.read(&self.oidc_username_prefix, &self.oidc_issuer_url, claim),
            groups_claim: self.oidc_groups_claim.clone().filter(|claim| !claim.is_empty()),
            groups_prefix: self.oidc_groups_prefix.clone(),
            required: self.oidc_required_claim.clone(),
        }
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

    fn algs(&self) -> AlgSet {
        self.oidc_signing_algs.iter().fold(AlgSet::NONE, |set, alg| set.with(*alg))
    }

    const fn secure_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.secure_port)
    }

    const fn probe_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.readiness_probe_port)
    }
}

/// The API server's nine; it knows no EdDSA.
fn alg(text: &str) -> Result<Alg, String> {
    Alg::parse(text)
        .filter(|_| KUBERNETES_ALGS.contains(&text))
        .ok_or_else(|| format!("unsupported signing alg; choose from {}", KUBERNETES_ALGS.join(", ")))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text} must be formatted as key=value")),
    }
}

const KUBERNETES_ALGS: [&str; 9] =
    ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

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
            &["--oidc-username-prefix=system:"][..],
            &["--oidc-groups-prefix=system:x:"],
            &["--secure-port=8080"],
            &["--server=https://a.test"],
            &["--server=https://a.test", "--token=a", "--token-file=b"],
            &["--token-file=b"],
            &["--server=https://a.test", "--client-certificate=a"],
            &["--oidc-required-claim=hd"],
            &["--oidc-signing-algs=HS256"],
            &["--oidc-signing-algs=none"],
            &["--oidc-signing-algs=EdDSA"],
            &["--disable-impersonation", "--extra-user-headers=a=b"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn attack_26_the_proxys_token_is_not_shown() {
        let args = read(&["--server=https://a.test", "--token=hunter2"]).unwrap();
        assert_eq!(args.token.as_ref().unwrap().expose(), "hunter2");
        assert!(!format!("{args:?}").contains("hunter2"));
    }

    #[test]
    fn flags_become_settings() {
        let args = read(&[
            "--oidc-required-claim=a=b,c=d",
            "--oidc-prefix-rules=apiserver",
            "--oidc-signing-algs=RS256,ES256",
            "--extra-user-headers=k1=foo,k2=bar,k1=bar",
            "--secure-port=0",
            "--readiness-probe-port=0",
        ])
        .unwrap();
        let mapping = args.mapping();
        assert_eq!(mapping.required, [("a".to_owned(), "b,c=d".to_owned())]);
        assert_eq!(mapping.username_prefix, "https://issuer.test#");
        assert_eq!(args.algs(), AlgSet::NONE.with(Alg::Rs256).with(Alg::Es256));
        let Mode::Impersonate(extras) = args.mode() else { panic!("it impersonates") };
        let expected = [("k1".into(), vec!["foo".into(), "bar".into()]), ("k2".into(), vec!["bar".into()])];
        assert_eq!(extras.fixed, expected);
    }
}
