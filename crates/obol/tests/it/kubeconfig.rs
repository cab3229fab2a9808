//! `obol kubeconfig` on files that hold other people's entries.

use std::fs;
use std::path::Path;
use std::process::Output;

use ambient::{Clock as _, SystemClock};
use serde_json::{Value, json};
use testkit::peers::Kubectl;

use crate::run::{err, obol, out};

const THEIRS: &str = "# mine since 2019
apiVersion: v1
kind: Config
clusters:
# under the desk
- cluster: {server: https://home.example}
  name: home
contexts:
- {name: home, context: {cluster: home, user: me}}
current-context: home   # usually
users:
- name: me
  user:
    token: canary-token   # do not lose
";

fn kubeconfig(path: &Path, arguments: &[&str]) -> Output {
    let path = path.display().to_string();
    let mut words = vec!["kubeconfig", arguments[0], "--kubeconfig", &path];
    words.extend(&arguments[1..]);
    obol(&words).env("HOME", "/nonexistent").output().unwrap()
}

const PROD: [&str; 6] = [
    "set",
    "prod",
    "--server=https://prod.example:6443",
    "--issuer=https://o.example",
    "--client-id=prod-cluster",
    "--extra-scope=groups,offline_access",
];

#[test]
fn an_entry_comes_changes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    let told = kubeconfig(&path, &PROD);
    assert!(told.status.success(), "{}", err(&told));
    let text = fs::read_to_string(&path).unwrap();
    for line in THEIRS.lines().filter(|line| !line.starts_with("current-context")) {
        assert!(text.contains(&format!("{line}\n")), "lost: {line}\n{text}");
    }
    assert!(text.contains("current-context: prod   # usually\n"), "{text}");
    assert!(
        text.contains("      - --oidc-issuer-url=https://o.example\n      - --oidc-client-id=prod-cluster\n"),
        "{text}"
    );
    let again = kubeconfig(&path, &PROD);
    assert!(again.status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "what is right stays");

    // Another way to sign in; the cluster is known by now.
    let told = kubeconfig(
        &path,
        &[
            "set",
            "prod",
            "--issuer=https://o.example",
            "--client-id=prod-cluster",
            "--namespace=web",
            "--no-switch",
            "--",
            "--grant-type=device-code",
        ],
    );
    assert!(told.status.success(), "{}", err(&told));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("- --grant-type=device-code\n") && text.contains("namespace: web\n"), "{text}");

    let told = kubeconfig(&path, &["remove", "prod"]);
    assert!(told.status.success(), "{}", err(&told));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        THEIRS.replace("current-context: home", "current-context: \"\"")
    );
    let told = kubeconfig(&path, &["remove", "home"]);
    assert!(told.status.success());
    assert!(!fs::read_to_string(&path).unwrap().contains("canary-token"));
}

#[test]
fn what_others_need_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    kubeconfig(&path, &PROD);
    let told = kubeconfig(
        &path,
        &[
            "set",
            "prod-web",
            "--cluster=prod",
            "--user=prod",
            "--issuer=https://o.example",
            "--client-id=prod-cluster",
            "--namespace=web",
        ],
    );
    assert!(told.status.success(), "{}", err(&told));
    kubeconfig(&path, &["remove", "prod-web"]);
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("https://prod.example:6443")
            && text.contains("get-token")
            && !text.contains("prod-web"),
        "{text}"
    );
}

