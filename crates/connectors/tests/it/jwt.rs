//! Any issuer, any key set.

use std::sync::Arc;

use ambient::{BoxFuture, Clock as _};
use provider::connector::{SubjectAudiences, VouchError};
use serde_json::{Value, json};
use testkit::conformance::connector::{self, Site, Vouching};
use testkit::issuer::{Alg, Issuer, Route};
use testkit::{FakeClock, TestKey};

use crate::{OUR_ISSUER, faults_of, open};

/// A connector of this kind in front of a fresh issuer; `more` is added to its `config`.
async fn site(more: Value) -> Vouching {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().clock(clock.clone()).start().await;
    let mut config = json!({"issuer": issuer.issuer(), "rootCAs": [issuer.ca_pem()]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let opened = open("jwt", &config, &clock);
    let claims = json!({"sub": "project_path:platform/infra:ref_type:branch:ref:main", "aud": OUR_ISSUER});
    let user_id = claims["sub"].as_str().unwrap().to_owned();
    Vouching { opened, issuer, clock, claims, user_id }
}

struct Discovered;

impl Site for Discovered {
    fn open(&self) -> BoxFuture<'_, Vouching> {
        Box::pin(site(json!({})))
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    connector::run_all(Discovered).await;
}

#[tokio::test]
async fn dex_t7_static_keys_need_no_issuer_that_answers() {
    let key = TestKey::generate(Alg::Es256, "k");
    let folder = tempfile::tempdir().unwrap();
    let (pem, jwks) = (folder.path().join("keys.pem"), folder.path().join("keys.json"));
    std::fs::write(&pem, key.public_pem()).unwrap();
    std::fs::write(&jwks, json!({"keys": [key.jwk()]}).to_string()).unwrap();
    let key = Arc::new(key);
    for keys in [
        json!({"jwks": {"keys": [key.jwk()]}}),
        json!({"jwks": json!({"keys": [key.jwk()]}).to_string()}),
        json!({"keysFile": pem}),
        json!({"keysFile": jwks}),
    ] {
        let site = site(keys).await;
        let said = site.vouch(&site.good().sign()).await;
        assert!(matches!(said, Err(VouchError::Rejected(_))), "the issuer's other key: {said:?}");
        site.issuer.sign_with(Arc::clone(&key));
        assert!(site.vouch(&site.good().sign()).await.is_ok());
        assert_eq!(site.issuer.requests(Route::Keys) + site.issuer.requests(Route::Discovery), 0);
    }
}

#[tokio::test]
async fn discovery_elsewhere_is_asked_with_the_bearer_of_the_file() {
    let clock = FakeClock::default();
    let issuer = Issuer::builder()
        .issuer("https://elsewhere.example")
        .require_bearer("s3cret")
        .clock(clock.clone())
        .start()
        .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let config = json!({
        "issuer": "https://elsewhere.example", "discoveryURL": issuer.url(Route::Discovery).as_str(),
        "bearerTokenFile": path, "rootCAs": [issuer.ca_pem()],
    });
    let opened = open("jwt", &config, &clock);
    let site = Vouching { opened, issuer, clock, claims: json!({"sub": "s"}), user_id: "s".into() };
    assert!(site.vouch(&site.good().sign()).await.is_ok());
    assert!(site.issuer.requests(Route::Discovery) > 0);
}

#[tokio::test]
async fn a_key_set_s_url_needs_no_discovery() {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().issuer("https://elsewhere.example").clock(clock.clone()).start().await;
    let config = json!({
        "issuer": "https://elsewhere.example", "jwksURL": issuer.url(Route::Keys).as_str(), "rootCAs": [issuer.ca_pem()],
    });
    let opened = open("jwt", &config, &clock);
    let site = Vouching { opened, issuer, clock, claims: json!({"sub": "s"}), user_id: "s".into() };
    assert!(site.vouch(&site.good().sign()).await.is_ok());
    assert_eq!(site.issuer.requests(Route::Discovery), 0);
}

#[tokio::test]
async fn bounds_narrow_what_passes() {
    let now = FakeClock::default().now().unix();
    for (config, claim, value) in [
        (json!({"maxLifetime": "5m"}), "exp", json!(now + 301)),
        (json!({"maxLifetime": "5m"}), "iat", json!(null)),
        (json!({"maxAge": "1m"}), "iat", json!(now - 61)),
        (json!({"algorithms": ["RS256"]}), "sub", json!("x")),
        (json!({"algorithms": []}), "sub", json!("x")),
        (json!({"userIDKey": "project_id"}), "sub", json!("x")),
        (json!({"userIDKey": "project_id"}), "project_id", json!(7)),
    ] {
        let site = site(config.clone()).await;
        let token = site.issuer.token(json!({"sub": "x", "aud": OUR_ISSUER, "exp": now + 60}));
        let said = site.vouch(&token.claim(claim, value).sign()).await;
        assert!(matches!(said, Err(VouchError::Rejected(_))), "{config}: {said:?}");
    }
    let site = site(json!({"userIDKey": "project_id", "maxLifetime": "10m", "maxAge": "1m"})).await;
    let vouched = site.vouch(&site.good().claim("project_id", json!("22")).sign()).await.unwrap();
    assert_eq!(vouched.identity.user_id, "22");
    assert_eq!(vouched.identity.username, "", "a workload has no name of its own");
}

#[tokio::test]
async fn access_tokens_pass_only_where_their_type_is_listed() {
    let site = site(json!({"typ": ["at+jwt"]})).await;
    assert!(site.vouch(&site.good().header("typ", json!("at+jwt")).sign()).await.is_ok());
    let said = site.vouch(&site.good().header("typ", json!("logout+jwt")).sign()).await;
    assert!(matches!(said, Err(VouchError::Rejected(_))));
    assert!(
        faults_of("jwt", &json!({"issuer": "https://a.example", "typ": ["logout+jwt"]}))
            .contains("typ[0]: is")
    );
}

#[tokio::test]
async fn attack_07_audiences_are_demanded_unless_lifted() {
    let site_ = site(json!({"audiences": ["https://sts.example"]})).await;
    assert_eq!(site_.opened.audiences, SubjectAudiences::AnyOf(["https://sts.example".to_owned()].into()));
    let open_ = site(json!({})).await;
    assert_eq!(open_.opened.audiences, SubjectAudiences::AnyOf([].into()));
    let config = json!({"issuer": "https://a.example", "unrestrictedAudience": true});
    assert_eq!(open("jwt", &config, &FakeClock::default()).audiences, SubjectAudiences::Unrestricted);
    assert!(
        faults_of("jwt", &config)
            .contains("warning: connectors[0].config: accepts tokens that were meant for anybody")
    );
    let both = json!({"issuer": "https://a.example", "unrestrictedAudience": true, "audiences": ["a"]});
    assert!(faults_of("jwt", &both).contains("has both audiences and unrestrictedAudience"));
}

#[tokio::test]
async fn attack_11_a_jwt_svid_is_bound_by_its_trust_domain() {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().clock(clock.clone()).start().await;
    let config = json!({
        "trustDomain": "example.org", "jwksURL": issuer.url(Route::Keys).as_str(), "rootCAs": [issuer.ca_pem()],
    });
    let opened = open("jwt", &config, &clock);
    let claims = json!({"sub": "spiffe://example.org/reports", "aud": [OUR_ISSUER], "iss": null});
    let user_id = "spiffe://example.org/reports".to_owned();
    let site = Vouching { opened, issuer, clock, claims, user_id };
    for kind in [json!(null), json!("JWT"), json!("JOSE")] {
        let vouched = site.vouch(&site.good().header("typ", kind).sign()).await.unwrap();
        assert_eq!(vouched.identity.user_id, site.user_id);
    }
    let seam = site.opened.connector.subject().unwrap();
    let owns = |raw: &str| seam.may_own(&token::UnverifiedJwt::parse(raw).unwrap());
    assert!(owns(&site.good().sign()));
    let foreign = site.good().claim("sub", json!("spiffe://other.org/reports")).sign();
    assert!(!owns(&foreign));
    for (raw, what) in [
        (foreign, "another trust domain"),
        (site.good().claim("sub", json!("spiffe://example.org/../a")).sign(), "dots"),
        (site.good().claim("aud", json!(null)).sign(), "no audience"),
        (site.good().claim("exp", json!(null)).sign(), "no exp"),
        (site.good().header("cty", json!("JWT")).sign(), "an extra header"),
        (site.good().header("typ", json!("at+jwt")).sign(), "another type"),
    ] {
        let said = site.vouch(&raw).await;
        assert!(matches!(said, Err(VouchError::Rejected(_))), "{what}: {said:?}");
    }
    let key = site.issuer.rotate_to(Alg::EdDsa);
    let said = site.vouch(&site.good().signed_by(key).sign()).await;
    assert!(matches!(said, Err(VouchError::Rejected(_))), "EdDSA: {said:?}");
}

#[test]
fn faults_are_told() {
    for (config, line) in [
        (
            json!({"issuer": "a.example", "discoveryURL": "https://a.example/d"}),
            "config.issuer: cannot be used as it is; write the issuer that the discovery document",
        ),
        (json!({}), "config.issuer: is missing"),
        (json!({"issuer": "gitlab"}), "config.issuer: is \"gitlab\", which is not a URL"),
        (
            json!({"issuer": "https://a.example", "isuer": "x"}),
            "error: connectors[0].config.isuer: is not a known key",
        ),
        (json!({"issuer": "https://a.example", "jwks": {"keys": []}}), "jwks: holds no key"),
        (json!({"issuer": "https://a.example", "jwks": "nonsense"}), "jwks: holds no keys that can be used"),
        (
            json!({"issuer": "https://a.example", "jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}),
            "the key is not a public key",
        ),
        (json!({"issuer": "https://a.example", "keysFile": "/nowhere/keys"}), "keysFile: cannot be read"),
        (
            json!({"issuer": "https://a.example", "jwksURL": "https://a.example/k", "keysFile": "/x"}),
            "keysFile: cannot be read",
        ),
        (
            json!({"issuer": "https://a.example", "jwksURL": "https://a.example/k", "discoveryURL": "https://a.example/d"}),
            "names several sources of keys",
        ),
        (json!({"issuer": "https://a.example", "algorithms": ["HS256"]}), "algorithms[0]: is \"HS256\""),
        (json!({"issuer": "https://a.example", "rootCAs": ["nonsense"]}), "rootCAs[0]: cannot be used"),
        (json!({"issuer": "http://a.example"}), "warning: connectors[0].config: fetches keys by http"),
        (json!({"trustDomain": "Example.org", "jwksURL": "https://a.example"}), "which is no trust domain"),
        (json!({"trustDomain": "example.org"}), "says neither who the issuer is nor where its keys are"),
    ] {
        let told = faults_of("jwt", &config);
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}

/// One slip is one fault: an issuer that is there and wrong is not called missing as well.
#[test]
fn an_issuer_that_cannot_be_read_is_told_once() {
    for kind in ["jwt", "kubernetes"] {
        let told = faults_of(kind, &json!({"issuer": "a.example"}));
        assert!(told.contains("config.issuer: ") && !told.contains("says neither"), "{told}");
        assert!(!told.contains("is missing"), "{told}");
    }
}

#[test]
fn root_certificates_are_files_base64_or_pem() {
    use base64::Engine as _;
    let ca = testkit::TestCa::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(ca.pem());
    for one in [path.to_str().unwrap(), &encoded, ca.pem()] {
        assert_eq!(faults_of("jwt", &json!({"issuer": "https://a.example", "rootCAs": [one]})), "");
    }
}
