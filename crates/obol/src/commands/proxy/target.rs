//! Which API server, and as whom: a kubeconfig, flags, or the pod that we run in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambient::{Clock, Secret};
use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster::InCluster;
use config::{Faults, KeyStyle, Read as _};
use outbound::{Identity, Roots, TokenFile};
use proxy::{Credential, Target};
use serde_json::Value;
use url::Url;

use crate::cli::Usage;
use crate::door::Door;

/// Flags of the API server.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// A kubeconfig that says which API server, and the proxy's credential there
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one if not given
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// The cluster of the kubeconfig; the context's if not given
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    cluster: Option<String>,
    /// The user of the kubeconfig; the context's if not given
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    user: Option<String>,
    /// The API server; in a pod, its own if not given
    #[arg(long, short = 's', value_name = "URL")]
    server: Option<Url>,
    /// The CA of the API server; the machine's roots if not given
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// A file with the proxy's token; read again while it runs
    #[arg(long, value_name = "FILE", group = "credential")]
    token_file: Option<PathBuf>,
    /// The proxy's token. Every process of the machine can read it here: prefer --token-file
    #[arg(long, value_name = "TOKEN", group = "credential")]
    token: Option<Secret<String>>,
    /// The proxy's client certificate
    #[arg(long, value_name = "FILE", requires = "client_key", group = "credential")]
    client_certificate: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
}

impl Server {
    pub(super) fn check(&self, needs_credential: bool) -> anyhow::Result<()> {
        let of_flags = self.token_file.is_some() || self.token.is_some() || self.client_certificate.is_some();
        let outside = self.server.is_some() || self.kubeconfig.is_some();
        ensure!(
            outside || !(of_flags || self.certificate_authority.is_some()),
            Usage("a credential or a CA needs --server or --kubeconfig: whose is it?".into())
        );
        ensure!(
            self.server.is_none() || self.kubeconfig.is_some() || of_flags || !needs_credential,
            Usage(
                "--server needs --token-file, --token or --client-certificate: who is the proxy there?"
                    .into()
            )
        );
        Ok(())
    }

    /// Reads whatever there is to read. Flags count before the kubeconfig.
    pub(super) fn target(&self, door: &Door, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
        let written = self.kubeconfig.as_deref().map(|path| self.of_kubeconfig(path, clock)).transpose()?;
        let Some(server) =
            self.server.clone().or_else(|| written.as_ref().map(|target| target.server.clone()))
        else {
            return in_cluster(door, clock);
        };
        let roots = match (&self.certificate_authority, &written) {
            (Some(path), _) => Roots::Only(read(path)?),
            (None, Some(target)) => target.roots.clone(),
            (None, None) => Roots::System,
        };
        let credential = match self.credential(clock)? {
            Some(credential) => credential,
            // Only when callers go as they are: nothing of the proxy's is ever sent.
            None => written.map_or_else(|| Credential::Token(Secret::default()), |target| target.credential),
        };
        Ok(Target { server, roots, credential })
    }

    fn credential(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<Credential>> {
        Ok(match (&self.token_file, &self.token, &self.client_certificate, &self.client_key) {
            (Some(path), ..) => Some(token_file(path, clock)),
            (_, Some(token), ..) => Some(Credential::Token(token.clone())),
            (_, _, Some(chain), Some(key)) => Some(Credential::Certificate(Identity {
                chain_pem: read(chain)?,
                key_pem: Secret::new(read(key)?),
            })),
            _ => None,
        })
    }

    fn of_kubeconfig(&self, path: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
        let document = document(path)?;
        let config = Kubeconfig { document: &document, folder: path.parent().unwrap_or(Path::new("")) };
        config.target(self, clock).with_context(|| format!("{} cannot be used", path.display()))
    }
}

/// A kubeconfig; paths in it are relative to its folder.
struct Kubeconfig<'a> {
    document: &'a Value,
    folder: &'a Path,
}