#[test]
fn what_cannot_work_or_should_not_is_refused_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    let base = ["set", "prod", "--issuer=https://o.example", "--client-id=c"];
    let with = |more: &[&'static str]| [&base[..], &["--server=https://p.example"], more].concat();
    for (words, want) in [
        (base.to_vec(), "give --server URL"),
        (vec!["set", "prod", "--server=https://p.example", "--client-id=c"], "--issuer is missing"),
        (
            with(&["--", "--oidc-client-secret=canary-secret"]),
            "a secret has no place in a kubeconfig: set OBOL_CLIENT_SECRET",
        ),
        (with(&["--", "--client-secret", "canary-secret"]), "OBOL_CLIENT_SECRET"),
        (with(&["--", "--username=a", "--password=canary-secret"]), "OBOL_PASSWORD"),
        (with(&["--", "--grant-type=nonsense"]), "get-token would not take that"),
        (with(&["--certificate-authority=/nonexistent/ca.pem"]), "cannot read --certificate-authority"),
        (with(&["--cluster-ca=/nonexistent/ca.pem"]), "cannot read"),
        (vec!["remove", "nothing"], "there is no context"),
    ] {
        let told = kubeconfig(&path, &words);
        assert!(!told.status.success() && err(&told).contains(want), "{words:?}: {}", err(&told));
        assert!(!err(&told).contains("canary"), "{}", err(&told));
        assert_eq!(fs::read_to_string(&path).unwrap(), THEIRS);
    }
    let flow = "{users: [{name: a, user: {}}], # mine\n}\n";
    fs::write(&path, flow).unwrap();
    let told = kubeconfig(&path, &with(&[]));
    assert!(
        err(&told).contains("is left as it is") && err(&told).contains("file of its own"),
        "{}",
        err(&told)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), flow);
}

#[test]
fn users_of_kubelogin_and_gangway_are_moved_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let before = "users:
# by krew
- name: krew
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: kubectl
      args: [oidc-login, get-token, --oidc-issuer-url=https://o.example, --oidc-client-id=c, --oidc-extra-scope=groups, -v1]
      env: [{name: HTTPS_PROXY, value: http://p.example}]
- name: brew
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: /opt/bin/kubelogin, interactiveMode: Never, args: [get-token, --oidc-issuer-url=https://o.example, --oidc-client-id=c, --grant-type=device-code]}}
- name: ana@prod
  user:
    auth-provider:
      name: oidc
      config:
        client-id: gangway
        client-secret: s3cret
        id-token: canary-id
        idp-issuer-url: https://o.example
        refresh-token: canary-refresh
- name: aws
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token]}}
";
    fs::write(&path, before).unwrap();
    let told = kubeconfig(&path, &["migrate"]);
    assert!(told.status.success(), "{}", err(&told));
    assert_eq!(err(&told).lines().count(), 3);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("# by krew\n") && text.lines().last() == before.lines().last(), "{text}");
    assert!(
        !text.contains("canary") && !text.contains("oidc-login") && !text.contains("kubelogin"),
        "{text}"
    );
    let faults = config::Faults::new();
    let section = config::parse(&text, &faults).unwrap();
    let value: Value = config::Read::read(&section.field(config::KeyStyle::Dex, &faults)).unwrap();
    let exec = |at: usize| value["users"][at]["user"]["exec"].clone();
    assert_eq!(
        exec(0)["args"],
        json!([
            "get-token",
            "--oidc-issuer-url=https://o.example",
            "--oidc-client-id=c",
            "--oidc-extra-scope=groups",
            "-v1"
        ])
    );
    assert_eq!(
        (&exec(0)["interactiveMode"], &exec(0)["env"][0]["name"]),
        (&json!("IfAvailable"), &json!("HTTPS_PROXY"))
    );
    assert_eq!(exec(1)["interactiveMode"], "Never");
    assert_eq!(
        exec(2)["args"],
        json!([
            "get-token",
            "--oidc-issuer-url=https://o.example",
            "--oidc-client-id=gangway",
            "--oidc-extra-scope=offline_access"
        ])
    );
    assert_eq!(exec(2)["env"], json!([{"name": "OBOL_CLIENT_SECRET", "value": "s3cret"}]));
    assert_eq!(
        err(&kubeconfig(&path, &["migrate"])),
        "nobody to move over: no user signs in by kubelogin or an auth-provider\n"
    );
}

