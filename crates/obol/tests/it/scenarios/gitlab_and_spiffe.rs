//! `docs/scenarios/gitlab-and-spiffe.md`, with issuers of the documented shapes: neither GitLab nor
//! SPIRE can be had. The target is a real API server.

use serde_json::{Value, json};
use testkit::Issuer;
use testkit::issuer::Route;
use testkit::peers::{ApiServer, ApiServerOptions, OpenIdConnect, until};

use super::{Page, Place, Provider};
use crate::run::{err, obol, out};

struct Scene {
    provider: Provider,
    gitlab: Issuer,
    spire: Issuer,
}

impl Scene {
    async fn start() -> Self {
        let place = Place::choose();
        let (gitlab, spire) = (Issuer::start().await, Issuer::start().await);
        let folder = tempfile::TempDir::new().unwrap();
        let ca = |name: &str, issuer: &Issuer| {
            let path = folder.path().join(name);
            std::fs::write(&path, issuer.ca_pem()).unwrap();
            path
        };
        let page = Page::open("gitlab-and-spiffe.md")
            .with("https://gitlab.example.com", gitlab.issuer())
            .with("/etc/obol/gitlab-ca.pem", ca("gitlab.pem", &gitlab).display())
            .with("https://spire.example.org/keys", spire.url(Route::Keys))
            .with("/etc/obol/spire-ca.pem", ca("spire.pem", &spire).display());
        let provider = Provider::start(page, place).await;
        Self { provider, gitlab, spire }
    }

    /// The payload that an exchange of `token` gives, or what the command said.
    fn exchange(&self, token: &str, connector: &str) -> Result<Value, String> {
        self.exchange_with(token, connector, &[])
    }

    fn exchange_with(&self, token: &str, connector: &str, more: &[&str]) -> Result<Value, String> {
        let issued = self.issued(token, connector, more)?;
        let payload = issued.split('.').nth(1).and_then(wire::b64::decode).unwrap();
        Ok(serde_json::from_slice(&payload).unwrap())
    }

    /// The token that an exchange gives.
    fn issued(&self, token: &str, connector: &str, more: &[&str]) -> Result<String, String> {
        let run = obol(&[
            "exchange",
            "--issuer",
            &self.provider.issuer,
            "--client-id",
            "prod-cluster",
            "--connector-id",
            connector,
            "--subject-token-env",
            "OBOL_TOKEN",
            "--subject-token-type",
            "urn:ietf:params:oauth:token-type:jwt",
            "--output",
            "token",
            "--certificate-authority",
            self.provider.ca_file.to_str().unwrap(),
        ])
        .args(more)
        .env("OBOL_TOKEN", token)
        .output()
        .unwrap();
        if !run.status.success() {
            return Err(err(&run).to_owned());
        }
        Ok(out(&run).trim().to_owned())
    }
}

fn pipeline(issuer: &str, aud: &str, path: &str, protected: &str) -> Value {
    json!({
        "iss": issuer, "aud": aud, "sub": format!("project_path:{path}:ref_type:branch:ref:main"), "project_path": path,
        "ref_protected": protected, "ref": "main", "ref_type": "branch", "pipeline_source": "push", "runner_id": 7,
    })
}

#[tokio::test(flavor = "multi_thread")] // the issuers answer while the command is waited for
async fn a_pipeline_deploys_and_a_spiffe_workload_becomes_a_user() {
    let scene = Scene::start().await;
    let ours = scene.provider.issuer.clone();
    let good = scene.gitlab.mint(pipeline(&scene.gitlab.issuer(), &ours, "platform/infra", "true"));
    let claims = scene.exchange(&good, "gitlab").unwrap_or_else(|e| panic!("{e}\n{}", scene.provider.log()));
    assert_eq!(claims["sub"], "gitlab:platform/infra");
    assert_eq!(claims["groups"], json!(["deployers"]));
    assert_eq!(claims["aud"], "prod-cluster");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);

    let svid = scene.spire.mint(json!({"sub": "spiffe://example.org/reports", "aud": [ours]}));
    let claims = scene.exchange(&svid, "spiffe").unwrap_or_else(|e| panic!("{e}\n{}", scene.provider.log()));
    assert_eq!(claims["sub"], "spiffe://example.org/reports");
    scene.provider.log_with(&["policy=gitlab-deploys", "policy=spiffe-reports"]).await;
}

