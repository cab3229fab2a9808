//! Every grant by a real kubectl before a real API server that believes `obol serve`.

use serde_json::json;
use std::fs;
use std::path::Path;
use testkit::peers::{ApiServer, ApiServerOptions, Kubectl, OpenIdConnect, until};

use super::PASSWORD;
use crate::run::{err, fed, obol, out};
use crate::scenarios::{Page, Place, Provider, binary};
use crate::walker::Walker;

struct Cluster {
    provider: Provider,
    server: ApiServer,
}

impl Cluster {
    async fn start() -> Self {
        let hash = fed(&mut obol(&["hash-password"]), PASSWORD);
        let page = Page::of(CONFIG).with("HASH", out(&hash).trim_end());
        let provider = Provider::start(page, Place::choose()).await;
        let oidc = OpenIdConnect {
            issuer: provider.issuer.clone(),
            client_id: "kubectl".into(),
            ca_file: provider.ca_file.clone(),
            username_claim: "sub".into(),
            username_prefix: "oidc:".into(),
            groups_claim: Some("groups".into()),
            groups_prefix: Some("oidc:".into()),
        };
        let options = ApiServerOptions { oidc: Some(oidc), ..ApiServerOptions::default() };
        let server = ApiServer::start(&options).await.unwrap();
        server.admin().apply(ROLE).await.unwrap();
        Self { provider, server }
    }

    /// kubectl with the plugin, waiting for a browser that writes down where it was sent.
    fn kubectl(&self, name: &str, flags: &[&str]) -> Kubectl {
        let folder = self.provider.folder.path();
        let browser = self
            .provider
            .file("browser", &format!("#!/bin/sh\necho \"$1\" >> '{}'\n", folder.join(name).display()));
        fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut args = vec![
            "get-token".to_owned(),
            format!("--oidc-issuer-url={}", self.provider.issuer),
            "--listen-address=127.0.0.1:0".into(),
            format!("--certificate-authority={}", self.provider.ca_file.display()),
            format!("--browser-command={}", browser.display()),
            format!("--token-cache-dir={}", folder.join(format!("{name}.cache")).display()),
        ];
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": binary(), "args": args});
        self.server.kubectl_as(name, &json!({ "exec": exec })).unwrap()
    }

    fn sign_in(&self, at: &str) {
        let ca = fs::read_to_string(&self.provider.ca_file).unwrap();
        let page = Walker::new(Some(&ca), &[("login", "ana@example.com"), ("password", PASSWORD)]).walk(at);
        assert_eq!(page.status, 200, "{page:?}");
    }
}

const PERSON: &str = "--oidc-extra-scope=email,groups,offline_access";

/// The API server fetches the issuer's keys some seconds after it is ready.
async fn lists(kubectl: &Kubectl) {
    let listed = until("kubectl lists", async || {
        let said = kubectl.run(&["get", "namespaces", "-o", "name"]).await.map_err(|e| e.to_string())?;
        if said.is_ok { Ok(said.stdout) } else { Err(said.stderr) }
    });
    assert!(listed.await.unwrap().contains("namespace/kube-system"));
}

