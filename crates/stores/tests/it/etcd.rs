use std::sync::Arc;

use bytes::Bytes;
use provider::store::{Kind, Outcome, Rec, Stamp, Store};
use testkit::conformance::store::LARGE;
use testkit::peers::Etcd;
use testkit::tls::TestCa;

use crate::opening::{KIND, opened, record, refusal};
use crate::servers::{self, Server};

impl Server for Etcd {
    async fn fresh() -> Self {
        Self::start().await.unwrap()
    }

    fn place(&self, name: &str) -> String {
        // The first is nobody's: the second is asked when it fails.
        at(&["http://127.0.0.1:1", self.url()], &format!("namespace: '{name}/'"))
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    async fn restart(&mut self) {
        Self::restart(self).await.unwrap();
    }

    async fn fill(&self, _: &str, store: &Arc<dyn Store>) {
        let mut filling = tokio::task::JoinSet::new();
        for filler in 0..32 {
            let store = Arc::clone(store);
            filling.spawn(async move {
                for number in (filler..LARGE).step_by(32) {
                    let record = Rec {
                        kind: Kind("conformance"),
                        key: format!("key/{number}"),
                        stamp: Stamp([1; 16]),
                        due: None,
                        terms: Vec::new(),
                        body: Bytes::new(),
                    };
                    assert_eq!(store.create(&record).await.unwrap(), Outcome::Done);
                }
            });
        }
        filling.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: etcd"]
async fn keeps_the_contract() {
    servers::contract::<Etcd>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: etcd"]
async fn four_processes_agree_although_they_are_killed() {
    servers::processes::<Etcd>("etcd::four_processes_agree_although_they_are_killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: etcd"]
async fn pages_over_a_hundred_thousand_records() {
    servers::many_records::<Etcd>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "peer: etcd"]
async fn an_outage_is_told_and_recovered_from() {
    servers::outage::<Etcd>(PASSWORD).await;
}

/// Also when it is compacted: what is kept is found, what was is not needed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: etcd"]
async fn dex_s7_nothing_is_made_by_replacing_and_names_keep_their_case() {
    let server = Etcd::fresh().await;
    let store = opened(&server.place("case")).await;
    assert_eq!(store.replace(Stamp([1; 16]), &record("Jane")).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "Jane").await.unwrap(), None);
    for key in ["Jane", "jane"] {
        assert_eq!(store.create(&record(key)).await.unwrap(), Outcome::Done);
    }
    assert_eq!(store.remove(KIND, "jane", Stamp([1; 16])).await.unwrap(), Outcome::Done);
    assert_eq!(store.get(KIND, "Jane").await.unwrap(), Some(record("Jane")));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: etcd"]
async fn namespaces_do_not_meet() {
    let server = Etcd::fresh().await;
    let one = opened(&server.place("one")).await;
    assert_eq!(one.create(&record("a")).await.unwrap(), Outcome::Done);
    assert_eq!(opened(&server.place("two")).await.get(KIND, "a").await.unwrap(), None);
    // Without a scheme, as Dex's examples write it.
    let bare = at(&[&format!("127.0.0.1:{}", server.port())], "namespace: 'one/'");
    assert_eq!(opened(&bare).await.get(KIND, "a").await.unwrap(), Some(record("a")));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: etcd"]
async fn a_password_that_is_demanded() {
    let mut server = Etcd::fresh().await;
    server.demand_password("obol", PASSWORD, "mine/").await.unwrap();
    let user = format!("namespace: 'mine/', username: obol, password: {PASSWORD}");
    let store = opened(&at(&[server.url()], &user)).await;
    assert_eq!(store.create(&record("a")).await.unwrap(), Outcome::Done);
    // It forgets the tokens that it gave out.
    server.restart().await.unwrap();
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a")));
    for (config, why) in [
        (String::from("namespace: 'mine/'"), "user name is empty"),
        (String::from("namespace: 'mine/', username: obol, password: wrong"), "authentication failed"),
        (user.replace("mine/", "other/"), "permission denied"),
    ] {
        let told = refusal(&at(&[server.url()], &config)).await;
        assert!(told.contains(why) && told.contains("unavailable"), "{told}");
        assert!(!told.contains(PASSWORD) && !told.contains('\n'), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: etcd"]
async fn certificates_on_both_sides() {
    let ca = TestCa::new();
    let server = Etcd::secured(&ca).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (other, mine) = (file("other.pem", TestCa::new().pem()), file("ca.pem", ca.pem()));
    let client = ca.client("obol");
    let shown = format!(
        "certFile: {}, keyFile: {}",
        file("cert.pem", &client.cert_pem),
        file("key.pem", &client.key_pem)
    );
    let by_name = format!("https://localhost:{}", server.port());
    let bare = format!("localhost:{}", server.port());
    for (endpoint, ssl) in [
        (by_name.as_str(), format!("caFile: {mine}, {shown}")),
        (bare.as_str(), format!("caFile: {mine}, {shown}")),
        // The certificate is for `localhost`.
        (server.url(), format!("caFile: {mine}, {shown}, serverName: localhost")),
    ] {
        let store = opened(&at(&[endpoint], &format!("ssl: {{{ssl}}}"))).await;
        let found = store.get(KIND, "a").await.map_err(|e| e.to_string());
        assert_eq!(found, Ok(None), "{ssl}: {}", server.log());
    }
    for (endpoint, ssl, why) in [
        (by_name.as_str(), format!("caFile: {other}, {shown}"), "certificate"),
        (server.url(), format!("caFile: {mine}, {shown}"), "certificate"),
        (by_name.as_str(), format!("caFile: {mine}"), ""),
    ] {
        let told = refusal(&at(&[endpoint], &format!("ssl: {{{ssl}}}"))).await;
        assert!(told.contains(why) && told.contains("unavailable"), "{ssl}: {told}");
    }
}

/// A full store says so, goes on reading, and takes writes again once there is room.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: etcd"]
async fn a_store_that_is_full_is_told_and_recovered_from() {
    let server = Etcd::small(4 << 20).await.unwrap();
    let store = opened(&at(&[server.url()], "namespace: full/")).await;
    let large = |key: String| Rec { body: Bytes::from(vec![7; 100_000]), ..record(&key) };
    let mut told = None;
    for number in 0..200 {
        if let Err(error) = store.create(&large(format!("{number}"))).await {
            told = Some(error.to_string());
            break;
        }
    }
    let told = told.unwrap();
    assert!(told.contains("unavailable") && told.contains("space"), "{told}");
    assert_eq!(store.get(KIND, "0").await.unwrap(), Some(large("0".into())), "reading goes on");
    server.make_room("full/").await.unwrap();
    assert_eq!(store.create(&record("again")).await.unwrap(), Outcome::Done);
}

const PASSWORD: &str = "canary-Pass_1";

/// The section `storage` for those endpoints.
fn at(endpoints: &[&str], more: &str) -> String {
    let quoted: Vec<_> = endpoints.iter().map(|endpoint| format!("'{endpoint}'")).collect();
    format!("{{type: etcd, config: {{endpoints: [{}], {more}}}}}", quoted.join(", "))
}
