//! AuthenticationConfiguration: what is read, what is refused and where, and what tokens become under it.

use config::Faults;
use http::Request;
use http_body_util::BodyExt as _;
use proxy::{Anonymous, Configuration, Probe, Rights};
use serde_json::json;
use testkit::{Issuer, Line};

use crate::client;
use crate::front::{Front, Plan};

const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";

/// What a file makes, or every fault in it.
fn read(text: &str) -> Result<Configuration, String> {
    let faults = Faults::new();
    Configuration::read(text, "auth.yaml", &faults).ok_or_else(|| faults.to_string())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}\n")).collect()
}

/// One entry of a file.
fn entry(issuer: &Issuer, audience: &str, rest: &str) -> String {
    format!(
        "- issuer:\n    url: {}\n    audiences: [{audience}]\n    certificateAuthority: |\n{}{rest}",
        issuer.issuer(),
        indented(issuer.ca_pem())
    )
}

const WHOLE: &str = r#"  claimValidationRules:
  - {claim: hd, requiredValue: example.com}
  - {expression: 'claims.exp - claims.nbf <= 86400', message: too long}
  claimMappings:
    username: {expression: '"corp:" + claims.name'}
    groups: {expression: 'dyn(claims.roles).filter(r, r.startsWith("k8s-")).map(r, "corp:" + r)'}
    uid: {claim: oid}
    extra:
    - {key: example.org/tenant, valueExpression: claims.tenant}
    - {key: example.org/none, valueExpression: 'claims.?none.orValue("")'}
  userValidationRules:
  - {expression: "!user.username.startsWith('system:')", message: reserved}
  - {expression: "user.groups.all(g, g.startsWith('corp:')) && user.extra['example.org/tenant'] == ['t1']"}
"#;

const PLAIN: &str = "  claimMappings:\n    username: {claim: sub, prefix: \"b:\"}\n";

async fn configured(front: &Front, text: &str) {
    let Configuration { issuers, anonymous } = read(text).unwrap();
    front.proxy.replace_issuers(issuers, anonymous.unwrap_or_default(), &front.means).unwrap();
}

#[tokio::test]
async fn tokens_of_many_issuers_become_users_by_each_ones_own_rules() {
    let front = Front::start().await;
    let second = Issuer::builder().clock(front.clock.clone()).start().await;
    let both =
        entry(&front.issuer, "a, b", WHOLE).replace("[a, b]", "[a, b]\n    audienceMatchPolicy: MatchAny");
    let text = format!("{HEAD}jwt:\n{both}{}", entry(&second, "c", PLAIN));
    configured(&front, &text).await;
    front.proxy.set_rights(Rights { uid: true, every_extra: true, ..Rights::default() });
    let now = ambient::Clock::now(&front.clock).unix();
    let claims = json!({"sub": "x", "name": "jane", "hd": "example.com", "nbf": now, "exp": now + 60, "jti": "7",
        "oid": "u1", "tenant": "t1", "roles": ["k8s-dev", "other"]});
    for audience in ["a", "b"] {
        let token = front.issuer.token(claims.clone()).claim("aud", json!(audience)).sign();
        let headers = &front.reached(&token, &[]).await["headers"];
        assert_eq!(headers["impersonate-user"], json!(["corp:jane"]));
        assert_eq!(headers["impersonate-group"], json!(["corp:k8s-dev"]));
        assert_eq!(headers["impersonate-uid"], json!(["u1"]));
        assert_eq!(headers["impersonate-extra-example.org%2Ftenant"], json!(null));
        assert_eq!(headers["impersonate-extra-example.org%2ftenant"], json!(["t1"]));
        assert_eq!(
            headers["impersonate-extra-authentication.kubernetes.io%2fcredential-id"],
            json!(["JTI=7"])
        );
        assert_eq!(headers["impersonate-extra-example.org%2fnone"], json!(null));
    }
    let other = second.token(json!({"sub": "jane", "aud": "c"})).sign();
    assert_eq!(front.reached(&other, &[]).await["headers"]["impersonate-user"], json!(["b:jane"]));

    for (claim, value) in [
        ("aud", json!("c")),
        ("hd", json!("example.org")),
        ("exp", json!(now + 100_000)),
        ("name", json!(7)),
        ("roles", json!(["k8s-a", 1])),
        ("oid", json!(null)),
        ("tenant", json!("t2")),
        ("iss", json!(second.issuer())),
    ] {
        let mut token = front.issuer.token(claims.clone()).claim("aud", json!("a"));
        token = if value.is_null() { token.claim(claim, json!({})) } else { token.claim(claim, value) };
        front.get("/api", &token.sign(), &[]).await.failure(401, "Unauthorized");
    }
    // What the account may not send, as most may not, is left out.
    front.proxy.set_rights(Rights::default());
    let token = front.issuer.token(claims).claim("aud", json!("a")).sign();
    let headers = front.reached(&token, &[]).await["headers"].clone();
    let left = |name: &str| name.starts_with("impersonate-uid") || name.starts_with("impersonate-extra");
    assert!(!headers.as_object().unwrap().keys().any(|name| left(name)));
}

