use std::io::{BufRead as _, BufReader};
use std::process::Output;

use serde_json::{Value, json};

use super::{Home, PASSWORD, claims, run, start};
use crate::run::{err, obol, out};

/// The lines on stderr up to the one with `mark` in it.
fn said(child: &mut std::process::Child, mark: &str) -> Vec<String> {
    let mut all = Vec::new();
    for line in BufReader::new(child.stderr.as_mut().unwrap()).lines().map(Result::unwrap) {
        let found = line.contains(mark);
        all.push(line);
        if found {
            return all;
        }
    }
    panic!("{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_the_address_is_printed() {
    let home = Home::start().await;
    let mut child = start(home.get_token(&["--listen-address=127.0.0.1:0", "--no-browser"]));
    let lines = said(&mut child, "To sign in, visit (waiting for up to 3 min): ");
    home.sign_in(lines.last().unwrap().split(": ").nth(1).unwrap());
    assert_eq!(claims(&child.wait_with_output().unwrap())["email"], "ana@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_shows_a_code() {
    let home = Home::start().await;
    let mut child = start(home.get_token(&["--grant-type=device-code"]));
    let lines = said(&mut child, "To sign in, visit");
    let code = lines.iter().find(|line| line.starts_with("Your code is ")).unwrap();
    let code = code.split(' ').nth(3).unwrap().trim_end_matches('.');
    let address = lines.last().unwrap().split(": ").nth(1).unwrap();
    assert!(address.contains(code), "{lines:?}");
    home.sign_in(address);
    assert_eq!(claims(&child.wait_with_output().unwrap())["email"], "ana@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_carried_over_by_hand_only_at_a_terminal() {
    let home = Home::start().await;
    let refused = run(home.get_token(&["--grant-type=authcode-keyboard"]));
    assert!(
        err(&refused).contains("a code would have to be typed, and there is no terminal"),
        "{}",
        err(&refused)
    );
    assert_eq!(out(&refused), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn name_and_password_come_from_the_environment_and_never_from_a_silent_kubectl() {
    let home = Home::start().await;
    let mut command = home.get_token(&[]);
    command.env("OBOL_USERNAME", "ana@example.com").env("OBOL_PASSWORD", PASSWORD);
    assert_eq!(claims(&run(command))["groups"], json!(["admins"]));

    let mut command = home.get_token(&["--username=ben@example.com"]);
    let info = json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": {"interactive": false}});
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    let refused = run(command);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        err(&refused),
        "error: a password would have to be typed, and kubectl says that nobody is at the terminal: set OBOL_PASSWORD, \
         or use --password=file:PATH\n"
    );
    let wrong = home.path("wrong");
    std::fs::write(&wrong, "canary-wrong\n").unwrap();
    let refused = run(home.get_token(&[
        "--username=ana@example.com",
        "--force-refresh",
        &format!("--password=file:{}", wrong.display()),
    ]));
    assert!(refused.status.success(), "the session of before is renewed: {}", err(&refused));
    let refused =
        run(home.get_token(&["--username=ben@example.com", &format!("--password=file:{}", wrong.display())]));
    assert!(
        err(&refused).contains("the token endpoint refused: ") && !err(&refused).contains("canary"),
        "{}",
        err(&refused)
    );
    assert_eq!(out(&refused), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_signs_in_as_itself() {
    let home = Home::start().await;
    let issuer = home.issuer();
    let by = |more: &[&str]| -> Output {
        let flags = ["get-token", "--grant-type=client-credentials", "--oidc-client-id=robot"];
        let mut command = obol(&[&flags[..], more].concat());
        command.env("HOME", home.path("home")).env("OBOL_CLIENT_SECRET", "canary-secret").output().unwrap()
    };
    let output = by(&[&format!("--oidc-issuer-url={issuer}")]);
    assert_eq!(claims(&output)["aud"], "robot");
    assert!(home.kept().iter().all(|(_, text)| !text.contains("canary-secret")));
    // As kubelogin's users write it, with flags that mean nothing here.
    let issuer = format!("--oidc-issuer-url={issuer}");
    let flags = [
        &issuer,
        "--oidc-extra-scope=email",
        "--oidc-extra-scope=profile",
        "-v1",
        "--oidc-use-pkce",
        "--tls-renegotiation-once",
        "--listen-address=127.0.0.1:12345",
        "--skip-open-browser",
        "--token-cache-storage=keyring",
        "--token-cache-dir=~/elsewhere",
        "--oidc-request-header=Origin=localhost",
        "--oidc-auth-request-extra-params=audience=x",
    ];
    assert_eq!(claims(&by(&flags))["name"], "Robot");
    assert!(home.path("home/elsewhere").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_26_a_header_that_cannot_be_read_is_not_told() {
    let home = Home::start().await;
    let refused = run(home.get_token(&["--oidc-request-header=Authorization: Bearer kept-quiet"]));
    assert_eq!(refused.status.code(), Some(2));
    let said = err(&refused);
    assert!(said.contains("--oidc-request-header") && !said.contains("kept-quiet"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_exchange_honours_is_refused_elsewhere() {
    let home = Home::start().await;
    for flag in
        ["--audience=prod", "--resource=https://c.example", "--token-endpoint=https://o.example/token"]
    {
        let refused = run(home.get_token(&["--grant-type=authcode", flag]));
        assert_eq!(refused.status.code(), Some(2), "{flag}");
        assert!(err(&refused).contains("only the grant token-exchange"), "{}", err(&refused));
    }
    let info = json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "spec": {"interactive": true, "cluster": {"server": "https://c.example", "config": {"audience": "prod"}}}});
    let mut command = home.get_token(&["--grant-type=authcode"]);
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    assert!(err(&run(command)).contains("an audience is given"));
    let mut command = obol(&["get-token", "--grant-type=device-code"]);
    assert!(err(&command.output().unwrap()).contains("--oidc-issuer-url is missing"));
    let mut command = obol(&["get-token", "--grant-type=device-code", "--oidc-issuer-url=https://o.example"]);
    assert!(err(&command.output().unwrap()).contains("--oidc-client-id is missing"));
}

/// The cluster entry of a kubeconfig may say who signs people in.
#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_entry_may_name_the_issuer() {
    let home = Home::start().await;
    let config: Value = json!({"issuer": home.issuer(), "clientID": "kubectl", "scope": ["groups"]});
    let info = json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "spec": {"interactive": false, "cluster": {"server": "https://c.example", "config": config}}});
    let mut command = obol(&["get-token", "--username=ana@example.com"]);
    command.env("HOME", home.path("home")).env("OBOL_PASSWORD", PASSWORD);
    let output = command.env("KUBERNETES_EXEC_INFO", info.to_string()).output().unwrap();
    assert_eq!(claims(&output)["groups"], json!(["admins"]));
    assert!(out(&output).contains("client.authentication.k8s.io/v1\""));
}
