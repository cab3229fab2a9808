//! A real API server comes up, issues service-account tokens and publishes the keys to verify them by.

use serde_json::{Value, json};
use testkit::peers::{ApiServer, ApiServerOptions, until};

#[tokio::test]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn an_api_server_issues_tokens_and_publishes_its_keys() {
    let server = ApiServer::start(&ApiServerOptions::default()).await.unwrap();
    let token = server.service_account_token("build", "robot", "https://obol.example").await.unwrap();
    let claims = token.split('.').nth(1).map(|part| wire::b64::decode(part).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["sub"], "system:serviceaccount:build:robot");
    assert_eq!(claims["aud"], json!(["https://obol.example"]));
    assert_eq!(claims["iss"], server.url());

    // kubectl without credentials asks for some at the terminal: be nobody by impersonation.
    let nobody = async |path: &str| {
        let nobody = ["--as=system:anonymous", "--as-group=system:unauthenticated", "get", "--raw", path];
        let said = server.admin().run(&nobody).await.map_err(|error| error.to_string())?;
        if said.is_ok { Ok(said.stdout) } else { Err(said.stderr) }
    };
    let discovery = "/.well-known/openid-configuration";
    assert!(nobody(discovery).await.is_err(), "closed until it is published");
    server.publish_issuer().await.unwrap();
    // RBAC reads its bindings from a cache that follows the store.
    let document = until("the document is public", async || nobody(discovery).await).await.unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["issuer"], server.url());
    assert_eq!(document["jwks_uri"], format!("{}/openid/v1/jwks", server.url()));
    let keys = nobody("/openid/v1/jwks").await.unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys["keys"][0]["kty"], "RSA");
}

#[tokio::test]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn a_token_for_the_api_server_is_accepted_and_rbac_decides() {
    let server = ApiServer::start(&ApiServerOptions::default()).await.unwrap();
    let token = server.service_account_token("build", "robot", server.url()).await.unwrap();
    server.accepts(&token).await.unwrap();
    let robot = server.kubectl_as("robot", &json!({"token": token})).unwrap();
    let refused = robot.run(&["get", "namespaces"]).await.unwrap();
    assert!(refused.stderr.contains("system:serviceaccount:build:robot"), "{}", refused.stderr);
    let elsewhere =
        server.service_account_token("build", "robot", "https://elsewhere.example").await.unwrap();
    let stranger = server.kubectl_as("stranger", &json!({"token": elsewhere})).unwrap();
    assert!(!stranger.run(&["get", "--raw", "/api"]).await.unwrap().is_ok);
}