#[tokio::test]
async fn attack_14_an_issuer_that_is_down_is_its_own_trouble_and_readiness_says_whose() {
    let front = Front::start().await;
    let second = Issuer::builder().clock(front.clock.clone()).start().await;
    let text = format!("{HEAD}jwt:\n{}{}", entry(&front.issuer, "a", PLAIN), entry(&second, "a", PLAIN));
    second.set_line(Line::Refusing).await;
    configured(&front, &text).await;
    let [first_token, second_token] =
        [&front.issuer, &second].map(|issuer| issuer.token(json!({"sub": "jane", "aud": "a"})).sign());
    front.get("/api", &second_token, &[]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "keys_unavailable");
    front.reached(&first_token, &[]).await;

    let clock = std::sync::Arc::new(front.clock.clone());
    let day = std::time::Duration::from_hours(24);
    let [any, every] = [false, true].map(|every| Probe::new(front.proxy.clone(), day, every, clock.clone()));
    for probe in [&any, &every] {
        probe.set_serving(true);
    }
    let ask = |probe: &Probe| probe.answer(&Request::get("/ready?full=1").body(()).unwrap());
    assert_eq!((ask(&any).status().as_u16(), ask(&every).status().as_u16()), (200, 503));
    let told = ask(&every).into_body().collect().await.unwrap().to_bytes();
    let told = String::from_utf8(told.to_vec()).unwrap();
    assert!(
        told.contains("oidc-issuer-1") && told.contains("failed") && !told.contains("127.0.0.1"),
        "{told}"
    );
    second.set_line(Line::Up).await;
    front.clock.advance(std::time::Duration::from_secs(60));
    front.reached(&second_token, &[]).await;
    assert_eq!(ask(&every).status(), 200);
}

#[tokio::test]
async fn a_replaced_configuration_holds_at_once_and_keeps_the_keys_of_who_stays() {
    let front = Front::start().await;
    let second = Issuer::builder().clock(front.clock.clone()).start().await;
    let both = format!("{HEAD}jwt:\n{}{}", entry(&front.issuer, "a", PLAIN), entry(&second, "a", PLAIN));
    configured(&front, &both).await;
    let [stays, goes] =
        [&front.issuer, &second].map(|issuer| issuer.token(json!({"sub": "jane", "aud": "a"})).sign());
    front.reached(&stays, &[]).await;
    front.reached(&goes, &[]).await;
    let asked = front.issuer.requests(testkit::issuer::Route::Keys);
    let one = format!("{HEAD}jwt:\n{}", entry(&front.issuer, "a", &PLAIN.replace("b:", "c:")));
    configured(&front, &one).await;
    front.get("/api", &goes, &[]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "issuer");
    assert_eq!(front.reached(&stays, &[]).await["headers"]["impersonate-user"], json!(["c:jane"]));
    assert_eq!(front.issuer.requests(testkit::issuer::Route::Keys), asked);
}

