//! A configuration that changes while it is served, and the administrators' listener.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use testkit::TestCa;
use testkit::peers::free_port;

use super::{Plan, Serving};
use crate::run::obol;

const POLICY: &str = "policies:\n- name: deploys\n  subject: {connector: mock, claims: {sub: s}}\n  clients: [robot]\n  audiences: [robot]\n";

fn explain(serving: &Serving, server: &str, more: &[&str]) -> (bool, String) {
    serving.plan.file("claims.json", &claims().to_string());
    let mut command =
        obol(&["policy", "explain", "--client", "robot", "--connector", "mock", "--output", "json"]);
    command.args(["--server", server, "--claims"]).arg(serving.plan.path("claims.json")).args(more);
    let output = command.output().unwrap();
    let all = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(all).unwrap())
}

fn claims() -> Value {
    json!({"iss": "https://x", "sub": "s", "aud": "everybody", "exp": 4_000_000_000_u64})
}

/// SIGHUP.
fn hang_up(serving: &Serving) {
    let sent = Command::new("/bin/sh").args(["-c", &format!("kill -HUP {}", serving.process.id())]).status();
    assert!(sent.unwrap().success());
}

fn outcome(serving: &Serving, server: &str) -> Value {
    let (good, told) = explain(serving, server, &[]);
    assert!(good, "{told}");
    serde_json::from_str::<Value>(&told).unwrap()["outcome"].clone()
}

async fn serve(plan: Plan, port: u16) -> Serving {
    fs::create_dir(plan.path("policies.d")).unwrap();
    plan.file(
        "policies.d/a.yaml",
        &POLICY.replace("claims: {sub: s}", "audiences: [everybody], claims: {sub: s}"),
    );
    let more = format!(
        "sealing: none\nadmin: {{http: '127.0.0.1:{port}'}}\ntokenExchange: {{policyFiles: [policies.d]}}\n"
    );
    let config = plan.usual(&more).replace("name: Mock}", "name: Mock, config: {unsafeDexExchange: true}}");
    plan.serve(&config).await
}

#[tokio::test]
async fn attack_17_policies_are_reloaded_and_the_last_good_ones_kept() {
    let port = free_port().unwrap();
    let server = format!("http://127.0.0.1:{port}");
    let serving = serve(Plan::new(), port).await;
    let file = serving.plan.path("policies.d/a.yaml");
    let good = fs::read_to_string(&file).unwrap();
    assert_eq!(outcome(&serving, &server)["decision"], "granted");

    fs::write(&file, good.replace("sub: s", "sub: other")).unwrap();
    hang_up(&serving);
    serving.log_with("the configuration is in use").await;
    assert_eq!(outcome(&serving, &server)["decision"], "refused");

    fs::write(&file, good.replace("clients: [robot]", "clients: []")).unwrap();
    hang_up(&serving);
    let log = serving.log_with("the last good configuration stays in use").await;
    assert!(log.contains("a.yaml") && log.contains("none means nobody"), "{log}");
    assert_eq!(outcome(&serving, &server)["decision"], "refused", "by the last good one");
    serving.still_serves();

    // The last policy goes: nothing is opened by that.
    fs::remove_file(&file).unwrap();
    hang_up(&serving);
    serving.log_with("holds no policy: every exchange is refused").await;
    let refused = outcome(&serving, &server);
    assert_eq!((&refused["decision"], &refused["policy"]), (&json!("refused"), &Value::Null));

    // And so does the whole section.
    let config = fs::read_to_string(serving.plan.path("config.yaml")).unwrap();
    serving.plan.file("config.yaml", config.split("tokenExchange").next().unwrap());
    hang_up(&serving);
    serving.log_with("tokenExchange is gone").await;
    assert_eq!(outcome(&serving, &server)["decision"], "refused");
}

