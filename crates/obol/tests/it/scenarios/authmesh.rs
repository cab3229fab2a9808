//! `docs/scenarios/authmesh.md`

use serde_json::json;
use testkit::peers::{ApiServer, ApiServerOptions, Kubectl, OpenIdConnect, until};

use super::{Page, Place, Provider, binary, first_of};

struct Mesh {
    provider: Provider,
    target: ApiServer,
    first: ApiServer,
    second: ApiServer,
}

impl Mesh {
    async fn start() -> Self {
        let place = Place::choose();
        let options = ApiServerOptions::default();
        let (first, second) =
            (ApiServer::start(&options).await.unwrap(), ApiServer::start(&options).await.unwrap());
        first.publish_issuer().await.unwrap();
        second.publish_issuer().await.unwrap();
        let page = Page::open("authmesh.md")
            .with("https://cluster-1.example.com:6443", first.url())
            .with("/etc/obol/cluster-1-ca.pem", first.ca_file().display())
            .with("https://cluster-2.example.com:6443", second.url())
            .with("/etc/obol/cluster-2-ca.pem", second.ca_file().display());
        let roles = page.block("yaml", "kind: ClusterRoleBinding");
        let provider = Provider::start(page, place).await;
        let oidc = OpenIdConnect {
            issuer: provider.issuer.clone(),
            client_id: "cluster-3".into(),
            ca_file: provider.ca_file.clone(),
            username_claim: "sub".into(),
            username_prefix: "oidc:".into(),
            groups_claim: Some("groups".into()),
            groups_prefix: Some("oidc:".into()),
        };
        let target = ApiServer::start(&ApiServerOptions { oidc: Some(oidc), ..ApiServerOptions::default() })
            .await
            .unwrap();
        target.admin().apply(&roles).await.unwrap();
        Self { provider, target, first, second }
    }

    /// kubectl of a workload whose token stands in a file.
    fn kubectl(&self, name: &str, exec: &serde_json::Value) -> Kubectl {
        self.target
            .kubectl_as(name, &json!({ "exec": exec }))
            .unwrap()
            .with("HOME", self.provider.folder.path().to_str().unwrap())
    }

    /// The plugin as the page's kubeconfig configures it.
    fn documented_plugin(&self, token_file: &std::path::Path) -> serde_json::Value {
        let page = Page::open("authmesh.md")
            .with("https://obol.example.com", &self.provider.issuer)
            .with("/var/run/secrets/obol/token", token_file.display())
            .with("/etc/obol/ca.pem", self.provider.ca_file.display());
        let mut exec = first_of(&page.block("yaml", "users:"), "users")["user"]["exec"].clone();
        assert_eq!(exec["command"], "obol");
        exec["command"] = json!(binary());
        exec
    }

    /// The same for another connector.
    fn plugin(&self, token_file: &std::path::Path, connector: &str) -> serde_json::Value {
        json!({
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": binary(),
            "args": ["get-token", "--grant-type=token-exchange", format!("--oidc-issuer-url={}", self.provider.issuer),
                "--oidc-client-id=cluster-3", format!("--subject-token-file={}", token_file.display()),
                "--subject-token-type=urn:ietf:params:oauth:token-type:jwt", format!("--connector-id={connector}"),
                format!("--certificate-authority={}", self.provider.ca_file.display())],
        })
    }
}

#[tokio::test]
#[ignore = "peer: kube-apiserver, etcd, kubectl, curl, jq"]
async fn a_service_account_of_one_cluster_reaches_another() {
    let mesh = Mesh::start().await;
    let token = mesh.first.service_account_token("build", "robot", &mesh.provider.issuer).await.unwrap();
    let robot = mesh.kubectl("robot", &mesh.documented_plugin(&mesh.provider.file("robot.token", &token)));
    // The API server fetches the issuer's keys some seconds after it is ready.
    let listed = until("kubectl lists by exchange", async || {
        let said = robot.run(&["get", "namespaces", "-o", "name"]).await.map_err(|e| e.to_string())?;
        if said.is_ok { Ok(said.stdout) } else { Err(said.stderr) }
    });
    assert!(
        listed
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", mesh.provider.log()))
            .contains("namespace/kube-system")
    );
    let refused = robot.run(&["create", "configmap", "mine", "-n", "default"]).await.unwrap();
    assert!(refused.stderr.contains("oidc:cluster-1:build:robot"), "RBAC knows the name: {}", refused.stderr);

    with_curl_and_jq(&mesh, &token).await;
    others_are_refused(&mesh).await;
    assert!(!mesh.provider.log().contains(&token), "no token in the log");
}

/// The script of the page, as an exec plugin.
async fn with_curl_and_jq(mesh: &Mesh, token: &str) {
    let script = mesh.provider.file("curl-plugin", &Page::open("authmesh.md").block("sh", "curl"));
    let subject = mesh.provider.file("curl.token", token);
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh", "args": [script],
        "env": [{"name": "OBOL_ISSUER", "value": mesh.provider.issuer}, {"name": "OBOL_CA", "value": mesh.provider.ca_file},
            {"name": "OBOL_SUBJECT_TOKEN_FILE", "value": subject}],
    });
    let said = mesh.kubectl("curl", &exec).run(&["get", "namespaces", "-o", "name"]).await.unwrap();
    assert!(said.is_ok && said.stdout.contains("namespace/default"), "{}", said.stderr);
}

/// Another namespace, another audience, another cluster: each is verified or not, and refused.
async fn others_are_refused(mesh: &Mesh) {
    let issuer = &mesh.provider.issuer;
    let wrong = [
        (
            "elsewhere",
            mesh.first.service_account_token("default", "robot", issuer).await.unwrap(),
            "cluster-1",
        ),
        (
            "not-for-us",
            mesh.first.service_account_token("build", "robot", mesh.first.url()).await.unwrap(),
            "cluster-1",
        ),
        (
            "unmentioned",
            mesh.second.service_account_token("build", "robot", issuer).await.unwrap(),
            "cluster-2",
        ),
        (
            "pretending",
            mesh.second.service_account_token("build", "robot", issuer).await.unwrap(),
            "cluster-1",
        ),
    ];
    for (name, token, connector) in wrong {
        let file = mesh.provider.file(name, &token);
        let said =
            mesh.kubectl(name, &mesh.plugin(&file, connector)).run(&["get", "namespaces"]).await.unwrap();
        assert!(!said.is_ok && said.stderr.contains("invalid_request"), "{name}: {}", said.stderr);
    }
}
