//! `docs/scenarios/argo-cd.md`

use serde_json::{Value, json};
use testkit::peers::{ApiServer, ApiServerOptions, OpenIdConnect, until};

use super::{Page, Place, Provider, binary};

#[tokio::test]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn the_application_controller_deploys_as_itself() {
    let place = Place::choose();
    let home = ApiServer::start(&ApiServerOptions::default()).await.unwrap();
    home.publish_issuer().await.unwrap();
    let page = Page::open("argo-cd.md")
        .with("https://cluster-1.example.com:6443", home.url())
        .with("/etc/obol/cluster-1-ca.pem", home.ca_file().display());
    let roles = page.block("yaml", "kind: ClusterRoleBinding");
    let provider = Provider::start(page, place).await;
    let oidc = OpenIdConnect {
        issuer: provider.issuer.clone(),
        client_id: "target-cluster".into(),
        ca_file: provider.ca_file.clone(),
        username_claim: "sub".into(),
        username_prefix: "oidc:".into(),
        groups_claim: None,
        groups_prefix: None,
    };
    let target = ApiServer::start(&ApiServerOptions { oidc: Some(oidc), ..ApiServerOptions::default() })
        .await
        .unwrap();
    target.admin().apply(&roles).await.unwrap();

    let token = home
        .service_account_token("argocd", "argocd-application-controller", &provider.issuer)
        .await
        .unwrap();
    let subject = provider.file("token", &token);
    let page = Page::open("argo-cd.md")
        .with("https://obol.example.com", &provider.issuer)
        .with("/var/run/secrets/obol/token", subject.display())
        .with("/etc/obol/ca.pem", provider.ca_file.display());
    let controller = target.kubectl_as("argocd", &json!({ "exec": exec_provider(&page) })).unwrap();
    let deployed = until("a config map is deployed", async || {
        let said = controller
            .run(&["create", "configmap", "deployed", "-n", "default"])
            .await
            .map_err(|e| e.to_string())?;
        if said.is_ok { Ok(()) } else { Err(said.stderr) }
    });
    deployed.await.unwrap_or_else(|e| panic!("{e}\n{}", provider.log()));
    let refused = controller.run(&["get", "secrets", "-n", "default"]).await.unwrap();
    let name = "oidc:system:serviceaccount:argocd:argocd-application-controller";
    assert!(refused.stderr.contains(name), "{}", refused.stderr);

    let another = home.service_account_token("argocd", "argocd-server", &provider.issuer).await.unwrap();
    std::fs::write(&subject, another).unwrap();
    let said = controller.run(&["get", "configmaps", "-n", "default"]).await.unwrap();
    assert!(!said.is_ok, "another service account of Argo CD's is nobody here");
}

/// What Argo CD's cluster secret says, as kubectl says it.
fn exec_provider(page: &Page) -> Value {
    let secret = page.block("yaml", "execProviderConfig");
    let (_, config) = secret.split_once("config: |\n").unwrap();
    let config: Value = serde_json::from_str(config).unwrap();
    let mut exec = config["execProviderConfig"].clone();
    exec["command"] = json!(binary());
    exec["interactiveMode"] = json!("Never");
    exec
}
