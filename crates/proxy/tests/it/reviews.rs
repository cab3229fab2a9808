//! What the API server is asked: whose a token is, whom a caller may be, and what the proxy itself may say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proxy::{Anonymous, Extras, Mapping, Mode, Named, Outcome};
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

/// The API server may know the same issuer with fewer rules.
#[tokio::test]
async fn attack_28_what_an_issuer_here_refused_is_not_reviewed() {
    let front = Plan { passthrough: true, ..Plan::default() }.start().await;
    let good = || front.issuer.token(json!({"sub": "jane", "aud": "kubernetes"}));
    let twice = format!(r#"{{"iss":"x","iss":"{}","sub":"jane"}}"#, front.issuer.issuer());
    for token in [
        good().claim("exp", json!(1)).sign(),
        good().claim("aud", json!("other")).sign(),
        good().claim("groups", json!([1])).sign(),
        good().header("alg", json!("none")).signature(b"").sign(),
        good().header("crit", json!(["x"])).sign(),
        good().raw_payload(twice.as_str()).sign(),
    ] {
        front.get("/api", &token, &[]).await.failure(401, "Unauthorized");
    }
    assert_eq!(front.stub.reviews(), Vec::<Value>::new());
    let foreign = good().claim("iss", json!("https://kubernetes.default.svc")).sign();
    for token in [foreign.as_str(), "abcdef.0123456789abcdef", "ya29.c.opaque"] {
        front.get("/api", token, &[]).await.failure(401, "Unauthorized");
    }
    assert_eq!(front.stub.reviews().len(), 3, "these may be the API server's own");
}

#[tokio::test]
async fn attack_25_reviews_at_once_have_a_bound() {
    let front = Plan { passthrough: true, ..Plan::default() }.start().await;
    let held = front.stub.hold_reviews().await;
    let asking = ambient::Tasks::default();
    for i in 0..80 {
        let (address, token) = (front.address, format!("garbage-{i}"));
        asking.spawn(async move {
            client::read(client::send(address, get("/api", &token, &[])).await).await;
        });
    }
    while front.stub.reviews().len() < 64 {
        tokio::task::yield_now().await;
    }
    // Whoever would come would have come by now.
    for _ in 0..50 {
        front.reached(&front.jane(), &[]).await;
    }
    assert_eq!(front.stub.reviews().len(), 64);
    drop(held);
    asking.ended().await;
    assert_eq!(front.stub.reviews().len(), 80);
}

#[tokio::test]
async fn attack_28_a_token_that_is_not_read_is_not_nobodys() {
    let front = Plan { anonymous: Anonymous::Everywhere, ..Plan::default() }.start().await;
    assert_eq!(front.reached("", &[]).await["headers"]["impersonate-user"], json!(["system:anonymous"]));
    let websocket = [("connection", "Upgrade"), ("upgrade", "websocket")];
    for protocols in [
        "base64url.bearer.authorization.k8s.io.%%, v4.channel.k8s.io",
        "base64url.bearer.authorization.k8s.io.YWJj=, v4.channel.k8s.io",
        "base64url.bearer.authorization.k8s.io., v4.channel.k8s.io",
        "base64url.bearer.authorization.k8s.io, v4.channel.k8s.io",
    ] {
        let with = [("sec-websocket-protocol", protocols)];
        front.get("/api", "", &[&websocket[..], &with].concat()).await.failure(401, "Unauthorized");
        assert_eq!(front.events.last_code(), "unread_token", "{protocols}");
        front.get("/api", "", &with).await.failure(401, "Unauthorized");
    }
    front.get("/api", "", &[("authorization", "Basic YTpi")]).await.failure(401, "Unauthorized");
    let seen = front.reached("", &[("sec-websocket-protocol", "v4.channel.k8s.io")]).await;
    assert_eq!(seen["headers"]["impersonate-user"], json!(["system:anonymous"]));
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
    let event = front.events.all().pop().unwrap();
    assert_eq!((event.user.unwrap().name, event.acts_as.unwrap().name), ("jane".into(), "bob".into()));
    // Who asks for nothing is not asked about.
    assert_eq!(front.reached(&front.jane(), &[]).await["headers"]["impersonate-user"], json!(["jane"]));
    assert_eq!(front.stub.reviews().len(), 4);
}

#[tokio::test]
async fn attack_28_nobody_becomes_who_it_may_not_be() {
    let front = Plan { on_behalf: true, ..Plan::default() }.start().await;
    front.stub.allow(&["\"bob\"", "originaluser"]);
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
        (
            &[("impersonate-user", "bob"), ("impersonate-extra-remote-client-ip", "10.0.0.1")],
            "Impersonation requests are disabled when using kube-oidc-proxy",
        ),
        (&[("impersonate_user", "bob")], "Impersonation requests are disabled when using kube-oidc-proxy"),
    ] {
        let answer = front.get("/api", &front.jane(), asked).await;
        assert_eq!(answer.failure(403, "Forbidden"), message);
    }
    let refused = front.events.all().into_iter().find(|event| event.acts_as.is_some()).unwrap();
    assert_eq!((refused.user.unwrap().name, refused.acts_as.unwrap().name), ("jane".into(), "admin".into()));
    front.get("/api", &front.jane(), &[("impersonate-group", "bob")]).await.failure(400, "BadRequest");
    let account = [("impersonate-user", "system:serviceaccount:ns:bob")];
    front.reached(&front.jane(), &account).await;
    let last = front.stub.reviews().into_iter().rfind(|spec| spec["user"] == "jane").unwrap();
    let expected =
        json!({"verb": "impersonate", "resource": "serviceaccounts", "namespace": "ns", "name": "bob"});
    assert_eq!(last["resourceAttributes"], expected);
    assert_eq!(front.stub.paths().len(), 1);
}