async fn address(folder: &Path, name: &str) -> String {
    let read = async || {
        let text = fs::read_to_string(folder.join(name)).map_err(|e| e.to_string())?;
        text.lines().next().map(str::to_owned).ok_or_else(|| "nothing yet".to_owned())
    };
    until("a tab", read).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn kubectl_signs_in_by_every_grant() {
    let cluster = Cluster::start().await;
    let password = cluster
        .kubectl("password", &["--oidc-client-id=kubectl", PERSON, "--username=ana@example.com"])
        .with("OBOL_PASSWORD", PASSWORD);
    lists(&password).await;
    let refused = password.run(&["create", "configmap", "mine", "-n", "default"]).await.unwrap();
    assert!(refused.stderr.contains("User \"oidc:"), "{}", refused.stderr);

    for (name, flags) in [("authcode", vec![]), ("device", vec!["--grant-type=device-code"])] {
        let kubectl = cluster.kubectl(name, &[&["--oidc-client-id=kubectl", PERSON], &flags[..]].concat());
        let signing_in = async {
            cluster.sign_in(&address(cluster.provider.folder.path(), name).await);
        };
        tokio::join!(lists(&kubectl), signing_in);
        let tabs = fs::read_to_string(cluster.provider.folder.path().join(name)).unwrap();
        assert_eq!(tabs.lines().count(), 1, "{name}");
    }

    // A client as itself, whose token is for another.
    let robot = [
        "--oidc-client-id=robot",
        "--grant-type=client-credentials",
        "--scope=openid audience:server:client_id:kubectl",
    ];
    let robot = cluster.kubectl("client", &robot).with("OBOL_CLIENT_SECRET", "canary-secret");
    let said = robot.run(&["get", "namespaces"]).await.unwrap();
    assert!(
        said.stderr.contains("User \"oidc:"),
        "RBAC knows it and allows nothing: {} {}",
        said.stdout,
        said.stderr
    );

    let silent =
        cluster.kubectl("silent", &["--oidc-client-id=kubectl", PERSON, "--username=ben@example.com"]);
    let said = silent.run(&["get", "namespaces"]).await.unwrap();
    assert!(
        !said.is_ok && said.stderr.contains("kubectl says that nobody is at the terminal: set OBOL_PASSWORD"),
        "{}",
        said.stderr
    );
}

/// Twenty kubectl at once, as a script starts them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn twenty_kubectl_at_once_open_one_tab() {
    let cluster = Cluster::start().await;
    let kubectl = cluster.kubectl("many", &["--oidc-client-id=kubectl", PERSON]);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let kubectl = kubectl.clone();
        all.spawn(async move { kubectl.run(&["get", "namespaces", "-o", "name"]).await.unwrap() });
    }
    cluster.sign_in(&address(cluster.provider.folder.path(), "many").await);
    for said in all.join_all().await {
        // The API server may not know the issuer's keys yet; the plugin has done its part all the same.
        assert!(!said.stderr.contains("getting credentials"), "{}", said.stderr);
    }
    lists(&kubectl).await;
    let tabs = fs::read_to_string(cluster.provider.folder.path().join("many")).unwrap();
    assert_eq!(tabs.lines().count(), 1);
    let log = cluster.provider.log();
    assert_eq!(log.matches("action=authorization_code").count(), 1, "{log}");
}

/// The reviews are younger than this API server; its refusal names the user.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn an_old_api_server_says_who_one_is_by_refusing() {
    let cluster = Cluster::start().await;
    let flags = ["--oidc-client-id=kubectl", PERSON, "--username=ana@example.com"];
    lists(&cluster.kubectl("old", &flags).with("OBOL_PASSWORD", PASSWORD)).await;
    let kubeconfig = cluster.server.ca_file().with_file_name("old.kubeconfig");
    let mut whoami = obol(&["whoami", "--json", "--kubeconfig", kubeconfig.to_str().unwrap()]);
    let told = whoami.env("OBOL_PASSWORD", PASSWORD).output().unwrap();
    let report: serde_json::Value =
        serde_json::from_str(out(&told)).unwrap_or_else(|_| panic!("{}", err(&told)));
    assert!(report["cluster"]["username"].as_str().unwrap().starts_with("oidc:"), "{report}");
    assert_eq!(report["provider"]["verified"], true, "{report}");
}

const ROLE: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "look"}, "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}]},
{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "look"},
 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "look"},
 "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "oidc:admins"}]}]}"#;

const CONFIG: &str = r#"
issuer: https://obol.example.com
storage: {type: memory}
web:
  https: 0.0.0.0:5556
  tlsCert: /etc/obol/tls.crt
  tlsKey: /etc/obol/tls.key
oauth2:
  grantTypes: [authorization_code, refresh_token, password, client_credentials, "urn:ietf:params:oauth:grant-type:device_code"]
  passwordConnector: local
enablePasswordDB: true
staticPasswords:
- {email: ana@example.com, hash: "HASH", username: ana, userID: "1", groups: [admins]}
staticClients:
- {id: kubectl, name: kubectl, public: true, trustedPeers: [robot]}
- {id: robot, name: Robot, secret: canary-secret, redirectURIs: ["https://robot.example/"]}
"#;