#[test]
fn the_files_of_kubectls_list_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    fs::write(&one, THEIRS).unwrap();
    fs::write(&two, "clusters:\n- name: prod\n  cluster:\n    server: https://old.example\n").unwrap();
    let list = std::env::join_paths([folder.path().join("missing"), one.clone(), two.clone()]).unwrap();
    let told = obol(&[&["kubeconfig"], &PROD[..]].concat()).env("KUBECONFIG", list).output().unwrap();
    assert!(told.status.success(), "{}", err(&told));
    // Each entry is changed where it stands, and new ones go to the first file that is there.
    assert!(fs::read_to_string(&two).unwrap().contains("https://prod.example:6443"));
    let one = fs::read_to_string(&one).unwrap();
    assert!(
        one.contains("current-context: prod") && one.contains("get-token") && !one.contains("prod.example"),
        "{one}"
    );
    assert!(!folder.path().join("missing").exists());
}

#[test]
fn a_kubeconfig_can_be_printed_for_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let told = kubeconfig(&path, &[&PROD[..], &["--print"]].concat());
    assert!(
        out(&told).starts_with("apiVersion: v1\nkind: Config\n")
            && out(&told).contains("current-context: prod\n")
    );
    assert!(!path.exists());
}

/// The file is whole at every moment, and a dead writer keeps nobody out.
#[test]
fn a_kill_at_any_point_leaves_the_old_file_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    let clock = SystemClock::default();
    let begin = clock.monotonic();
    assert!(kubeconfig(&path, &PROD).status.success());
    let whole = clock.monotonic().saturating_sub(begin);
    let new = fs::read_to_string(&path).unwrap();
    for point in 0..60_u32 {
        fs::write(&path, THEIRS).unwrap();
        let path_text = path.display().to_string();
        let words = [&["kubeconfig", PROD[0], "--kubeconfig", &path_text], &PROD[1..]].concat();
        let mut child = obol(&words).stderr(std::process::Stdio::null()).spawn().unwrap();
        let at = clock.monotonic() + whole * point / 50;
        while clock.monotonic() < at {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = fs::read_to_string(&path).unwrap();
        assert!(left == THEIRS || left == new, "point {point}: {left}");
        let told = kubeconfig(&path, &PROD);
        assert!(told.status.success(), "point {point}: {}", err(&told));
        assert_eq!(fs::read_to_string(&path).unwrap(), new, "point {point}");
    }
    let left =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left, ["config"], "neither locks nor parts are left");
}

#[tokio::test]
#[ignore = "peer: kubectl"]
async fn kubectl_reads_what_is_written_and_waits_for_the_same_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    assert!(kubeconfig(&path, &PROD).status.success());
    let kubectl = Kubectl::new(&path).unwrap();
    let view = kubectl.run(&["config", "view", "--raw", "-o", "json"]).await.unwrap().result().unwrap();
    let view: Value = serde_json::from_str(&view).unwrap();
    assert_eq!(view["current-context"], "prod");
    let users = view["users"].as_array().unwrap();
    let prod = users.iter().find(|user| user["name"] == "prod").unwrap();
    assert_eq!(prod["user"]["exec"]["args"][1], "--oidc-issuer-url=https://o.example");
    assert_eq!(users.iter().find(|user| user["name"] == "me").unwrap()["user"]["token"], "canary-token");
    // kubectl writes too, while we do.
    let mut ours = tokio::task::JoinSet::new();
    for turn in 0..5 {
        let path = path.clone();
        ours.spawn_blocking(move || {
            let name = format!("context-{turn}");
            let told = kubeconfig(
                &path,
                &[
                    "set",
                    &name,
                    "--cluster=prod",
                    "--issuer=https://o.example",
                    "--client-id=c",
                    "--no-switch",
                ],
            );
            assert!(told.status.success(), "{}", err(&told));
        });
        let name = format!("theirs-{turn}");
        // kubectl does not wait for the lock; it says so and is asked again.
        let set = async || {
            let said = kubectl
                .run(&["config", "set-context", &name, "--cluster=home", "--user=me"])
                .await
                .map_err(|e| e.to_string())?;
            if said.is_ok { Ok(()) } else { Err(said.stderr) }
        };
        testkit::peers::until("kubectl writes", set).await.unwrap();
    }
    ours.join_all().await;
    let view = kubectl.run(&["config", "get-contexts", "-o", "name"]).await.unwrap().result().unwrap();
    assert_eq!(view.lines().count(), 12, "{view}");
}