/// Without the field that was asked for somebody else is judged; without those of the caller nobody knows who it was.
#[tokio::test]
async fn attack_28_on_behalf_goes_on_whole_or_not_at_all() {
    let front = Plan { on_behalf: true, ..Plan::default() }.start().await;
    let bob = ("impersonate-user", "bob");
    let (uid, tenant) = (("impersonate-uid", "u7"), ("impersonate-extra-example.org%2ftenant", "t1"));
    let callers = ["\"bob\"", "\"u7\"", "\"t1\""];
    for (more, asked, missing) in [
        (&[][..], &[bob][..], "userextras.authentication.k8s.io/originaluser.jetstack.io-user"),
        (&["originaluser"], &[bob, uid], "uids.authentication.k8s.io"),
        (
            &["originaluser", "uids"],
            &[bob, uid, tenant],
            "userextras.authentication.k8s.io/example.org/tenant",
        ),
    ] {
        front.stub.allow(&[&callers[..], more].concat());
        // What the account may not do is asked again after ten seconds.
        front.clock.advance(std::time::Duration::from_secs(10));
        let answer = front.get("/api", &front.jane(), asked).await;
        let message = answer.failure(403, "Forbidden");
        assert!(message.contains(missing), "{message}");
        assert_eq!(front.events.last_code(), "proxy_may_not");
    }
    assert!(front.stub.paths().is_empty());
    front.stub.allow(&[&callers[..], &["originaluser", "uids", "example.org/tenant"]].concat());
    front.clock.advance(std::time::Duration::from_secs(10));
    for _ in 0..2 {
        let headers = front.reached(&front.jane(), &[bob, uid, tenant]).await["headers"].clone();
        assert_eq!(headers["impersonate-uid"], json!(["u7"]));
        assert_eq!(headers["impersonate-extra-example.org%2ftenant"], json!(["t1"]));
        assert_eq!(headers["impersonate-extra-originaluser.jetstack.io-user"], json!(["jane"]));
    }
    let own = |spec: &&Value| {
        spec["user"].is_null() && spec["resourceAttributes"]["subresource"] == "example.org/tenant"
    };
    assert_eq!(front.stub.reviews().iter().filter(own).count(), 2, "asked when it is wanted, and remembered");
}

#[tokio::test]
async fn attack_25_one_request_asks_for_a_bounded_number_of_reviews() {
    let front = Plan { on_behalf: true, ..Plan::default() }.start().await;
    front.stub.allow(&["users", "groups", "originaluser"]);
    let names: Vec<String> = (0..64).map(|i| format!("g{i}")).collect();
    let many: Vec<_> = std::iter::once(("impersonate-user", "bob"))
        .chain(names.iter().map(|name| ("impersonate-group", name.as_str())))
        .collect();
    front.get("/api", &front.jane(), &many).await.failure(400, "BadRequest");
    assert!(front.stub.reviews().is_empty());
    let same = [[("impersonate-user", "bob")].as_slice(), &[("impersonate-group", "g"); 70]].concat();
    front.reached(&front.jane(), &same).await;
    let of_jane = front.stub.reviews().into_iter().filter(|spec| spec["user"] == "jane").count();
    assert_eq!(of_jane, 2);
}

/// Two looks at the API server apart: `*` as a rule's own text, which allows no key, and issuers that come with new fields.
#[tokio::test]
async fn rights_are_asked_anew_with_new_issuers_and_a_star_is_no_right_to_every_field() {
    let front = Front::start().await;
    front.stub.allow(&["\"users\"", "\"groups\"", "\"*\""]);
    let reviews = front.target.reviews(&front.means.dial).unwrap();
    let keeping = ambient::Tasks::default();
    let clock = std::sync::Arc::new(front.clock.clone());
    keeping.spawn_until_stop(proxy::keep_rights(front.proxy.clone(), reviews, clock));
    front.clock.until_sleeping(1).await;
    let token = front.token(json!({"sub": "jane", "jti": "7"}));
    let extra = "impersonate-extra-authentication.kubernetes.io%2fcredential-id";
    assert_eq!(front.reached(&token, &[]).await["headers"][extra], Value::Null);
    front.stub.allow(&["\"users\"", "\"groups\"", "credential-id"]);
    let specs = vec![crate::front::spec(&front.issuer, Mapping::of_claims(Named::claim("sub", ""), None))];
    front.proxy.replace_issuers(specs, Anonymous::Nobody, &front.means).unwrap();
    let sent = async {
        while front.reached(&token, &[]).await["headers"][extra] != json!(["JTI=7"]) {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(10), sent).await;
    assert!(in_time.is_ok(), "asked again although nobody's five minutes are over");
    keeping.stop();
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
    front.stub.allow(&["\"bob\"", "originaluser"]);
    front.reached("sa-token", &[]).await;
    front.reached(&front.jane(), &asked).await;
}
