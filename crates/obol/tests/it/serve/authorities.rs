//! Whom connectors believe: the machine's authorities, those that are named, or both.

use serde_json::json;
use testkit::TestCa;
use testkit::issuer::Issuer;

use super::Plan;

/// The issuer's authority is one of the machine's; a private one is named besides, or instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_issuer_s_private_authority_is_the_only_one_that_is_believed() {
    let (issuer, private) = (Issuer::start().await, TestCa::new());
    let plan = Plan::new();
    let (machine, private) =
        (plan.file("machine.pem", issuer.ca_pem()), plan.file("private.pem", private.pem()));
    let entries = [
        ("kubernetes", "", true),
        ("kubernetes", "private", false),
        ("kubernetes", "machine", true),
        ("jwt", "", true),
        ("jwt", "private", false),
        ("jwt", "machine", true),
        // As Dex: the machine's authorities stay.
        ("oidc", "private", true),
    ];
    let (mut connectors, mut policies) = (String::new(), String::new());
    for (kind, named, _) in entries {
        let id = format!("{kind}-{named}");
        let roots = match named {
            "" => String::new(),
            "private" => format!(", rootCAs: ['{}']", private.display()),
            _ => format!(", rootCAs: ['{}']", machine.display()),
        };
        let more = if kind == "oidc" { ", audiences: [x], userNameKey: sub" } else { "" };
        connectors += &format!(
            "- {{type: {kind}, id: {id}, name: {id}, config: {{issuer: '{}'{roots}{more}}}}}\n",
            issuer.issuer()
        );
        policies += &format!(
            "  - {{name: of-{id}, subject: {{connector: {id}}}, clients: [robot], audiences: [robot], issue: {{subject: '\"a\"'}}}}\n"
        );
    }
    let config = plan
        .usual(&format!("tokenExchange:\n  policies:\n{policies}"))
        .replace(
            "connectors: [{type: mockCallback, id: mock, name: Mock}]\n",
            &format!("connectors:\n{connectors}"),
        )
        .replace(
            "[client_credentials]",
            "[client_credentials, 'urn:ietf:params:oauth:grant-type:token-exchange']",
        );
    let serving = plan.with_variable("SSL_CERT_FILE", machine.to_str().unwrap()).serve(&config).await;
    let subject = issuer.mint(json!({"sub": "s", "aud": serving.plan.issuer}));
    for (kind, named, believed) in entries {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=robot&client_secret=canary-secret\
             &subject_token={subject}&subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience=robot\
             &connector_id={kind}-{named}"
        );
        let answer = serving.wire.post("/token", &form).expect("an answer");
        assert_eq!(answer.status, if believed { 200 } else { 503 }, "{kind} {named}: {answer:?}");
    }
}