#[tokio::test]
async fn a_change_is_found_without_a_signal_and_clients_die_with_it() {
    let serving = serve(Plan::new(), free_port().unwrap()).await;
    let config = fs::read_to_string(serving.plan.path("config.yaml")).unwrap();
    serving.plan.file(
        "config.yaml",
        &config
            .replace("canary-secret", "other-secret")
            .replace("sealing: none", "sealing: none\nlogger: {level: debug}"),
    );
    let log = serving.log_with("these changes take a restart: logger").await;
    assert!(!log.contains("other-secret"), "{log}");
    assert_eq!(serving.token("canary-secret").status, 401);
    assert_eq!(serving.token("other-secret").status, 200);
}

#[tokio::test]
async fn admin_http_is_for_loopback_and_shows_what_the_token_endpoint_hides() {
    let port = free_port().unwrap();
    let serving = serve(Plan::new(), port).await;
    let (good, told) = explain(&serving, &format!("http://127.0.0.1:{port}"), &["--audience", "elsewhere"]);
    let explained: Value = serde_json::from_str(&told).unwrap();
    assert!(good && explained["outcome"]["reason"].as_str().unwrap().contains("deploys"), "{told}");
    serving.plan.file("token", "anything\n");
    let token = obol(&["policy", "explain", "--client", "robot", "--connector", "mock", "--output", "text"])
        .args(["--server", &format!("http://127.0.0.1:{port}"), "--token-file"])
        .arg(serving.plan.path("token"))
        .output()
        .unwrap();
    let text = String::from_utf8(token.stdout).unwrap();
    assert!(text.contains("with a token of mock (checked)") && text.contains("claims.sub"), "{text}");
    let (good, told) = explain(&serving, &format!("http://127.0.0.1:{}", serving.plan.port), &[]);
    assert!(!good && told.contains("is this the admin listener?"), "{told}");
    let open = "sealing: none\nadmin: {http: '0.0.0.0:5560'}\n";
    let told = Plan::new().refused(&Plan::new().usual(open)).await;
    assert!(told.contains("would show the rules to the network"), "{told}");
    let told =
        Plan::new().refused(&Plan::new().usual("sealing: none\nadmin: {https: '0.0.0.0:5560'}\n")).await;
    assert!(told.contains("https needs tlsCert, tlsKey and clientCA"), "{told}");
}

/// An authority of the test's own, which also signs what administrators show.
fn certificates(plan: &Plan) -> (String, String, String, String) {
    let authority = TestCa::new();
    let (own, admin) = (authority.leaf(&[]), authority.client("admin"));
    for (name, content) in [
        ("ca.pem", authority.pem()),
        ("tls.pem", &own.cert_pem),
        ("tls.key", &own.key_pem),
        ("admin.pem", &admin.cert_pem),
        ("admin.key", &admin.key_pem),
    ] {
        plan.file(name, content);
    }
    let path = |name: &str| plan.path(name).display().to_string();
    (path("ca.pem"), path("tls"), path("admin.pem"), path("admin.key"))
}

#[tokio::test]
async fn admin_https_wants_a_certificate_of_its_authority() {
    let (plan, port) = (Plan::new(), free_port().unwrap());
    let (ca, tls, cert, key) = certificates(&plan);
    let more = format!(
        "sealing: none\nadmin: {{https: '127.0.0.1:{port}', tlsCert: {tls}.pem, tlsKey: {tls}.key, clientCA: {ca}}}\n\
         tokenExchange: {{policies: []}}\n"
    );
    let config = plan.usual(&more).replace("name: Mock}", "name: Mock, config: {unsafeDexExchange: true}}");
    let serving = plan.serve(&config).await;
    let server = format!("https://127.0.0.1:{port}");
    let (good, told) = explain(&serving, &server, &["--certificate-authority", &ca]);
    assert!(!good, "{told}");
    let shown = ["--certificate-authority", &ca, "--client-certificate", &cert, "--client-key", &key];
    let (good, told) = explain(&serving, &server, &shown);
    assert!(good && told.contains("no policy matches"), "{told}");
}
