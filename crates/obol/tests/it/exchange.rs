use std::fs;

use serde_json::Value;

use crate::run::{err, fed, obol, out};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_token_or_json_or_an_exec_credential() {
    let world = World::start().await;
    let token = fed(&mut world.obol(&["exchange"]), "");
    assert_eq!(out(&token), "issued-token\n", "{}", err(&token));
    let json = fed(&mut world.obol(&["exchange", "--output", "json"]), "");
    let json: Value = serde_json::from_str(out(&json)).unwrap();
    assert_eq!(json["access_token"], "issued-token");
    assert!(json["expires_at"].is_string());
    let credential = fed(&mut world.obol(&["exchange", "-o", "exec-credential"]), "");
    assert!(out(&credential).starts_with(r#"{"kind":"ExecCredential","#));
    assert_eq!(world.exchanges(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subject_token_comes_from_a_file_a_variable_or_a_pipe() {
    let world = World::start().await;
    let sent = || {
        let body = String::from_utf8(world.server.seen().last().unwrap().body.to_vec()).unwrap();
        wire::form::Form::parse(&body, &[]).unwrap().get("subject_token").unwrap().to_owned()
    };
    let mut piped = world.obol(&["exchange", "--subject-token-file", "-"]);
    assert!(fed(&mut piped, "piped-token\n").status.success());
    assert_eq!(sent(), "piped-token");
    let mut named = world.obol(&["exchange", "--subject-token-env", "CI_TOKEN"]);
    named.env_remove("OBOL_SUBJECT_TOKEN_FILE").env("CI_TOKEN", "token-of-the-job");
    assert!(fed(&mut named, "").status.success());
    assert_eq!(sent(), "token-of-the-job");
    let file = world.home.path().join("other");
    fs::write(&file, "token-in-a-file\n").unwrap();
    assert!(fed(&mut world.obol(&["exchange", "--token-file", file.to_str().unwrap()]), "").status.success());
    assert_eq!(sent(), "token-in-a-file");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokenxchanges_command_line_sends_tokenxchanges_form() {
    let world = World::start().await;
    let endpoint = world.server.url("/token").to_string();
    let mut command = obol(&[
        "exchange",
        "--oidc-endpoint",
        &endpoint,
        "--dex-connector",
        "cluster-a",
        "--client-id",
        "target-cluster",
        "--client-secret",
        "s",
        "--scopes",
        "openid,email,federated:id",
        "--output",
        "exec-credential",
    ]);
    command.args(["--token-file".as_ref(), world.home.path().join("token").as_os_str()]);
    command.args(["--certificate-authority".as_ref(), world.home.path().join("ca.pem").as_os_str()]);
    let answered = fed(&mut command, "");
    assert!(answered.status.success(), "{}", err(&answered));
    let seen = world.server.seen();
    let [request] = seen.as_slice() else { panic!("one request, no discovery") };
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    let form = wire::form::Form::parse(&body, &[]).unwrap();
    assert_eq!(form.get("scope"), Some("openid email federated:id"));
    assert_eq!(form.get("connector_id"), Some("cluster-a"));
    assert_eq!(form.get("requested_token_type"), Some("urn:ietf:params:oauth:token-type:id_token"));
    assert_eq!(request.headers["authorization"], "Basic dGFyZ2V0LWNsdXN0ZXI6cw==");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_one_line_that_shows_no_secret() {
    let world = World::start().await;
    let secrets = ["canary-secret", "canary-subject"];
    for (arguments, code, want) in [
        (["exchange", "--subject-token-file", "/nonexistent"].as_slice(), 1, "/nonexistent"),
        (&["exchange", "--issuer", "http://o.example"], 1, "not https"),
        (&["exchange", "--issuer", "no url"], 2, "--issuer"),
        (
            &[
                "exchange",
                "--token-endpoint",
                "https://127.0.0.1:1/",
                "--certificate-authority",
                "/nonexistent",
            ],
            1,
            "cannot read",
        ),
        (&["exchange", "--client-secret", "file:/nonexistent"], 2, "/nonexistent"),
        (&["exchange", "--requested-token-type", "idtoken"], 2, "id_token"),
        (&["exchange", "--help"], 0, ""),
    ] {
        let told = fed(&mut world.obol(arguments), "");
        assert_eq!(told.status.code(), Some(code), "{arguments:?}: {}", err(&told));
        assert!(err(&told).contains(want), "{arguments:?}: {}", err(&told));
        assert!(code != 1 || (err(&told).lines().count() == 1 && err(&told).starts_with("error: ")));
        assert!(secrets.iter().all(|secret| !err(&told).contains(secret) && !out(&told).contains(secret)));
    }
    let nobody = fed(&mut obol(&["exchange", "--subject-token-file", "-"]), "x");
    assert_eq!(nobody.status.code(), Some(2));
    assert!(err(&nobody).contains("--issuer URL"));
    assert_eq!(world.exchanges(), 0);
}

#[test]
fn what_cannot_be_reached_is_said_once() {
    let token = tempfile::NamedTempFile::new().unwrap();
    fs::write(token.path(), "a.b.c").unwrap();
    let nobody = format!("https://127.0.0.1:{}/token", testkit::peers::free_port().unwrap());
    let told = obol(&["exchange", "--token-endpoint", &nobody, "--client-id", "a", "--subject-token-file"])
        .arg(token.path())
        .output()
        .unwrap();
    assert_eq!((told.status.code(), out(&told)), (Some(1), ""));
    let last = err(&told).lines().last().unwrap();
    assert_eq!(last.matches("cannot be reached").count(), 1, "{last}");
}