#[tokio::test]
async fn nobody_is_anonymous_unless_that_is_configured_and_a_bad_token_never_is() {
    let front = Front::start().await;
    front.get("/livez", "", &[]).await.failure(401, "Unauthorized");
    let front = Plan { anonymous: Anonymous::Paths(vec!["/livez".into()]), ..Plan::default() }.start().await;
    let answer = client::read(client::send(front.address, client::get("/livez", "", &[])).await).await;
    assert_eq!(answer.document["headers"]["impersonate-user"], json!(["system:anonymous"]));
    for (path, headers) in [
        ("/livez/", &[][..]),
        ("/api", &[]),
        ("/livez", &[("authorization", "Bearer garbage")]),
        ("/livez", &[("authorization", "Basic eDp5")]),
    ] {
        front.get(path, "", headers).await.failure(401, "Unauthorized");
    }
    front.get("/livez", "", &[("impersonate-user", "admin")]).await.failure(403, "Forbidden");
}

#[test]
fn a_file_says_who_may_be_anonymous() {
    for (section, anonymous) in [
        ("", None),
        ("anonymous: {enabled: false}", Some(Anonymous::Nobody)),
        ("anonymous: {enabled: true}", Some(Anonymous::Everywhere)),
        (
            "anonymous: {enabled: true, conditions: [{path: /livez}]}",
            Some(Anonymous::Paths(vec!["/livez".into()])),
        ),
    ] {
        for version in ["v1", "v1beta1", "v1alpha1"] {
            let text = format!("{}{section}\n", HEAD.replace("/v1\n", &format!("/{version}\n")));
            assert_eq!(read(&text).unwrap().anonymous, anonymous, "{text}");
        }
    }
}

