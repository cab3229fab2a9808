//! `obol proxy` with an audit policy: read at the start and at a hangup, and trouble told once.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ambient::SystemClock;
use outbound::{Client, Dial, Options, Request, Roots, Trust};
use tempfile::TempDir;
use testkit::TestCa;
use testkit::peers::until;
use url::Url;

use crate::run::{err, obol};

const HEAD: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n";

/// `obol proxy` before nothing at all, ended when it is dropped.
struct Recorded {
    child: Child,
    serving: Url,
    metrics: Url,
    client: Client,
    folder: TempDir,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Recorded {
    fn start(rules: &str, log: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = TestCa::new();
        let mut printed = Vec::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_obol"))
            .args(flags(&folder, &ca, rules))
            .arg(format!("--audit-log-path={}", log.replace("FOLDER", folder.path().to_str().unwrap())))
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        for prefix in ["serving on ", "probes on ", "metrics on "] {
            printed.push(Url::parse(lines.next().unwrap().strip_prefix(prefix).unwrap()).unwrap());
        }
        let roots = Roots::Only(ca.pem().as_bytes().to_vec());
        let options = Options {
            trust: Trust { roots, identity: None, skip_verify: false, any_name: false },
            ..Options::default()
        };
        let client = Client::new(&Dial::new(Arc::new(SystemClock::default())), options).unwrap();
        let [serving, _, metrics] = <[Url; 3]>::try_from(printed).unwrap();
        Self { child, serving, metrics, client, folder }
    }

    async fn ask(&self, path: &str) -> u16 {
        let url = self.serving.join(path).unwrap();
        self.client.send(Request::get(&url)).await.unwrap().status.as_u16()
    }

    async fn measured(&self) -> String {
        let answer = self.client.send(Request::get(&self.metrics)).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

fn flags(folder: &TempDir, ca: &TestCa, rules: &str) -> Vec<String> {
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let leaf = ca.leaf(&[]);
    let policy = write("policy.yaml", &format!("{HEAD}{rules}\n"));
    let mut flags: Vec<String> = [
        "proxy",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--readiness-probe-port=0",
        "--metrics-bind-address=127.0.0.1:0",
        "--disable-impersonation",
        "--server=https://127.0.0.1:1",
        "--oidc-issuer-url=https://127.0.0.1:1",
        "--oidc-client-id=a",
    ]
    .map(str::to_owned)
    .to_vec();
    flags.push(format!("--tls-cert-file={}", write("tls.crt", &leaf.cert_pem)));
    flags.push(format!("--tls-private-key-file={}", write("tls.key", &leaf.key_pem)));
    flags.push(format!("--audit-policy-file={policy}"));
    flags
}

#[tokio::test]
async fn a_changed_audit_policy_is_taken_over_and_a_bad_one_is_not() {
    let running = Recorded::start("- level: None", "FOLDER/logs/audit.log");
    assert_eq!(running.ask("/api/v1/pods").await, 401);
    assert_eq!(running.read("logs/audit.log"), "");
    for (rules, said) in [("- level: Metadata", "was replaced"), ("- level: All", "was not replaced")] {
        std::fs::write(running.folder.path().join("policy.yaml"), format!("{HEAD}{rules}\n")).unwrap();
        assert!(
            Command::new("kill").args(["-HUP", &running.child.id().to_string()]).status().unwrap().success()
        );
        until(said, async || {
            let log = running.read("log");
            if log.contains(said) { Ok(()) } else { Err(log) }
        })
        .await
        .unwrap();
        assert_eq!(running.ask("/api/v1/pods").await, 401);
    }
    let events = running.read("logs/audit.log");
    assert_eq!(events.lines().count(), 2, "the good one stays: {events}");
    assert!(running.read("log").contains("rules[0].level: Unsupported value"), "{}", running.read("log"));
    let text = running.measured().await;
    for line in [
        "apiserver_audit_event_total 2",
        "apiserver_audit_level_total{level=\"None\"} 1",
        "apiserver_audit_level_total{level=\"Metadata\"} 2",
        "apiserver_audit_error_total{plugin=\"log\"} 0",
        "apiserver_audit_requests_rejected_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_once_and_every_lost_event_counted() {
    let running = Recorded::start("- level: Metadata", "/dev/full");
    for _ in 0..5 {
        assert_eq!(running.ask("/api/v1/pods").await, 401);
    }
    let log = running.read("log");
    assert_eq!(log.matches("audit events cannot be stored").count(), 1, "{log}");
    assert!(log.contains("No space left on device"), "{log}");
    let text = running.measured().await;
    assert!(text.contains("apiserver_audit_error_total{plugin=\"log\"} 5"), "{text}");
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let start = |rules: &str, log: &str| {
        let mut flags = flags(&folder, &ca, rules);
        flags.push(log.to_owned());
        obol(&flags.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap()
    };
    let faulty = start("- {level: All, nonResourceURLs: [a]}", "--audit-log-path=-");
    assert_eq!(faulty.status.code(), Some(1));
    for part in ["rules[0].level", "rules[0].nonResourceURLs[0]", "cannot be used"] {
        assert!(err(&faulty).contains(part), "{}", err(&faulty));
    }
    let nowhere = start("- level: Metadata", "--audit-log-path=/dev/null/audit.log");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        err(&nowhere).contains("the audit log /dev/null/audit.log cannot be opened"),
        "{}",
        err(&nowhere)
    );
}
