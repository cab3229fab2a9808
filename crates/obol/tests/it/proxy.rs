//! `obol proxy` before a real API server, asked by a real kubectl.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::peers::{ApiServer, ApiServerOptions, Kubectl, until};
use testkit::{Issuer, TestCa};

/// `obol proxy`, ended when it is dropped.
struct Running {
    child: Child,
    serving: String,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(server: &ApiServer, issuer: &Issuer, own_token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).display().to_string()
        };
        let ca = TestCa::new();
        let leaf = ca.leaf(&[]);
        write("ca.crt", ca.pem());
        let flags = [
            ("oidc-issuer-url", issuer.issuer()),
            ("oidc-client-id", "cluster".into()),
            ("oidc-ca-file", write("issuer.crt", issuer.ca_pem())),
            ("oidc-signing-algs", "ES256".into()),
            ("oidc-username-prefix", "oidc:".into()),
            ("oidc-groups-claim", "groups".into()),
            ("oidc-groups-prefix", "oidc:".into()),
            ("bind-address", "127.0.0.1".into()),
            ("secure-port", "0".into()),
            ("readiness-probe-port", "0".into()),
            ("tls-cert-file", write("tls.crt", &leaf.cert_pem)),
            ("tls-private-key-file", write("tls.key", &leaf.key_pem)),
            ("server", server.url().to_owned()),
            ("certificate-authority", server.ca_file().display().to_string()),
            ("token-file", write("token", own_token)),
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_obol"))
            .arg("proxy")
            .args(flags.map(|(name, value)| format!("--{name}={value}")))
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let serving = printed.next().unwrap().strip_prefix("serving on ").unwrap().to_owned();
        assert!(printed.next().unwrap().starts_with("probes on http://"));
        Self { child, serving, folder }
    }

    fn kubectl(&self, token: &str) -> Kubectl {
        let ca = self.folder.path().join("ca.crt");
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.serving, "certificate-authority": ca}}],
            "users": [{"name": "jane", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "jane"}}]});
        let path = self.folder.path().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        Kubectl::new(&path).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

#[tokio::test]
#[ignore = "peer: kube-apiserver, kubectl"]
async fn kubectl_lists_watches_and_applies_through_the_proxy() {
    let server = ApiServer::start(&ApiServerOptions::default()).await.unwrap();
    let own = server.service_account_token("obol", "obol-proxy", server.url()).await.unwrap();
    let issuer = Issuer::start().await;
    let running = Running::start(&server, &issuer, &own);
    let token = issuer.token(json!({"sub": "jane", "aud": "cluster", "groups": ["developers"]})).sign();
    let kubectl = running.kubectl(&token);
    let list = ["get", "configmaps", "--namespace=obol"];

    // Not `get configmaps`: while kubectl may not even look around, it prints "unknown", also without a proxy.
    let raw = ["get", "--raw", "/api/v1/namespaces/obol/configmaps"];
    let refused = kubectl.run(&raw).await.unwrap();
    assert!(refused.stderr.contains(r#"cannot impersonate resource "users""#), "{}", refused.stderr);

    // The proxy's rights, as the documentation gives them.
    server.admin().apply(&documented_rights()).await.unwrap();
    let refused = until("the proxy may impersonate", async || {
        let refused = kubectl.run(&raw).await.unwrap().stderr;
        if refused.contains("cannot impersonate") { Err(refused) } else { Ok(refused) }
    });
    let refused = refused.await.unwrap();
    assert!(refused.contains(r#"User "oidc:jane" cannot list resource "configmaps""#), "{refused}");

    server.admin().apply(&developers_rights().to_string()).await.unwrap();
    until("developers may list", async || {
        let said = kubectl.run(&list).await.unwrap();
        if said.is_ok { Ok(()) } else { Err(said.stderr) }
    })
    .await
    .unwrap();
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "obol"}});
    kubectl.apply(&map.to_string()).await.unwrap();
    assert!(kubectl.run(&list).await.unwrap().result().unwrap().contains("mine"));
    let watch = "/api/v1/namespaces/obol/configmaps?watch=1&resourceVersion=0&timeoutSeconds=1";
    let watched = kubectl.run(&["get", "--raw", watch]).await.unwrap().result().unwrap();
    assert!(watched.contains(r#""type":"ADDED""#) && watched.contains(r#""name":"mine""#), "{watched}");

    for (args, complaint) in [
        (
            &["get", "configmaps", "--namespace=obol", "--as=admin"][..],
            "Error from server (Forbidden): Impersonation",
        ),
        (&["get", "configmaps", "--namespace=obol", "--token=garbage"], "Unauthorized"),
    ] {
        let said = kubectl.run(args).await.unwrap();
        assert!(!said.is_ok && said.stderr.contains(complaint), "{}", said.stderr);
    }
    let log = running.log();
    assert!(log.contains("oidc:jane") && !log.contains(&token) && !log.contains(own.as_str()), "{log}");
}

fn developers_rights() -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
         "metadata": {"name": "developers", "namespace": "obol"},
         "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
         "metadata": {"name": "developers", "namespace": "obol"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "developers"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "oidc:developers"}]},
    ]})
}

/// The YAML of `docs/proxy.md`.
fn documented_rights() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proxy.md");
    let text = std::fs::read_to_string(page).unwrap();
    text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}
