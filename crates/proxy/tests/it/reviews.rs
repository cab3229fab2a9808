//! What the API server is asked: whose a token is, whom a caller may be, and what the proxy itself may say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proxy::{Extras, Mode, Outcome};
use serde_json::{Value, json};

use crate::client::{self, get};
use crate::front::{Front, Plan};

#[tokio::test]
async fn a_token_that_the_api_server_knows_goes_on_as_it_is() {
    let front = Plan { passthrough: true, ..Plan::default() }.start().await;
    let seen = front.reached("sa-token", &[]).await;
    assert_eq!(seen["headers"]["authorization"], json!(["Bearer sa-token"]));
    assert!(!seen["headers"].as_object().unwrap().keys().any(|name| name.starts_with("impersonate")));
    let event = front.events.all().pop().unwrap();
    assert_eq!(event.user.unwrap().name, "system:serviceaccount:a:b");
    assert!(matches!(event.outcome, Outcome::Passed { impersonated: false, .. }), "{:?}", event.outcome);
    // Asked once in ten seconds, with the audiences.
    front.reached("sa-token", &[]).await;
    assert_eq!(front.stub.reviews(), [json!({"token": "sa-token", "audiences": ["api"]})]);
    front.clock.advance(std::time::Duration::from_secs(10));
    front.reached("sa-token", &[]).await;
    assert_eq!(front.stub.reviews().len(), 2);
    // The issuer's own callers are impersonated as ever, on the other lane.
    let jane = front.reached(&front.jane(), &[]).await;
    assert_eq!(jane["headers"]["impersonate-user"], json!(["jane"]));
    assert_ne!(jane["connection"], seen["connection"]);
    assert_eq!(front.stub.reviews().len(), 2);
}

#[tokio::test]
async fn attack_28_a_reviewed_token_brings_no_impersonation_and_must_be_meant_for_us() {
    let front = Plan { passthrough: true, on_behalf: true, ..Plan::default() }.start().await;
    front.get("/api", "sa-token", &[("impersonate-user", "admin")]).await.failure(403, "Forbidden");
    // An API server that knows no audiences says none back.
    front.get("/api", "unaware", &[]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "malformed");
    for _ in 0..3 {
        front.get("/api", "garbage", &[]).await.failure(401, "Unauthorized");
    }
    let asked: Vec<Value> =
        front.stub.reviews().into_iter().filter(|spec| spec["token"] == "garbage").collect();
    assert_eq!(asked.len(), 1, "a bad token is reviewed once in ten seconds");
    front.get("/api", "", &[]).await.failure(401, "Unauthorized");
    assert!(front.stub.paths().is_empty());
    let front = Front::start().await;
    front.get("/api", "sa-token", &[]).await.failure(401, "Unauthorized");
    assert!(front.stub.reviews().is_empty());
}

#[tokio::test]
async fn a_browser_brings_its_token_among_the_subprotocols_and_it_ends_here() {
    let front = Front::start().await;
    let hidden = format!("base64url.bearer.authorization.k8s.io.{}", URL_SAFE_NO_PAD.encode(front.jane()));
    let protocols = format!("{hidden}, v4.channel.k8s.io");
    let headers =
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", protocols.as_str())];
    let seen = front.reached("", &headers).await;
    assert_eq!(seen["headers"]["sec-websocket-protocol"], json!(["v4.channel.k8s.io"]));
    assert_eq!(seen["headers"]["impersonate-user"], json!(["jane"]));
    front.get("/api", "", &[("sec-websocket-protocol", &protocols)]).await.failure(401, "Unauthorized");
}

#[tokio::test]
async fn a_caller_may_be_whom_the_api_server_lets_it_be() {
    let mode = Mode::Impersonate(Extras::default());
    let front = Plan { on_behalf: true, mode, ..Plan::default() }.start().await;
    front.stub.allow(&["\"bob\"", "\"ops\"", "\"u7\"", "tenant"]);
    let rights = proxy::Rights { uid: true, every_extra: true, ..proxy::Rights::default() };
    front.proxy.set_rights(rights);
    let asked = [
        ("impersonate-user", "bob"),
        ("impersonate-group", "ops"),
        ("impersonate-uid", "u7"),
        ("impersonate-extra-example.org%2ftenant", "t"),
    ];
    let headers = front.reached(&front.jane(), &asked).await["headers"].clone();
    assert_eq!(headers["impersonate-user"], json!(["bob"]));
    assert_eq!(headers["impersonate-group"], json!(["ops"]));
    assert_eq!(headers["impersonate-uid"], json!(["u7"]));
    assert_eq!(headers["impersonate-extra-example.org%2ftenant"], json!(["t"]));
    assert_eq!(headers["impersonate-extra-originaluser.jetstack.io-user"], json!(["jane"]));
    assert_eq!(headers["impersonate-extra-originaluser.jetstack.io-groups"], json!(["developers"]));
    let reviews = front.stub.reviews();
    assert_eq!(reviews.len(), 4);
    assert_eq!(reviews[0]["user"], "jane");
    assert_eq!(reviews[0]["groups"], json!(["developers", "system:authenticated"]));
    let of = |i: usize| reviews[i]["resourceAttributes"].clone();
    assert_eq!(of(0), json!({"verb": "impersonate", "resource": "users", "name": "bob"}));
    assert_eq!(of(2)["group"], "authentication.k8s.io");
    assert_eq!(
        (&of(3)["resource"], &of(3)["subresource"]),
        (&json!("userextras"), &json!("example.org/tenant"))
    );
    // Who asks for nothing is not asked about.
    assert_eq!(front.reached(&front.jane(), &[]).await["headers"]["impersonate-user"], json!(["jane"]));
    assert_eq!(front.stub.reviews().len(), 4);
}