#[test]
fn every_fault_is_told_at_once_under_the_api_servers_path() {
    let text = r#"apiVersion: apiserver.config.k8s.io/v2
kind: Authentication
jwt:
- issuer: {url: "http://u:p@a.test/?q#f", discoveryURL: "https://a.test/.well-known", audiences: ["", a, a],
    certificateAuthority: x, egressSelectorType: moon, audienceMatchPolicy: MatchAll, extra: 1}
  claimValidationRules:
  - {claim: a, expression: "true"}
  - {}
  - {claim: b, message: m}
  - {claim: b}
  - {expression: "true", requiredValue: v}
  - {expression: "true"}
  - {expression: claims.flag}
  - {expression: "claims.a =="}
  - {expression: "claims.a__dot__b == 'c'"}
  claimMappings:
    username: {expression: claims.email, prefix: p}
    groups: {claim: groups}
    uid: {claim: a, expression: claims.b}
    extra:
    - {key: Example.org/a, valueExpression: claims.a}
    - {key: plain, valueExpression: claims.a}
    - {key: a.k8s.io/x, valueExpression: claims.a}
    - {key: example.org/b}
    - {key: example.org/c, valueExpression: claims.a}
    - {key: example.org/c, valueExpression: claims.a}
  userValidationRules:
  - {}
  - {expression: user.nothing == ''}
- issuer: {url: https://b.test, audiences: [a, b]}
  claimMappings: {username: {claim: sub, prefix: ""}}
- issuer: {url: https://b.test, discoveryURL: "https://b.test/", audiences: []}
  claimMappings: {username: {}}
anonymous: {enabled: false, conditions: [{path: /a}]}
"#;
    let faults = read(text).unwrap_err();
    for wanted in [
        "apiVersion: is",
        "kind: is",
        "jwt[0].issuer.url: is an invalid value: \"http://u:p@a.test/?q#f\": URL scheme must be https",
        "URL must not contain a username or password",
        "URL must not contain a query",
        "URL must not contain a fragment",
        "jwt[0].issuer.audiences[0]: is empty",
        "jwt[0].issuer.audiences[2]: is a duplicate value: \"a\"",
        "jwt[0].issuer.certificateAuthority: is an invalid value: <omitted>",
        "jwt[0].issuer.egressSelectorType: egress selector must be either",
        "jwt[0].issuer.audienceMatchPolicy: is an invalid value",
        "jwt[0].issuer.extra: is not a known key",
        "jwt[0].claimValidationRules[0]: claim and expression can't both be set",
        "jwt[0].claimValidationRules[1]: has neither; claim or expression is required",
        "jwt[0].claimValidationRules[2].message: may not be specified when claim is set",
        "jwt[0].claimValidationRules[3].claim: is a duplicate value",
        "jwt[0].claimValidationRules[4].requiredValue: may not be specified when expression is set",
        "jwt[0].claimValidationRules[5].expression: is a duplicate value",
        "jwt[0].claimValidationRules[6].expression: compilation failed",
        "jwt[0].claimValidationRules[7].expression: compilation failed",
        "jwt[0].claimValidationRules[8].expression: uses \"__dot__\"",
        "jwt[0].claimMappings.username.prefix: may not be specified when expression is set",
        "claims.email_verified must be used",
        "jwt[0].claimMappings.groups.prefix: is missing",
        "jwt[0].claimMappings.uid: claim and expression can't both be set",
        "jwt[0].claimMappings.extra[0].key: is an invalid value: \"Example.org/a\": must be lowercase",
        "jwt[0].claimMappings.extra[1].key: is an invalid value: \"plain\": must be a domain-prefixed path",
        "jwt[0].claimMappings.extra[2].key: is an invalid value: \"a.k8s.io/x\": k8s.io, kubernetes.io",
        "jwt[0].claimMappings.extra[3].valueExpression: is missing",
        "jwt[0].claimMappings.extra[5].key: is a duplicate value",
        "jwt[0].userValidationRules[0].expression: is missing",
        "jwt[0].userValidationRules[1].expression: compilation failed",
        "jwt[1].issuer.audienceMatchPolicy: is missing; audienceMatchPolicy must be MatchAny for multiple audiences",
        "jwt[2].issuer.url: is a duplicate value",
        "jwt[2].issuer.discoveryURL: discoveryURL must be different from URL",
        "jwt[2].issuer.audiences: is missing",
        "jwt[2].claimMappings.username: has neither; claim or expression is required",
        "anonymous: enabled should be set to true when conditions are defined",
    ] {
        assert!(faults.contains(wanted), "{wanted}\n{faults}");
    }
}

#[test]
fn an_empty_file_and_a_file_of_something_else_are_refused() {
    for bad in
        ["", "jwt: []\n", "apiVersion: v1\nkind: Config\n", "[]", "kind: AuthenticationConfiguration\n"]
    {
        assert!(read(bad).is_err(), "{bad:?}");
    }
    assert!(read(&format!("{HEAD}jwt: []\n")).unwrap().issuers.is_empty());
    let twice = format!("{HEAD}jwt: []\njwt: []\n");
    assert!(read(&twice).unwrap_err().contains("twice"), "{twice}");
    let many = format!("{HEAD}jwt:\n{}", "- {}\n".repeat(65));
    assert!(read(&many).unwrap_err().contains("at most 64"));
}

#[test]
fn an_address_may_be_used_where_its_verification_is_looked_at() {
    let file = |username: &str, rest: &str| {
        format!(
            "{HEAD}jwt:\n- issuer: {{url: https://a.test, audiences: [a]}}\n  claimMappings:\n    username: {{expression: '{username}'}}\n{rest}"
        )
    };
    let guarded = "claims.email_verified == true ? claims.email : claims.sub";
    for (username, rest, good) in [
        ("claims.email", "", false),
        (r#"claims["email"]"#, "", false),
        (guarded, "", true),
        (r#"claims["email_verified"] == true ? claims.email : claims.sub"#, "", false),
        (
            "claims.email",
            "    extra: [{key: a.test/v, valueExpression: string(claims.email_verified)}]\n",
            true,
        ),
        (
            "claims.email",
            "  claimValidationRules: [{expression: claims.?email_verified.orValue(true) == true}]\n",
            true,
        ),
        (
            "claims.email",
            "  userValidationRules: [{expression: \"user.username != 'claims.email_verified'\"}]\n",
            false,
        ),
        ("claims.emails", "", true),
    ] {
        assert_eq!(read(&file(username, rest)).is_ok(), good, "{username} {rest}");
    }
}

#[test]
fn the_documented_file_loads() {
    let page = include_str!("../../../../docs/authentication.md");
    let file = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(read(file).unwrap().issuers.len(), 1);
}