impl Kubeconfig<'_> {
    fn target(&self, flags: &Server, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
        let context = self.context(flags.context.as_deref())?;
        let of_context = |key: &str| context.and_then(|context| context.get(key)).and_then(Value::as_str);
        let cluster = flags.cluster.as_deref().or(of_context("cluster")).context("no cluster is named")?;
        let user = flags.user.as_deref().or(of_context("user")).context("no user is named")?;
        let (server, roots) = self.server(cluster)?;
        Ok(Target { server, roots, credential: self.user(user, clock)? })
    }

    fn context(&self, wanted: Option<&str>) -> anyhow::Result<Option<&Value>> {
        let current = self.document.get("current-context").and_then(Value::as_str);
        let context = wanted.or(current).filter(|name| !name.is_empty());
        context.map(|name| self.named("contexts", "context", name)).transpose()
    }

    fn server(&self, cluster: &str) -> anyhow::Result<(Url, Roots)> {
        let cluster = self.named("clusters", "cluster", cluster)?;
        for key in ["insecure-skip-tls-verify", "tls-server-name", "proxy-url"] {
            ensure!(
                !is_set(cluster.get(key)),
                "{key} is not supported: anybody could pose as the API server, or nobody reach it"
            );
        }
        let server = cluster.get("server").and_then(Value::as_str).context("the cluster has no server")?;
        let roots = self.bytes(cluster, "certificate-authority")?.map_or(Roots::System, Roots::Only);
        Ok((Url::parse(server).context("the cluster's server is not a URL")?, roots))
    }

    fn user(&self, user: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Credential> {
        let user = self.named("users", "user", user)?;
        for key in ["exec", "auth-provider", "username", "as", "as-groups", "as-uid", "as-user-extra"] {
            ensure!(
                !is_set(user.get(key)),
                "users[].user.{key} is not supported: give a token or a certificate"
            );
        }
        self.credential(user, clock)
    }

    /// A receiver of audit events may want no credential.
    fn receiver(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<(Url, Roots, Option<Credential>)> {
        let context = self.context(None)?.context("it has no current-context")?;
        let of_context = |key: &str| context.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
        let (url, roots) = self.server(of_context("cluster").context("no cluster is named")?)?;
        let user = of_context("user").filter(|user| {
            let found = self.named("users", "user", user);
            !found.is_ok_and(|user| user.as_object().is_none_or(serde_json::Map::is_empty))
        });
        Ok((url, roots, user.map(|user| self.user(user, clock)).transpose()?))
    }

    fn credential(&self, user: &Value, clock: &Arc<dyn Clock>) -> anyhow::Result<Credential> {
        let text = |key: &str| user.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        // client-go lets the file count before the token.
        if let Some(file) = text("tokenFile") {
            return Ok(token_file(&self.folder.join(file), clock));
        }
        if let Some(token) = text("token") {
            return Ok(Credential::Token(Secret::from(token)));
        }
        match (self.bytes(user, "client-certificate")?, self.bytes(user, "client-key")?) {
            (Some(chain_pem), Some(key)) => {
                Ok(Credential::Certificate(Identity { chain_pem, key_pem: Secret::new(key) }))
            }
            _ => bail!("the user has no token and no certificate with its key"),
        }
    }

    fn named(&self, list: &str, key: &str, name: &str) -> anyhow::Result<&Value> {
        let all = self.document.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let entry = all.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
        entry
            .and_then(|entry| entry.get(key))
            .with_context(|| format!("it has no {key} {name:?} under {list}"))
    }

    /// What stands in `<key>-data`, or in the file that `<key>` names.
    fn bytes(&self, of: &Value, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let text = |key: &str| of.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(data) = text(&format!("{key}-data")) {
            return STANDARD.decode(data).map(Some).with_context(|| format!("{key}-data is not base64"));
        }
        text(key).map(|file| read(&self.folder.join(file))).transpose()
    }
}

/// Where audit events are sent, and as whom.
pub(super) fn of_receiver(
    path: &Path,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Url, Roots, Option<Credential>)> {
    let document = document(path)?;
    let config = Kubeconfig { document: &document, folder: path.parent().unwrap_or(Path::new("")) };
    config.receiver(clock).with_context(|| format!("{} cannot be used", path.display()))
}

fn document(path: &Path) -> anyhow::Result<Value> {
    let text = String::from_utf8(read(path)?).with_context(|| format!("{} is no text", path.display()))?;
    let faults = Faults::new();
    config::parse(&text, &faults)
        .and_then(|section| Value::read(&section.field(KeyStyle::Dex, &faults)))
        .with_context(|| format!("{} is no kubeconfig: {faults}", path.display()))
}

fn in_cluster(door: &Door, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
    let environment = &door.environment;
    let pod = InCluster::from(Path::new(cluster::MOUNT), |name| environment.get(name).map(str::to_owned))
        .context("without --server or --kubeconfig the proxy must run in a pod")?;
    let credential = token_file(&pod.token, clock);
    Ok(Target { server: pod.server, roots: Roots::Only(pod.ca_pem), credential })
}

fn token_file(path: &Path, clock: &Arc<dyn Clock>) -> Credential {
    Credential::TokenFile(Arc::new(TokenFile::new(path.to_owned(), Arc::clone(clock))))
}

fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use ambient::SystemClock;
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        server: Server,
    }

    fn target(more: &[&str], kubeconfig: &str) -> anyhow::Result<Target> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), "the authority").unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, kubeconfig).unwrap();
        let flag = format!("--kubeconfig={}", path.display());
        let line = Line::try_parse_from(["proxy", &flag].iter().chain(more))?;
        line.server.check(true)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        line.server.of_kubeconfig(&path, &clock)
    }

    const WHOLE: &str = r#"
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: c1, user: u1}}
- {name: two, context: {cluster: c1, user: u2}}
clusters:
- {name: c1, cluster: {server: "https://a.test:6443", certificate-authority: ca.crt}}
- {name: c2, cluster: {server: "https://b.test", certificate-authority-data: dGhlIG90aGVy, insecure-skip-tls-verify: true}}
users:
- {name: u1, user: {token: secret}}
- {name: u2, user: {tokenFile: t, token: other}}
- {name: u3, user: {exec: {command: x}}}
- {name: u4, user: {client-certificate-data: YQ==, client-key-data: Yg==}}
- {name: u5, user: {token: secret, as: admin}}
"#;

    #[test]
    fn a_kubeconfig_says_where_and_as_whom() {
        let one = target(&[], WHOLE).unwrap();
        assert_eq!(one.server.as_str(), "https://a.test:6443/");
        assert!(matches!(one.roots, Roots::Only(pem) if pem == b"the authority"));
        assert!(matches!(one.credential, Credential::Token(token) if token.expose() == "secret"));
        let two = target(&["--context=two"], WHOLE).unwrap();
        assert!(matches!(two.credential, Credential::TokenFile(file) if file.path().ends_with("t")));
        assert!(matches!(target(&["--user=u4"], WHOLE).unwrap().credential, Credential::Certificate(_)));
    }

    #[test]
    fn what_would_be_left_out_is_refused() {
        for (flags, part) in [
            (&["--user=u3"][..], "exec"),
            (&["--user=u5"], "as is not supported"),
            (&["--cluster=c2"], "insecure-skip-tls-verify"),
            (&["--context=none"], "no context"),
            (&["--user=none"], "no user"),
        ] {
            let error = format!("{:#}", target(flags, WHOLE).unwrap_err());
            assert!(error.contains(part), "{flags:?}: {error}");
        }
        assert!(target(&[], "[]").is_err());
        assert!(target(&[], "").is_err());
    }

    #[test]
    fn a_receiver_of_audit_events_may_want_no_credential() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let receiver = |user: &str, users: &str| {
            let text = format!(
                "current-context: c\ncontexts: [{{name: c, context: {{cluster: r, user: {user}}}}}]\n\
                 clusters: [{{name: r, cluster: {{server: \"http://audit.test/events?a=b\"}}}}]\nusers: {users}\n"
            );
            std::fs::write(&path, text).unwrap();
            of_receiver(&path, &clock).map(|(url, _, credential)| (url.to_string(), credential))
        };
        for (user, users) in [("\"\"", "[]"), ("u", "[{name: u, user: {}}]")] {
            let (url, credential) = receiver(user, users).unwrap();
            assert_eq!(url, "http://audit.test/events?a=b");
            assert!(credential.is_none());
        }
        let with_token = receiver("u", "[{name: u, user: {token: t}}]").unwrap().1;
        assert!(matches!(with_token, Some(Credential::Token(token)) if token.expose() == "t"));
        for (user, users) in [
            ("u", "[]"),
            ("u", "[{name: u, user: {exec: {command: x}}}]"),
            ("u", "[{name: u, user: {username: a}}]"),
        ] {
            assert!(receiver(user, users).is_err(), "{users}");
        }
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        for bad in [
            &["--server=https://a.test"][..],
            &["--server=https://a.test", "--token=a", "--token-file=b"],
            &["--token-file=b"],
            &["--certificate-authority=b"],
            &["--context=a"],
            &["--server=https://a.test", "--client-certificate=a"],
        ] {
            let line = Line::try_parse_from(["proxy"].iter().chain(bad));
            assert!(line.is_err() || line.unwrap().server.check(true).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn attack_26_the_proxys_token_is_not_shown() {
        let line = Line::try_parse_from(["proxy", "--server=https://a.test", "--token=hunter2"]).unwrap();
        assert_eq!(line.server.token.as_ref().unwrap().expose(), "hunter2");
        assert!(!format!("{line:?}").contains("hunter2"));
    }
}