#[tokio::test(flavor = "multi_thread")] // the issuers answer while the command is waited for
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn the_api_server_knows_them_by_name() {
    let scene = Scene::start().await;
    let oidc = OpenIdConnect {
        issuer: scene.provider.issuer.clone(),
        client_id: "prod-cluster".into(),
        ca_file: scene.provider.ca_file.clone(),
        username_claim: "sub".into(),
        username_prefix: "-".into(),
        groups_claim: Some("groups".into()),
        groups_prefix: None,
    };
    let options = ApiServerOptions { oidc: Some(oidc), ..ApiServerOptions::default() };
    let target = ApiServer::start(&options).await.unwrap();
    let roles = Page::open("gitlab-and-spiffe.md").block("yaml", "kind: ClusterRoleBinding");
    target.admin().apply(&roles).await.unwrap();

    let ours = &scene.provider.issuer;
    let job = scene.gitlab.mint(pipeline(&scene.gitlab.issuer(), ours, "platform/infra", "true"));
    let svid = scene.spire.mint(json!({"sub": "spiffe://example.org/reports", "aud": [ours]}));
    let (job, svid) =
        (scene.issued(&job, "gitlab", &[]).unwrap(), scene.issued(&svid, "spiffe", &[]).unwrap());
    target.accepts(&job).await.unwrap();
    let pipeline = target.kubectl_as("pipeline", &json!({ "token": job })).unwrap();
    let deployed = until("the pipeline deploys", async || {
        let create = ["create", "configmap", "deployed", "-n", "default"];
        let said = pipeline.run(&create).await.map_err(|e| e.to_string())?;
        if said.is_ok { Ok(()) } else { Err(said.stderr) }
    });
    deployed.await.unwrap();
    let reports = target.kubectl_as("reports", &json!({ "token": svid })).unwrap();
    let seen = reports.run(&["get", "configmap", "deployed", "-n", "default", "-o", "name"]).await.unwrap();
    assert_eq!(seen.stdout.trim(), "configmap/deployed", "{}", seen.stderr);
    let refused = reports.run(&["delete", "configmap", "deployed", "-n", "default"]).await.unwrap();
    assert!(refused.stderr.contains(r#"User "spiffe://example.org/reports""#), "{}", refused.stderr);
}

/// The connector of the talk that presented Dex's token exchange, which wrote `claimMappings` and named no client; only
/// the test issuer's authority is added. Without a policy of its own it is Dex's exchange.
const OF_THE_TALK: &str = r#"
issuer: https://obol.example.com
storage: {type: memory}
web:
  https: 0.0.0.0:5556
  tlsCert: /etc/obol/tls.crt
  tlsKey: /etc/obol/tls.key
staticClients:
- {id: prod-cluster, name: Production, public: true}
connectors:
- type: oidc
  id: gitlab
  name: GitLab
  config:
    issuer: https://gitlab.example.com
    scopes: [profile, groups, "federated:id"]
    userNameKey: sub
    claimMappings:
      groups: roles
    rootCAs: [/etc/obol/gitlab-ca.pem]
"#;

#[tokio::test(flavor = "multi_thread")] // the issuers answer while the command is waited for
async fn the_talks_connector_starts_as_it_stands() {
    let (place, gitlab) = (Place::choose(), Issuer::start().await);
    let ca = place.file("gitlab.pem", gitlab.ca_pem());
    let page = Page::of(OF_THE_TALK)
        .with("https://gitlab.example.com", gitlab.issuer())
        .with("/etc/obol/gitlab-ca.pem", ca.display());
    let provider = Provider::start(page, place).await;
    let log = provider.log();
    assert!(log.contains("claimMappings: is an old spelling; write claimMapping"), "{log}");
    let token = gitlab.mint(pipeline(&gitlab.issuer(), "https://anybody.example", "platform/infra", "true"));
    let scene = Scene { provider, spire: Issuer::start().await, gitlab };
    let claims = scene
        .exchange_with(&token, "gitlab", &["--scope", "openid profile federated:id"])
        .unwrap_or_else(|e| panic!("{e}\n{}", scene.provider.log()));
    assert_eq!(claims["federated_claims"]["connector_id"], "gitlab", "{claims}");
    assert_eq!(claims["name"], "project_path:platform/infra:ref_type:branch:ref:main", "{claims}");
    assert_eq!(claims["aud"], "prod-cluster");
    // An audience that nobody checks is told of.
    scene.provider.log_with(&["unrestricted"]).await;
}

#[tokio::test(flavor = "multi_thread")] // the issuers answer while the command is waited for
async fn others_get_one_clear_error() {
    let scene = Scene::start().await;
    let (ours, gitlab) = (scene.provider.issuer.clone(), scene.gitlab.issuer());
    let refused = [
        scene.gitlab.mint(pipeline(&gitlab, &ours, "evil/infra", "true")),
        scene.gitlab.mint(pipeline(&gitlab, &ours, "platform/infra", "false")),
        scene.gitlab.mint(pipeline(&gitlab, "https://elsewhere.example", "platform/infra", "true")),
        scene.spire.mint(pipeline(&gitlab, &ours, "platform/infra", "true")),
        "not-a-token".to_owned(),
    ];
    for token in refused {
        let said = scene.exchange(&token, "gitlab").unwrap_err();
        assert!(said.contains("invalid_request") && said.lines().count() == 1, "{said}");
    }
    let foreign = scene.spire.mint(json!({"sub": "spiffe://other.org/reports", "aud": [ours]}));
    assert!(scene.exchange(&foreign, "spiffe").unwrap_err().contains("invalid_request"));
}
