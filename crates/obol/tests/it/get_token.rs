use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::run::{err, fed, out};
use crate::world::{World, exec_info};

fn run(mut command: Command) -> Output {
    fed(&mut command, "")
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

fn credential(output: &Output) -> Value {
    assert!(output.status.success(), "{}", err(output));
    assert_eq!(out(output).lines().count(), 1);
    serde_json::from_str(out(output)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_the_version_that_kubectl_speaks() {
    let world = World::start().await;
    for version in ["v1", "v1beta1"] {
        let mut command = world.obol(&["get-token", "--grant-type", "token-exchange"]);
        command.env("KUBERNETES_EXEC_INFO", exec_info(version, &json!(null)));
        let answer = credential(&run(command));
        assert_eq!(answer["apiVersion"], format!("client.authentication.k8s.io/{version}"));
        assert_eq!(answer["kind"], "ExecCredential");
        assert_eq!(answer["status"]["token"], "issued-token");
        assert!(answer["status"]["expirationTimestamp"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(world.exchanges(), 1, "the second run used the kept token");
    let fresh = run(world.obol(&["get-token", "--force-refresh"]));
    assert_eq!(credential(&fresh)["apiVersion"], "client.authentication.k8s.io/v1beta1");
    let unkept = run(world.obol(&["get-token", "--token-cache-storage", "none"]));
    assert_eq!(credential(&unkept)["status"]["token"], "issued-token");
    assert_eq!(world.exchanges(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_entry_may_say_the_audience_and_never_a_secret() {
    let world = World::start().await;
    let with = |config: Value, more: &[&str]| {
        let mut command = world.obol(&[&["get-token"], more].concat());
        command.env("KUBERNETES_EXEC_INFO", exec_info("v1", &config));
        command
    };
    let audiences = || {
        let seen = world.server.seen();
        let body = String::from_utf8(seen.last().unwrap().body.to_vec()).unwrap();
        wire::form::Form::parse(&body, &["audience"])
            .unwrap()
            .all("audience")
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    credential(&run(with(json!({"audience": "from-cluster"}), &[])));
    assert_eq!(audiences(), ["from-cluster"]);
    credential(&run(with(json!({"audience": "from-cluster"}), &["--audience", "a", "--audience", "b"])));
    assert_eq!(audiences(), ["a", "b"]);
    let refused = run(with(json!({"clientSecret": "canary"}), &[]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("a secret has no place there") && !err(&refused).contains("canary"));
    assert_eq!(world.exchanges(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_from_kubectl_is_one_line_and_nothing_on_stdout() {
    let world = World::start().await;
    let alpha = exec_info("v1alpha1", &json!(null));
    for garbage in ["{", "[]", "nonsense", r#"{"kind":"Pod"}"#, &alpha] {
        let mut command = world.obol(&["get-token"]);
        command.env("KUBERNETES_EXEC_INFO", garbage);
        let refused = run(command);
        assert_eq!(refused.status.code(), Some(1), "{garbage}");
        assert_eq!(out(&refused), "");
        assert!(
            err(&refused).starts_with("error: KUBERNETES_EXEC_INFO") && err(&refused).lines().count() == 1
        );
    }
    assert_eq!(world.exchanges(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_processes_one_exchanges() {
    let world = World::start().await;
    let all = (0..10).map(|_| start(world.obol(&["get-token"]))).collect::<Vec<_>>();
    for child in all {
        assert_eq!(credential(&end(child))["status"]["token"], "issued-token");
    }
    assert_eq!(world.exchanges(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_hands_over() {
    let world = World::start().await;
    world.hold(true);
    let mut holder = start(world.obol(&["get-token"]));
    while world.exchanges() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = start(world.obol(&["get-token"]));
    holder.kill().unwrap();
    holder.wait().unwrap();
    world.hold(false);
    assert_eq!(credential(&end(waiting))["status"]["token"], "issued-token");
}
