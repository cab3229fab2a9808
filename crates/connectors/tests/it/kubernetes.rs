//! Clusters' service-account issuers.

use ambient::{BoxFuture, Clock as _};
use config::Environment;
use provider::connector::{SubjectAudiences, VouchError};
use serde_json::{Value, json};
use testkit::FakeClock;
use testkit::conformance::connector::{self, Site, Vouching};
use testkit::issuer::{Issuer, Route};

use crate::{OUR_ISSUER, context, faults_of, open, open_in};

const SHARED_NAME: &str = "https://kubernetes.default.svc";
const SUBJECT: &str = "system:serviceaccount:argocd:argocd-application-controller";

fn vouching(opened: provider::connector::Opened, issuer: Issuer, clock: FakeClock) -> Vouching {
    let claims = json!({
        "sub": SUBJECT,
        "aud": [OUR_ISSUER],
        "kubernetes.io": {"namespace": "argocd", "serviceaccount": {"name": "argocd-application-controller", "uid": "u"}},
    });
    Vouching { opened, issuer, clock, claims, user_id: SUBJECT.to_owned() }
}

/// A connector in front of a fresh cluster; `more` is added to its `config`.
async fn site(more: Value) -> Vouching {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().kubernetes().clock(clock.clone()).start().await;
    let mut config = json!({"issuer": issuer.issuer(), "rootCAs": [issuer.ca_pem()]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    vouching(open("kubernetes", &config, &clock), issuer, clock)
}

/// A cluster that calls itself as every other one does, reached at an address of its own.
async fn shared_name() -> Vouching {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().kubernetes().issuer(SHARED_NAME).clock(clock.clone()).start().await;
    let config = json!({
        "issuer": SHARED_NAME,
        "discoveryURL": issuer.url(Route::Discovery).as_str(),
        "rootCAs": [issuer.ca_pem()],
    });
    vouching(open("kubernetes", &config, &clock), issuer, clock)
}

struct Cluster;

impl Site for Cluster {
    fn open(&self) -> BoxFuture<'_, Vouching> {
        Box::pin(site(json!({})))
    }
}

struct ClusterOfSharedName;

impl Site for ClusterOfSharedName {
    fn open(&self) -> BoxFuture<'_, Vouching> {
        Box::pin(shared_name())
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    connector::run_all(Cluster).await;
}

#[tokio::test]
async fn it_keeps_the_contract_where_discovery_is_elsewhere() {
    connector::run_all(ClusterOfSharedName).await;
}

#[tokio::test]
async fn attack_08_two_clusters_of_one_name_are_told_apart_by_their_keys() {
    let (a, b) = (shared_name().await, shared_name().await);
    let of_b = b.good().sign();
    assert!(b.vouch(&of_b).await.is_ok());
    let seam = a.opened.connector.subject().unwrap();
    assert!(
        seam.may_own(&token::UnverifiedJwt::parse(&of_b).unwrap()),
        "both could own it: it must be named"
    );
    let said = a.vouch(&of_b).await;
    assert!(matches!(said, Err(VouchError::Rejected(_))), "{said:?}");
}

#[tokio::test]
async fn discovery_behind_a_bearer_token_is_asked_with_the_file_s() {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().kubernetes().require_bearer("s3cret").clock(clock.clone()).start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let config = json!({"issuer": issuer.issuer(), "rootCAs": [issuer.ca_pem()], "bearerTokenFile": path});
    let site = vouching(open("kubernetes", &config, &clock), issuer, clock);
    assert!(site.vouch(&site.good().sign()).await.is_ok());
}

#[tokio::test]
async fn the_own_cluster_needs_nothing_but_to_be_named() {
    let clock = FakeClock::default();
    let own_token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMifQ.AAAA";
    let issuer = Issuer::builder()
        .kubernetes()
        .issuer(SHARED_NAME)
        .require_bearer(own_token)
        .clock(clock.clone())
        .start()
        .await;
    let mount = tempfile::tempdir().unwrap();
    std::fs::write(mount.path().join("token"), own_token).unwrap();
    std::fs::write(mount.path().join("ca.crt"), issuer.ca_pem()).unwrap();
    let mut context = context(&clock);
    context.mount = mount.path().to_owned();
    let port = issuer.server().address().port().to_string();
    let environment = Environment::from_iter([
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", port.as_str()),
    ]);
    let opened = open_in("kubernetes", &json!({"inCluster": true}), &context, &environment);
    let site = vouching(opened, issuer, clock);
    assert!(site.vouch(&site.good().sign()).await.is_ok());
    assert_eq!(site.issuer.requests(Route::Discovery), 0, "the API server's own keys are asked for");
    let told = faults_of("kubernetes", &json!({"inCluster": true}));
    assert!(told.contains("asks for the own cluster, but KUBERNETES_SERVICE_HOST"), "{told}");
}

#[tokio::test]
async fn attack_06_legacy_and_extended_tokens_are_refused_with_advice() {
    let site = site(json!({"maxLifetime": "9000h"})).await;
    let now = site.clock.now().unix();
    let year = 365 * 24 * 3600;
    let extended = |warnafter: i64| {
        let bound = json!({"namespace": "argocd", "warnafter": warnafter});
        site.good()
            .claim("exp", json!(now - 7200 + year))
            .claim("iat", json!(now - 7200))
            .claim("kubernetes.io", bound)
    };
    for (token, word) in [
        (site.good().claim("exp", json!(null)), "never expires"),
        (site.good().claim("aud", json!(null)), "meant for nobody"),
        (
            site.good().claim("iss", json!("kubernetes/serviceaccount")).claim("exp", json!(null)),
            "legacy token",
        ),
        (extended(now - 3593), "warnafter"),
        (extended(now), "warnafter"),
    ] {
        match site.vouch(&token.sign()).await {
            Err(VouchError::Rejected(why)) => {
                assert!(why.contains(word) && why.contains("projected serviceAccountToken"), "{why}");
            }
            other => panic!("{word}: {other:?}"),
        }
    }
    assert!(site.vouch(&extended(now + 1).sign()).await.is_ok(), "within its real lifetime");
}

#[tokio::test]
async fn attack_06_a_day_is_the_longest_unless_written_otherwise() {
    let site = site(json!({})).await;
    let now = site.clock.now().unix();
    let said = site.vouch(&site.good().claim("exp", json!(now + 24 * 3600 + 1)).sign()).await;
    assert!(matches!(said, Err(VouchError::Rejected(_))), "{said:?}");
    assert!(site.vouch(&site.good().claim("exp", json!(now + 24 * 3600)).sign()).await.is_ok());
}

#[tokio::test]
async fn attack_07_the_audience_is_ours_by_default() {
    let site_ = site(json!({})).await;
    assert_eq!(site_.opened.audiences, SubjectAudiences::AnyOf([].into()));
    assert!(faults_of("kubernetes", &json!({})).contains("config.issuer: is missing"));
}

#[tokio::test]
async fn keys_come_from_where_they_are_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    for way in ["jwks", "keysFile", "jwksURL"] {
        let clock = FakeClock::default();
        let issuer = Issuer::builder().kubernetes().issuer(SHARED_NAME).clock(clock.clone()).start().await;
        let set = json!({"keys": [issuer.signing_key().jwk()]});
        std::fs::write(&file, set.to_string()).unwrap();
        let value = match way {
            "jwks" => set,
            "keysFile" => json!(file),
            _ => json!(issuer.url(Route::Keys).as_str()),
        };
        let config = json!({"issuer": SHARED_NAME, "rootCAs": [issuer.ca_pem()], way: value});
        let site = vouching(open("kubernetes", &config, &clock), issuer, clock);
        assert!(site.vouch(&site.good().sign()).await.is_ok(), "{way}");
        assert_eq!(site.issuer.requests(Route::Discovery), 0, "{way}");
        assert_eq!(site.issuer.requests(Route::Keys), usize::from(way == "jwksURL"), "{way}");
    }
}

#[tokio::test]
async fn an_authority_is_demanded_unless_that_is_lifted() {
    for kind in ["kubernetes", "jwt", "oidc"] {
        for skip in [false, true] {
            let clock = FakeClock::default();
            let issuer = Issuer::builder().clock(clock.clone()).start().await;
            let config = json!({"issuer": issuer.issuer(), "insecureSkipVerify": skip});
            let site = vouching(open(kind, &config, &clock), issuer, clock);
            let said = site.vouch(&site.good().sign()).await;
            assert_eq!(said.is_ok(), skip, "{kind}: {said:?}");
        }
    }
}

#[test]
fn attack_07_audiences_are_unrestricted_only_by_its_word() {
    let config =
        json!({"issuer": SHARED_NAME, "jwksURL": "https://a.example/k", "unrestrictedAudience": true});
    let clock = FakeClock::default();
    assert_eq!(open("kubernetes", &config, &clock).audiences, SubjectAudiences::Unrestricted);
    assert!(faults_of("kubernetes", &config).contains("accepts tokens that were meant for anybody"));
}
