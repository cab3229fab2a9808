//! Whose tokens are accepted: the flags of one issuer, or a file of many.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambient::Secret;
use anyhow::{Context as _, ensure};
use config::Faults;
use outbound::Identity;
use proxy::{Anonymous, Configuration, IssuerSpec, Mapping, Named, Prefixes, Reserved, kubernetes_algs};
use token::{Alg, AlgSet};

use super::pair;
use crate::cli::Usage;

/// Flags of who may come.
#[derive(Debug, clap::Args)]
pub(super) struct Login {
    /// Kubernetes' AuthenticationConfiguration: many issuers, audiences and rules; read again when it changes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["oidc_issuer_url", "oidc_client_id", "oidc_ca_file",
        "oidc_username_prefix", "oidc_groups_claim", "oidc_groups_prefix", "oidc_required_claim"])]
    authentication_config: Option<PathBuf>,
    /// The issuer whose tokens are accepted, as it stands in them
    #[arg(long, value_name = "URL")]
    oidc_issuer_url: Option<String>,
    /// The audience that tokens must be meant for
    #[arg(long, value_name = "ID")]
    oidc_client_id: Option<String>,
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
    /// The certificate that is shown to issuers when their keys are fetched
    #[arg(long, value_name = "FILE", requires = "oidc_tls_client_key_file")]
    oidc_tls_client_cert_file: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "oidc_tls_client_cert_file")]
    oidc_tls_client_key_file: Option<PathBuf>,
    /// Let requests without any credential through as system:anonymous
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value_t = false)]
    anonymous_auth: bool,
    /// `system:` groups that a token may carry all the same
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    allow_reserved_groups: Vec<String>,
    /// `system:` user names that a token may carry all the same
    #[arg(long, value_name = "USERS", value_delimiter = ',')]
    allow_reserved_users: Vec<String>,
}

/// How a prefix flag is read.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PrefixRules {
    /// As it stands
    Literal,
    /// As kube-apiserver reads it
    Apiserver,
}

/// Whom the flags, or the file that they name, let in.
pub(super) struct Admitted {
    pub(super) issuers: Vec<IssuerSpec>,
    pub(super) anonymous: Anonymous,
}

impl Login {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for prefix in [&self.oidc_username_prefix, &self.oidc_groups_prefix] {
            ensure!(
                !prefix.starts_with("system:"),
                Usage(format!(
                    "the prefix {prefix:?} would make Kubernetes' own names of a token's: choose another"
                ))
            );
        }
        ensure!(
            self.oidc_issuer_url.is_some() == self.oidc_client_id.is_some(),
            Usage("oidc-issuer-url and oidc-client-id should be specified together".into())
        );
        ensure!(
            self.oidc_issuer_url.is_some() || self.authentication_config.is_some(),
            Usage("--oidc-issuer-url and --oidc-client-id, or --authentication-config: whose tokens are accepted?".into())
        );
        Ok(())
    }

    /// The file, if there is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.authentication_config.as_deref()
    }

    pub(super) fn reserved(&self) -> Reserved {
        Reserved { users: self.allow_reserved_users.clone(), groups: self.allow_reserved_groups.clone() }
    }

    /// Reads whatever there is to read.
    pub(super) fn admitted(&self) -> anyhow::Result<Admitted> {
        let read =
            |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
        match self.file() {
            Some(path) => self.of_file(&String::from_utf8_lossy(&read(path)?)),
            None => Ok(Admitted { issuers: self.of_flags(&read)?, anonymous: self.anonymous() }),
        }
    }

    /// Reads a text of the file; what is wrong with it is told on the log, every fault a line.
    pub(super) fn of_file(&self, text: &str) -> anyhow::Result<Admitted> {
        let name = self.file().map(|path| path.display().to_string()).unwrap_or_default();
        let faults = Faults::new();
        let read = Configuration::read(text, &name, &faults);
        for fault in faults.all() {
            match fault.severity {
                config::Severity::Error => tracing::error!("{name}:{fault}"),
                config::Severity::Warning => tracing::warn!("{name}:{fault}"),
            }
        }
        let first = faults.errors().first().map(ToString::to_string).unwrap_or_default();
        let Configuration { mut issuers, anonymous } =
            read.with_context(|| format!("{name} cannot be used: {first}"))?;
        ensure!(
            anonymous.is_none() || !self.anonymous_auth,
            "{name} says who may be anonymous, and so does --anonymous-auth: keep one"
        );
        let identity = self.identity()?;
        issuers.iter_mut().for_each(|issuer| issuer.identity.clone_from(&identity));
        Ok(Admitted { issuers, anonymous: anonymous.unwrap_or_else(|| self.anonymous()) })
    }

    fn of_flags(&self, read: &dyn Fn(&Path) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Vec<IssuerSpec>> {
        let (Some(url), Some(client)) = (&self.oidc_issuer_url, &self.oidc_client_id) else {
            return Ok(Vec::new());
        };
        Ok(vec![IssuerSpec {
            url: Arc::from(url.as_str()),
            discovery: None,
            ca_pem: self.oidc_ca_file.as_deref().map(read).transpose()?,
            identity: self.identity()?,
            audiences: vec![Arc::from(client.as_str())],
            algs: self.oidc_signing_algs.iter().fold(AlgSet::NONE, |set, alg| set.with(*alg)),
            mapping: Arc::new(self.mapping(url)),
        }])
    }

    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let (Some(chain), Some(key)) = (&self.oidc_tls_client_cert_file, &self.oidc_tls_client_key_file)
        else {
            return Ok(None);
        };
        let read =
            |path: &Path| std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()));
        Ok(Some(Identity { chain_pem: read(chain)?, key_pem: Secret::new(read(key)?) }))
    }

    const fn anonymous(&self) -> Anonymous {
        if self.anonymous_auth { Anonymous::Everywhere } else { Anonymous::Nobody }
    }

    fn mapping(&self, issuer: &str) -> Mapping {
        let rules = match self.oidc_prefix_rules {
            PrefixRules::Literal => Prefixes::Literal,
            PrefixRules::Apiserver => Prefixes::ApiServer,
        };
        let claim = &self.oidc_username_claim;
        let username = Named::claim(claim, rules.read(&self.oidc_username_prefix, issuer, claim));
        let groups = self.oidc_groups_claim.as_ref().filter(|claim| !claim.is_empty());
        let groups = groups.map(|claim| Named::claim(claim, &self.oidc_groups_prefix));
        Mapping { required: self.oidc_required_claim.clone(), ..Mapping::of_claims(username, groups) }
    }
}

