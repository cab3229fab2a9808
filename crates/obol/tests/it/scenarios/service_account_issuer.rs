//! `docs/scenarios/service-account-issuer.md`

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::peers::{ApiServer, ApiServerOptions};

use super::{Page, Place, Provider, binary};
use crate::run::{err, out};

/// The page's command with this subject token.
fn exchange(provider: &Provider, token: &str) -> Output {
    let subject = provider.file("token", token);
    let page = Page::open("service-account-issuer.md")
        .with("https://obol.example.com", &provider.issuer)
        .with("/var/run/secrets/obol/token", subject.display())
        .with("/etc/obol/ca.pem", provider.ca_file.display());
    let binaries = Path::new(&binary()).parent().unwrap().to_owned();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &page.block("sh", "obol exchange")]);
    shell.env_clear().env("PATH", binaries).env("HOME", provider.folder.path()).output().unwrap()
}

#[tokio::test]
#[ignore = "peer: kube-apiserver, etcd, kubectl"]
async fn a_projected_token_is_verified_through_the_clusters_own_documents() {
    let place = Place::choose();
    let cluster = ApiServer::start(&ApiServerOptions::default()).await.unwrap();
    let bearer = cluster.service_account_token("obol", "reader", cluster.url()).await.unwrap();
    let page = Page::open("service-account-issuer.md")
        .with("https://cluster-1.example.com:6443", cluster.url())
        .with("/etc/obol/cluster-1-ca.pem", cluster.ca_file().display())
        .with("/etc/obol/cluster-1.token", place.file("cluster-1.token", &bearer).display());
    let provider = Provider::start(page, place).await;
    let token = async |namespace: &str, audience: &str| {
        cluster.service_account_token(namespace, "nightly", audience).await.unwrap()
    };

    let good = token("reports", &provider.issuer).await;
    let told = exchange(&provider, &good);
    assert!(told.status.success(), "{}\n{}", err(&told), provider.log());
    let payload = out(&told).trim().split('.').nth(1).and_then(wire::b64::decode).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&claims["sub"], &claims["aud"]), (&"cluster-1:nightly".into(), &"warehouse".into()));

    for (case, token) in [
        ("another namespace", token("default", &provider.issuer).await),
        ("meant for the API server", token("reports", cluster.url()).await),
        ("meant for another service", token("reports", "https://elsewhere.example").await),
        ("a changed signature", format!("{}AAAA", good.get(..good.len() - 4).unwrap())),
    ] {
        let told = exchange(&provider, &token);
        assert_eq!((told.status.code(), err(&told).lines().count()), (Some(1), 1), "{case}: {}", err(&told));
        assert!(err(&told).contains("invalid_request"), "{case}: {}", err(&told));
    }
    let log = provider.log_with(&["policy=reports-read-the-warehouse"]).await;
    assert!(!log.contains(&good), "{log}");
}
