//! Whom we believe.

use std::sync::Arc;
use std::time::Duration;

use ambient::{FetchError, Secret};
use outbound::{AuthorityFile, BadTrust, Client, Identity, Options, Roots, Trust};
use testkit::serve::{Server, text};
use testkit::{FakeClock, TestCa};

use crate::{dial, fetch, trusting};

fn with(trust: Trust) -> Result<Client, BadTrust> {
    Client::new(&dial(), Options { trust, ..Options::default() })
}

#[tokio::test]
async fn only_the_configured_authority_and_the_right_name_are_believed() {
    let (ca, stranger) = (TestCa::new(), TestCa::new());
    let server = Server::tls(&ca, async |_| text(200, "")).await;
    let misnamed = Server::tls_for(&ca, &["elsewhere.example"], async |_| text(200, "")).await;
    let reaches = async |client: &Client, server: &Server| match fetch(client, &server.url("/"), None).await {
        Ok(_) => true,
        Err(FetchError::Unreachable { .. }) => false,
        Err(other) => panic!("{other}"),
    };
    let system = with(Trust::default()).unwrap();
    let wrong = Client::new(&dial(), trusting(stranger.pem())).unwrap();
    let right = Client::new(&dial(), trusting(ca.pem())).unwrap();
    let added = Trust { roots: Roots::SystemAnd(ca.pem().into()), ..Trust::default() };
    let both = Trust { roots: Roots::Only([stranger.pem(), ca.pem()].concat().into()), ..Trust::default() };
    let blind = with(Trust { skip_verify: true, ..Trust::default() }).unwrap();
    assert!(!reaches(&system, &server).await);
    assert!(!reaches(&wrong, &server).await);
    assert!(reaches(&right, &server).await);
    assert!(reaches(&with(added).unwrap(), &server).await);
    assert!(reaches(&with(both).unwrap(), &server).await);
    assert!(!reaches(&right, &misnamed).await);
    assert!(reaches(&blind, &server).await && reaches(&blind, &misnamed).await);
    assert_eq!(misnamed.seen().len(), 1, "nothing was said to a server that was not believed");
}

/// Who was an authority and is none any more must not be believed because we were started in its time.
#[tokio::test]
async fn an_authority_that_is_replaced_in_its_file_is_believed_and_the_old_one_is_not() {
    let (old, new) = (TestCa::new(), TestCa::new());
    let (folder, clock) = (tempfile::tempdir().unwrap(), FakeClock::default());
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, old.pem()).unwrap();
    let file = AuthorityFile::open(&path, Arc::new(clock.clone())).unwrap();
    let client = with(Trust { roots: Roots::File(Arc::new(file)), ..Trust::default() }).unwrap();
    // One connection each, so that each time a certificate is shown.
    let believes = async |ca: &TestCa| {
        let server = Server::tls(ca, async |_| text(200, "")).await;
        fetch(&client, &server.url("/"), None).await.is_ok()
    };
    assert!(believes(&old).await && !believes(&new).await);
    std::fs::write(&path, "half a file").unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(believes(&old).await, "a bad file changes nothing");
    std::fs::write(&path, new.pem()).unwrap();
    assert!(believes(&old).await, "not looked at before ten seconds are over");
    clock.advance(Duration::from_secs(10));
    assert!(believes(&new).await && !believes(&old).await);
    std::fs::remove_file(&path).unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(believes(&new).await);
    assert!(AuthorityFile::open(&path, Arc::new(clock)).is_err());
}

#[tokio::test]
async fn another_name_may_be_expected_and_then_no_other_is_believed() {
    let ca = TestCa::new();
    let [usual, tunnelled] = [
        Server::tls(&ca, async |_| text(200, "")).await,
        Server::tls_for(&ca, &["kubernetes.test"], async |_| text(200, "")).await,
    ];
    let expecting = dial().expecting("kubernetes.test").unwrap();
    let client = Client::new(&expecting, trusting(ca.pem())).unwrap();
    assert!(fetch(&client, &tunnelled.url("/"), None).await.is_ok());
    assert!(fetch(&client, &usual.url("/"), None).await.is_err());
    assert!(dial().expecting("no name").is_none());
}

#[test]
fn bundles_and_pairs_that_cannot_be_used_are_refused_when_configured() {
    let ca = TestCa::new();
    let roots = |pem: &str| with(Trust { roots: Roots::Only(pem.into()), ..Trust::default() });
    assert!(matches!(roots("").err(), Some(BadTrust::NoCertificate)));
    assert!(matches!(roots("not PEM").err(), Some(BadTrust::NoCertificate)));
    let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(roots(hollow).err(), Some(BadTrust::Certificate(_))));
    let identity = |chain: &str, key: &str| {
        let identity = Identity { chain_pem: chain.into(), key_pem: Secret::new(key.into()) };
        with(Trust { identity: Some(identity), ..Trust::only(Some(ca.pem().into())) })
    };
    let (one, two) = (ca.client("one"), ca.client("two"));
    assert!(identity(&one.cert_pem, &one.key_pem).is_ok());
    assert!(matches!(identity(&one.cert_pem, &two.key_pem).err(), Some(BadTrust::Identity(_))));
    assert!(matches!(identity("", &one.key_pem).err(), Some(BadTrust::Identity(_))));
    assert!(matches!(identity(&one.cert_pem, "").err(), Some(BadTrust::Identity(_))));
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let ca = TestCa::new();
    let server = Server::tls(&ca, async |request| text(200, &format!("{:?}", request.version()))).await;
    let client = Client::new(&dial(), trusting(ca.pem())).unwrap();
    for _ in 0..3 {
        assert_eq!(fetch(&client, &server.url("/"), None).await.unwrap().body, "HTTP/2.0");
    }
    assert_eq!(server.connections(), 1, "connections are kept");
}