#[tokio::test]
async fn attack_28_nobody_becomes_who_it_may_not_be() {
    let front = Plan { on_behalf: true, ..Plan::default() }.start().await;
    front.stub.allow(&["\"bob\""]);
    for (asked, message) in [
        (&[("impersonate-user", "admin")][..], "jane is not allowed to impersonate user 'admin'"),
        (
            &[("impersonate-user", "bob"), ("impersonate-group", "system:masters")],
            "jane is not allowed to impersonate group 'system:masters'",
        ),
        (
            &[("impersonate-user", "bob"), ("impersonate-uid", "0")],
            "jane is not allowed to impersonate uid '0'",
        ),
        (
            &[("impersonate-user", "bob"), ("impersonate-extra-scopes", "all")],
            "jane is not allowed to impersonate extra info 'scopes'='all'",
        ),
        (&[("impersonate_user", "bob")], "Impersonation requests are disabled when using kube-oidc-proxy"),
    ] {
        let answer = front.get("/api", &front.jane(), asked).await;
        assert_eq!(answer.failure(403, "Forbidden"), message);
    }
    front.get("/api", &front.jane(), &[("impersonate-group", "bob")]).await.failure(400, "BadRequest");
    let account = [("impersonate-user", "system:serviceaccount:ns:bob")];
    front.reached(&front.jane(), &account).await;
    let last = front.stub.reviews().pop().unwrap();
    let expected =
        json!({"verb": "impersonate", "resource": "serviceaccounts", "namespace": "ns", "name": "bob"});
    assert_eq!(last["resourceAttributes"], expected);
    assert_eq!(front.stub.paths().len(), 1);
}

#[tokio::test]
async fn what_the_proxys_account_may_send_is_asked_of_the_api_server() {
    let mode = Mode::Impersonate(Extras { fixed: vec![("team".into(), vec!["a".into()])], client_ip: true });
    let front = Plan { mode, ..Plan::default() }.start().await;
    front.stub.allow(&["\"users\"", "\"groups\"", "credential-id", "team"]);
    let reviews = front.target.reviews(&front.means.dial).unwrap();
    let keeping = ambient::Tasks::default();
    let clock = std::sync::Arc::new(front.clock.clone());
    keeping.spawn_until_stop(proxy::keep_rights(front.proxy.clone(), reviews, clock));
    // Asleep until it asks again: it has asked.
    front.clock.until_sleeping(1).await;
    let token = front.token(json!({"sub": "jane", "jti": "7"}));
    let answer = client::read(client::send(front.address, get("/api", &token, &[])).await).await;
    let headers = answer.document["headers"].as_object().unwrap().clone();
    let extras: Vec<_> = headers.keys().filter(|name| name.starts_with("impersonate-extra")).collect();
    assert_eq!(
        extras,
        ["impersonate-extra-authentication.kubernetes.io%2fcredential-id", "impersonate-extra-team"]
    );
    keeping.stop();
}

#[tokio::test]
async fn attack_14_without_reviews_only_reviewed_callers_are_out() {
    let front = Plan { passthrough: true, on_behalf: true, ..Plan::default() }.start().await;
    front.stub.refuse_reviews(true);
    front.get("/api", "sa-token", &[]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "review");
    let asked = [("impersonate-user", "bob")];
    front.get("/api", &front.jane(), &asked).await.failure(503, "ServiceUnavailable");
    assert_eq!(front.events.last_code(), "unreviewed");
    front.reached(&front.jane(), &[]).await;
    front.stub.refuse_reviews(false);
    front.stub.allow(&["\"bob\""]);
    front.reached("sa-token", &[]).await;
    front.reached(&front.jane(), &asked).await;
}
