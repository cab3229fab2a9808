//! A real Kubernetes API server on an etcd of its own: no nodes, no controllers, but the real authenticator, RBAC,
//! service-account issuer and token requests.
//!
//! Without controllers nothing fills aggregated roles (`view`, `edit`, `admin`) and nothing makes default service
//! accounts: tests create plain roles and what else they need.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, free_port, until};
use super::{Etcd, Kubectl};
use crate::TestCa;

/// A running API server. Its process stops before its etcd does.
#[derive(Debug)]
pub struct ApiServer {
    process: Process,
    url: String,
    ca_file: PathBuf,
    admin: Kubectl,
    folder: TempDir,
    _etcd: Etcd,
}

/// How to start it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whose ID tokens it accepts (the flags `--oidc-…`).
    pub oidc: Option<OpenIdConnect>,
    /// The issuer of its service-account tokens; its own URL if `None`.
    pub service_account_issuer: Option<String>,
    /// Further flags, as they stand.
    pub flags: Vec<String>,
}

/// The flags `--oidc-…`.
#[derive(Debug, Clone)]
pub struct OpenIdConnect {
    /// `--oidc-issuer-url`; it must be https.
    pub issuer: String,
    /// `--oidc-client-id`
    pub client_id: String,
    /// `--oidc-ca-file`
    pub ca_file: PathBuf,
    /// `--oidc-username-claim`
    pub username_claim: String,
    /// `--oidc-username-prefix`
    pub username_prefix: String,
    /// `--oidc-groups-claim`
    pub groups_claim: Option<String>,
    /// `--oidc-groups-prefix`
    pub groups_prefix: Option<String>,
}

impl ApiServer {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// If it, or its etcd, does not come up.
    pub async fn start(options: &Options) -> io::Result<Self> {
        let etcd = Etcd::start().await?;
        let folder = TempDir::new()?;
        let ca_file = write_certificates(folder.path())?;
        write_service_account_keys(folder.path())?;
        fs::write(folder.path().join("tokens.csv"), format!("{ADMIN_TOKEN},admin,u0,\"system:masters\"\n"))?;
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let mut command = Command::new(super::place("KUBE_APISERVER")?);
        command.args(flags(options, &etcd, folder.path(), port));
        let kubeconfig = folder.path().join("admin.kubeconfig");
        write_kubeconfig(&kubeconfig, &url, &ca_file, &json!({"token": ADMIN_TOKEN}))?;
        let admin = Kubectl::new(&kubeconfig)?;
        let mut process = Process::start("kube-apiserver", &mut command, folder.path())?;
        let is_ready = async || admin.run(&["get", "--raw", "/readyz"]).await.is_ok_and(|said| said.is_ok);
        process.ready(is_ready).await?;
        Ok(Self { process, url, ca_file, admin, folder, _etcd: etcd })
    }

    /// Where it serves.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The CA of its certificate, in PEM.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// kubectl that may do everything.
    pub const fn admin(&self) -> &Kubectl {
        &self.admin
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// kubectl as `user`: the object under `users[].user` of a kubeconfig (`{"token": …}`, `{"exec": {…}}`).
    ///
    /// # Errors
    /// If the kubeconfig cannot be written.
    pub fn kubectl_as(&self, name: &str, user: &Value) -> io::Result<Kubectl> {
        let kubeconfig = self.folder.path().join(format!("{name}.kubeconfig"));
        write_kubeconfig(&kubeconfig, &self.url, &self.ca_file, user)?;
        Kubectl::new(&kubeconfig)
    }

    /// A token of a service account for an audience, by the TokenRequest API; makes namespace and account if missing.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audience: &str,
    ) -> io::Result<String> {
        let account = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        ]});
        self.admin.apply(&account.to_string()).await?;
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let answer =
            self.admin.run_with(&["create", "--raw", &path, "-f", "-"], &request.to_string()).await?;
        let answer: Value = serde_json::from_str(&answer.result()?)?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        token.map(str::to_owned).ok_or_else(|| io::Error::other(format!("no token in {answer}")))
    }

    /// Lets everybody read the discovery document and the keys of its service-account issuer.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn publish_issuer(&self) -> io::Result<()> {
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "public-issuer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                "name": "system:service-account-issuer-discovery"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
                "name": "system:unauthenticated"}]});
        self.admin.apply(&binding.to_string()).await
    }

    /// Waits until it lets a token in. Its OIDC authenticator fetches the issuer's documents some ten seconds after
    /// it says that it is ready.
    ///
    /// # Errors
    /// If it does not.
    pub async fn accepts(&self, token: &str) -> io::Result<()> {
        let bearer = self.kubectl_as("accepts", &json!({"token": token}))?;
        until("the API server accepts the token", async || {
            let said = bearer.run(&["get", "--raw", "/api"]).await.map_err(|error| error.to_string())?;
            if said.is_ok { Ok(()) } else { Err(said.stderr) }
        })
        .await
    }
}

fn flags(options: &Options, etcd: &Etcd, folder: &Path, port: u16) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let url = format!("https://127.0.0.1:{port}");
    let issuer = options.service_account_issuer.as_ref().unwrap_or(&url);
    let mut flags = vec![
        format!("--etcd-servers={}", etcd.url()),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.display()),
        format!("--tls-cert-file={}", path("server.crt")),
        format!("--tls-private-key-file={}", path("server.key")),
        format!("--token-auth-file={}", path("tokens.csv")),
        format!("--service-account-issuer={issuer}"),
        format!("--service-account-jwks-uri={url}/openid/v1/jwks"),
        format!("--service-account-key-file={}", path("sa.pub")),
        format!("--service-account-signing-key-file={}", path("sa.key")),
        "--service-cluster-ip-range=10.99.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ];
    if let Some(oidc) = &options.oidc {
        let optional =
            |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("--oidc-{name}={value}"));
        flags.extend([
            format!("--oidc-issuer-url={}", oidc.issuer),
            format!("--oidc-client-id={}", oidc.client_id),
            format!("--oidc-ca-file={}", oidc.ca_file.display()),
            format!("--oidc-username-claim={}", oidc.username_claim),
            format!("--oidc-username-prefix={}", oidc.username_prefix),
        ]);
        flags.extend(optional("groups-claim", &oidc.groups_claim));
        flags.extend(optional("groups-prefix", &oidc.groups_prefix));
    }
    flags.extend(options.flags.iter().cloned());
    flags
}

/// The path of the CA.
fn write_certificates(folder: &Path) -> io::Result<PathBuf> {
    let authority = TestCa::new();
    let leaf = authority.leaf(&["localhost", "127.0.0.1"]);
    let ca_file = folder.join("ca.crt");
    fs::write(&ca_file, authority.pem())?;
    fs::write(folder.join("server.crt"), leaf.cert_pem)?;
    fs::write(folder.join("server.key"), leaf.key_pem)?;
    Ok(ca_file)
}

/// RSA, as nearly every cluster has it.
fn write_service_account_keys(folder: &Path) -> io::Result<()> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(io::Error::other)?;
    fs::write(folder.join("sa.key"), key.serialize_pem())?;
    fs::write(folder.join("sa.pub"), key.public_key_pem())
}

fn write_kubeconfig(path: &Path, url: &str, ca_file: &Path, user: &Value) -> io::Result<()> {
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": ca_file}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]});
    fs::write(path, kubeconfig.to_string())
}

/// Good for one loopback server that lives as long as one test.
const ADMIN_TOKEN: &str = "admin-token-of-one-test";
