//! `logger`: one audit line per decision, never a secret.

use super::{Plan, Serving};

async fn decisions(logger: &str) -> (Serving, String) {
    let plan = Plan::new();
    let config = plan.usual(logger);
    let serving = plan.serve(&config).await;
    let granted = serving.token("canary-secret");
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(serving.token("canary-wrong").status, 401);
    let log = serving.log_with("deny").await;
    for secret in ["canary-secret", "canary-wrong", &token] {
        assert!(!log.contains(secret), "a secret is in the log: {log}");
    }
    (serving, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_format_json_writes_one_object_per_decision() {
    let (_serving, log) = decisions("logger: {format: json}").await;
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decided: Vec<_> = lines.iter().filter(|line| line["msg"] == "decision").collect();
    assert_eq!(decided.len(), 2, "{log}");
    assert_eq!((&decided[0]["outcome"], &decided[1]["outcome"]), (&"allow".into(), &"deny".into()));
    for line in decided {
        assert_eq!(line["client_id"], "robot");
        assert!(line["request_id"].is_string() && line["time"].is_string(), "{line}");
        assert_eq!(line["client_remote_addr"], "127.0.0.1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_json_log_has_the_same_shape() {
    let plan = Plan::new();
    let config = plan.usual("logger: {format: json}\nexpiry: {idToken: 5m}\ngrpc: {addr: '127.0.0.1:5557'}");
    let mut serving = plan.serve(&config).await;
    serving.still_serves();
    serving.stop().await;
    let log = serving.process.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        assert!(line["time"].is_string() && line["level"].is_string() && line["msg"].is_string(), "{line}");
    }
    let told = |word: &str| lines.iter().find(|line| line["msg"].as_str().unwrap().contains(word)).unwrap();
    assert_eq!(told("serving")["level"], "INFO");
    assert_eq!(
        (&told("not a known key")["key"], &told("not a known key")["level"]),
        (&"expiry.idToken".into(), &"WARN".into())
    );
    assert!(told("not there yet")["msg"].as_str().unwrap().ends_with("grpc"));
    assert_eq!(told("decision")["outcome"], "allow", "the last request's line is there at the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_format_text_writes_one_line_per_decision() {
    let (_serving, log) = decisions("logger: {format: text}").await;
    let decided = |outcome: &str| log.lines().filter(|line| line.contains(outcome)).count();
    assert_eq!((decided("outcome=allow"), decided("outcome=deny")), (1, 1), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_exclude_fields_leaves_members_out() {
    let (serving, log) =
        decisions("logger: {format: json, excludeFields: [client_remote_addr, client_id, issuer]}").await;
    assert!(!log.contains("client_remote_addr") && !log.contains("\"client_id\""), "{log}");
    let log = serving.log_with("serving").await;
    assert!(!log.contains("\"issuer\""), "not of other lines either: {log}");
    assert!(log.contains("request_id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_level_quietens_the_log_and_never_the_audit() {
    let (_serving, log) = decisions("logger: {level: error}").await;
    assert!(!log.contains("serving") && log.contains("outcome=deny"), "{log}");
    let (serving, _) = decisions("logger: {level: info}").await;
    serving.log_with("serving").await;
}