/// The API server's nine; it knows no EdDSA.
fn alg(text: &str) -> Result<Alg, String> {
    Alg::parse(text)
        .filter(|alg| kubernetes_algs().contains(*alg))
        .ok_or_else(|| "unsupported signing alg; choose from RS, ES and PS with 256, 384 or 512".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        login: Login,
    }

    fn read(flags: &[&str]) -> Result<Login, String> {
        let line = Line::try_parse_from(["proxy"].iter().chain(flags)).map_err(|error| error.to_string())?;
        line.login.check().map_err(|error| error.to_string())?;
        Ok(line.login)
    }

    const LEAST: [&str; 2] = ["--oidc-issuer-url=https://issuer.test", "--oidc-client-id=c"];

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for bad in [
            &["--oidc-username-prefix=system:"][..],
            &["--oidc-groups-prefix=system:x:"],
            &["--oidc-required-claim=hd"],
            &["--oidc-signing-algs=HS256"],
            &["--oidc-signing-algs=none"],
            &["--oidc-signing-algs=EdDSA"],
            &["--oidc-tls-client-cert-file=c"],
            &["--authentication-config=f"],
        ] {
            assert!(read(&[&LEAST[..], bad].concat()).is_err(), "{bad:?}");
        }
        for bad in [
            &[][..],
            &["--oidc-issuer-url=https://issuer.test"],
            &["--oidc-client-id=c"],
            &["--authentication-config=f", "--oidc-required-claim=a=b"],
            &["--authentication-config=f", "--oidc-groups-claim=g"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn flags_become_an_issuer() {
        let more = [
            "--oidc-required-claim=a=b,c=d",
            "--oidc-prefix-rules=apiserver",
            "--oidc-signing-algs=RS256,ES256",
            "--allow-reserved-users=system:a",
        ];
        let login = read(&[&LEAST[..], &more].concat()).unwrap();
        let Admitted { issuers, anonymous } = login.admitted().unwrap();
        let [issuer] = &issuers[..] else { panic!("one issuer") };
        assert_eq!(issuer.mapping.required, [("a".to_owned(), "b,c=d".to_owned())]);
        assert!(matches!(&issuer.mapping.username, Named::Claim { claim, prefix }
            if claim == "sub" && prefix == "https://issuer.test#"));
        assert_eq!(issuer.algs, AlgSet::NONE.with(Alg::Rs256).with(Alg::Es256));
        assert_eq!((anonymous, login.reserved().users), (Anonymous::Nobody, vec!["system:a".to_owned()]));
    }

    #[test]
    fn a_file_and_a_flag_do_not_both_say_who_may_be_anonymous() {
        let login = read(&["--authentication-config=f", "--anonymous-auth"]).unwrap();
        let text = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";
        assert_eq!(login.of_file(text).unwrap().anonymous, Anonymous::Everywhere);
        assert!(login.of_file(&format!("{text}anonymous: {{enabled: false}}\n")).is_err());
    }
}
