//! A configuration that cannot be used says everything that is wrong with it, at once, and nothing is served.

use super::Plan;
use crate::run::{err, obol, out};

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_come_at_once() {
    let plan = Plan::new();
    let told = plan
        .refused(
            "issuer: not a url\nstorage: {type: paper}\nweb: {http: nowhere, tlsMinVersion: '1.0'}\n\
             expiry: {idTokens: soon}\nlogger: {format: loud}\nconnectors: [{type: telepathy, id: a, name: A}]\n",
        )
        .await;
    for path in [
        "issuer",
        "storage.type",
        "web.http",
        "web.tlsMinVersion",
        "expiry.idTokens",
        "logger.format",
        "connectors[0].type",
    ] {
        let lines = told.lines().filter(|line| line.contains(&format!(": error: {path}: "))).count();
        assert_eq!(lines, 1, "{path}: {told}");
    }
    assert!(told.lines().last().unwrap().starts_with("error: "), "{told}");
}

/// A kind of connector that is not there yet is told of by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_connector_must_be_configured() {
    let plan = Plan::new();
    let with = |id: &str| {
        let more =
            "connectors: [{type: mockCallback, id: mock, name: M}, {type: google, id: later, name: L}]";
        let bare = plan.bare("storage: {type: memory}", &format!("oauth2: {{passwordConnector: {id}}}"));
        bare.replace("connectors: [{type: mockCallback, id: mock, name: Mock}]", more)
    };
    let told = plan.refused(&with("nobody")).await;
    assert!(told.contains("error: oauth2: ") && told.contains("\"nobody\" is none"), "{told}");
    let config = with("later");
    assert_eq!(plan.serve(&config).await.get("/keys").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unset_secret_env_is_a_fault() {
    let plan = Plan::new();
    let told =
        plan.refused(&plan.usual("").replace("secret: canary-secret", "secretEnv: NOBODY_SET_THIS")).await;
    assert!(told.contains("staticClients[0].secretEnv") && told.contains("NOBODY_SET_THIS"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_warn_and_strict_refuses_them() {
    let plan = Plan::new();
    let config = plan.usual("expiry: {idToken: 5m}");
    let file = plan.file("strict.yaml", &config);
    let strict = obol(&["serve", "--strict", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(strict.status.code(), Some(1));
    assert!(
        err(&strict).contains("error: expiry.idToken: ") && err(&strict).contains("did you mean idTokens?")
    );
    let serving = plan.serve(&config).await;
    assert!(serving.process.log().contains("warning: expiry.idToken: "), "{}", serving.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_of_our_own_sections_are_errors() {
    let plan = Plan::new();
    let told = plan.refused(&plan.usual("sealing: {keyFil: x}")).await;
    assert!(told.contains("error: sealing.keyFil: "), "{told}");
}

#[test]
fn check_json_lists_faults_with_their_places() {
    let plan = Plan::new();
    let file = plan.file("bad.yaml", &plan.usual("expiry: {idTokens: soon}\ngrpc: {addr: '127.0.0.1:5557'}"));
    let told = obol(&["check", "--json", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_str(out(&told)).unwrap();
    let fault = &document["faults"][0];
    assert_eq!((&fault["path"], &fault["severity"]), (&"expiry.idTokens".into(), &"error".into()));
    assert!(fault["line"].as_u64().unwrap() > 1 && !fault["instead"].as_str().unwrap().is_empty());
    assert_eq!(document["unsupported"], serde_json::json!(["grpc"]));
    assert_eq!(err(&told).lines().count(), 1, "{}", err(&told));

    let file = plan.file("good.yaml", &plan.usual(""));
    let told = obol(&["check", "--json", file.to_str().unwrap()]).output().unwrap();
    assert!(told.status.success());
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(out(&told)).unwrap()["faults"],
        serde_json::json!([])
    );
}

#[test]
fn what_is_no_configuration_is_one_line() {
    let plan = Plan::new();
    for bad in ["", "- a\n", "a: [", "\u{0}", "a: &a [*a]"] {
        let file = plan.file("bad.yaml", bad);
        let told = obol(&["serve", file.to_str().unwrap()]).output().unwrap();
        assert_eq!((told.status.code(), out(&told)), (Some(1), ""), "{bad:?}");
        assert!(err(&told).lines().last().unwrap().starts_with("error: "), "{bad:?}: {}", err(&told));
    }
    let told = obol(&["serve", "/nowhere/config.yaml"]).output().unwrap();
    assert_eq!((told.status.code(), err(&told).lines().count()), (Some(1), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_one_line() {
    let plan = Plan::new();
    let config = plan.usual("");
    let serving = plan.serve(&config).await;
    let told = serving.plan.file("again.yaml", &config);
    let told = obol(&["serve", told.to_str().unwrap()]).output().unwrap();
    assert_eq!((told.status.code(), err(&told).lines().count()), (Some(1), 1), "{}", err(&told));
    assert!(err(&told).contains("is it in use?"));
    serving.still_serves();
}
