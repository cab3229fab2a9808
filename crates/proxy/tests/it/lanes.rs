//! The proxy's side of the API server: its credential, the two lanes, and what is said when nothing answers.

use std::sync::Arc;
use std::time::Duration;

use ambient::Secret;
use outbound::{Dial, Identity, TokenFile};
use proxy::{Credential, Mode};
use serde_json::json;
use testkit::{FakeClock, Line, Server};

use crate::front::{Front, Plan};

#[tokio::test]
async fn the_proxys_token_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let clock = FakeClock::default();
    let credential = Credential::TokenFile(Arc::new(TokenFile::new(&path, Arc::new(clock.clone()))));
    let front = Plan { credential: Some(credential), clock, ..Plan::default() }.start().await;
    let message = front.get("/api", &front.jane(), &[]).await;
    assert_eq!(message.failure(500, "InternalError"), "the proxy has no credential for the API server");
    for token in ["first", "second"] {
        std::fs::write(&path, format!("{token}\n")).unwrap();
        front.clock.advance(Duration::from_secs(11));
        let seen = front.reached(&front.jane(), &[]).await;
        assert_eq!(seen["headers"]["authorization"], json!([format!("Bearer {token}")]));
    }
}

#[tokio::test]
async fn a_caller_who_goes_as_it_is_carries_nothing_of_the_proxys() {
    let plan = Plan::default();
    let leaf = plan.ca.client("the-proxy");
    let identity =
        Identity { chain_pem: leaf.cert_pem.into_bytes(), key_pem: Secret::new(leaf.key_pem.into_bytes()) };
    let credential = Some(Credential::Certificate(identity));
    let front = Plan { mode: Mode::AsIs, credential: credential.clone(), ..plan }.start().await;
    let token = front.jane();
    let seen = front.reached(&token, &[("x-remote-user", "admin")]).await;
    assert_eq!(seen["certificate"], false);
    assert_eq!(seen["headers"]["authorization"], json!([format!("Bearer {token}")]));
    let headers = seen["headers"].as_object().unwrap();
    assert!(!headers.keys().any(|name| name.starts_with("impersonate") || name.starts_with("x-remote")));
    front.get("/api", &token, &[("impersonate-user", "admin")]).await.failure(403, "Forbidden");
    let admin = front.token(json!({"sub": "jane", "groups": ["system:masters"]}));
    front.get("/api", &admin, &[]).await.failure(403, "Forbidden");
}

#[tokio::test]
async fn a_client_certificate_impersonates() {
    let plan = Plan::default();
    let leaf = plan.ca.client("the-proxy");
    let identity =
        Identity { chain_pem: leaf.cert_pem.into_bytes(), key_pem: Secret::new(leaf.key_pem.into_bytes()) };
    let front = Plan { credential: Some(Credential::Certificate(identity)), ..plan }.start().await;
    let seen = front.reached(&front.jane(), &[]).await;
    assert_eq!(seen["certificate"], true);
    assert_eq!(seen["headers"]["impersonate-user"], json!(["jane"]));
    assert!(!seen["headers"].as_object().unwrap().contains_key("authorization"));
}

#[tokio::test]
async fn a_401_about_the_proxy_is_not_the_callers() {
    let front = Front::start().await;
    let message = front.get("/401", &front.jane(), &[]).await;
    assert_eq!(
        message.failure(502, "ServiceUnavailable"),
        "the API server does not accept the proxy's credential"
    );
    let pods_own = front.get("/401/pods/a/proxy/login", &front.jane(), &[]).await;
    assert_eq!((pods_own.status.as_u16(), pods_own.document), (401, json!("who are you?")));
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_a_502() {
    let plan = Plan::default();
    let server = Server::tls(&plan.ca, |_| async { testkit::serve::text(200, "") }).await;
    server.set_line(Line::Refusing).await;
    let front = Plan { server: Some(server.url("/")), ..plan }.start().await;
    let answer = front.get("/api", &front.jane(), &[]).await;
    assert_eq!(answer.failure(502, "ServiceUnavailable"), "the API server cannot be reached");
    assert_eq!(front.events.last_code(), "unreachable");
}

#[tokio::test]
async fn an_api_server_that_does_not_accept_in_time_is_a_504() {
    let plan = Plan::default();
    let server = Server::tls(&plan.ca, |_| async { testkit::serve::text(200, "") }).await;
    server.set_line(Line::Hanging).await;
    let patience = FakeClock::default();
    let dial = Some(Dial::new(Arc::new(patience.clone())));
    let front = Plan { server: Some(server.url("/")), dial, ..plan }.start().await;
    let token = front.jane();
    let (answer, ()) = tokio::join!(front.get("/api", &token, &[]), async {
        patience.until_sleeping(1).await;
        patience.advance(Duration::from_secs(11));
    });
    assert_eq!(answer.failure(504, "Timeout"), "the API server did not answer in time");
}

#[tokio::test]
async fn a_path_before_all_others_is_kept() {
    let plan = Plan::default();
    let stub = crate::stub::Stub::start(&plan.ca).await;
    let server = Some(stub.url().join("/k8s/clusters/c-1/").unwrap());
    let front = Plan { server, stub: Some(stub), ..plan }.start().await;
    let seen = front.reached(&front.jane(), &[]).await;
    assert_eq!(seen["target"], "/k8s/clusters/c-1/api/v1/pods?limit=1");
}
