//! A real kubectl's exec, attach, cp and port-forward through `obol proxy`, over SPDY and over WebSocket, to a stub of a
//! kubelet that stands on the kubelet's own streaming library.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::peers::{Kubectl, place, until};
use testkit::{Issuer, TestCa};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How kubectl streams, and the verb of the request that asks for it.
const WAYS: [(Way, &str); 3] = [(Way::Spdy, "create"), (Way::WebSocket, "get"), (Way::OldSpdy, "create")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Spdy,
    WebSocket,
    /// By Debian's kubectl, which knows nothing else.
    OldSpdy,
}

/// The stub and the proxy before it, ended when they are dropped.
struct Streaming {
    stub: Child,
    proxy: Child,
    serving: String,
    token: String,
    folder: TempDir,
    _issuer: Issuer,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        for child in [&mut self.proxy, &mut self.stub] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Streaming {
    async fn start() -> Self {
        let issuer = Issuer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).display().to_string()
        };
        let ca = TestCa::new();
        let leaf = ca.leaf(&[]);
        let (ca, cert, key) =
            (write("ca.crt", ca.pem()), write("tls.crt", &leaf.cert_pem), write("tls.key", &leaf.key_pem));
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n";
        let mut stub = Command::new(place("KUBELET").unwrap());
        let (stub, server) = started(stub.args([&cert, &key]), folder.path(), "stub.log", 1);
        let mut proxy = Command::new(env!("CARGO_BIN_EXE_obol"));
        proxy.arg("proxy").args(["--bind-address=127.0.0.1", "--secure-port=0", "--readiness-probe-port=0"]);
        proxy.args(
            [
                ("oidc-issuer-url", issuer.issuer()),
                ("oidc-client-id", "cluster".into()),
                ("oidc-ca-file", write("issuer.crt", issuer.ca_pem())),
                ("oidc-signing-algs", "ES256".into()),
                ("tls-cert-file", cert),
                ("tls-private-key-file", key),
                ("server", server),
                ("certificate-authority", ca),
                ("token-file", write("token", "the-proxys-own")),
                ("audit-policy-file", write("policy.yaml", policy)),
                ("audit-log-path", folder.path().join("audit.log").display().to_string()),
            ]
            .map(|(name, value)| format!("--{name}={value}")),
        );
        let (proxy, serving) = started(&mut proxy, folder.path(), "proxy.log", 2);
        let token = issuer.token(json!({"sub": "jane", "aud": "cluster"})).sign();
        Self { stub, proxy, serving, token, folder, _issuer: issuer }
    }

    fn kubectl(&self, way: Way) -> Kubectl {
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster":
                {"server": self.serving, "certificate-authority": self.folder.path().join("ca.crt")}}],
            "users": [{"name": "jane", "user": {"token": self.token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "jane"}}]});
        let path = self.folder.path().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        let kubectl = if way == Way::OldSpdy { Kubectl::old(&path) } else { Kubectl::new(&path) };
        let websockets = if way == Way::WebSocket { "true" } else { "false" };
        kubectl
            .unwrap()
            .with("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
            .with("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)
    }

    /// The events of streams of this kind.
    fn events(&self, subresource: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["objectRef"]["subresource"] == subresource).collect()
    }
}

/// Starts a program, and says where it serves, which it says in the first of so many lines.
fn started(command: &mut Command, folder: &Path, log: &str, count: usize) -> (Child, String) {
    let log = File::create(folder.join(log)).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(count);
    let lines = lines.collect::<Result<Vec<_>, _>>().unwrap();
    (child, lines[0].strip_prefix("serving on ").unwrap().to_owned())
}

#[tokio::test]
#[ignore = "peer: kubectl, a stub of a kubelet on k8s.io/cri-streaming"]
async fn a_command_gets_its_input_to_the_end_and_gives_its_exit_code() {
    let streaming = Streaming::start().await;
    for (way, verb) in WAYS {
        let kubectl = streaming.kubectl(way);
        let input = "x".repeat(300_000);
        let args = ["exec", "-i", "p", "--", "sh", "-c", "wc -c; echo $CALLER"];
        let said = kubectl.run_with(&args, &input).await.unwrap();
        // wc says it only once the input has ended.
        assert_eq!((said.stdout.trim(), said.code), ("300000\njane", Some(0)), "{way:?}: {}", said.stderr);
        let args = ["exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 42"];
        let said = kubectl.run(&args).await.unwrap();
        assert_eq!((&*said.stdout, said.code), ("out\n", Some(42)), "{way:?}: {}", said.stderr);
        assert!(said.stderr.contains("err\n"), "{way:?}: {}", said.stderr);
        let many = ["exec", "p", "--", "sh", "-c", "head -c 5000000 /dev/zero"];
        assert_eq!(kubectl.run(&many).await.unwrap().stdout.len(), 5_000_000, "{way:?}");
        let events = streaming.events("exec");
        let last = events.last().unwrap();
        assert_eq!((&last["verb"], &last["user"]["username"]), (&json!(verb), &json!("jane")), "{way:?}");
    }
    let stages = until("the end of every stream is recorded", async || {
        let events = streaming.events("exec");
        if events.len() == 27 { Ok(events) } else { Err(format!("{events:?}")) }
    });
    let events = stages.await.unwrap();
    for stage in ["RequestReceived", "ResponseStarted", "ResponseComplete"] {
        let of_stage: Vec<_> = events.iter().filter(|event| event["stage"] == stage).collect();
        assert_eq!(of_stage.len(), 9, "{stage}");
        let code = if stage == "RequestReceived" { Value::Null } else { json!(101) };
        assert!(of_stage.iter().all(|event| event["responseStatus"]["code"] == code), "{stage}");
    }
}

#[tokio::test]
#[ignore = "peer: kubectl, a stub of a kubelet on k8s.io/cri-streaming"]
async fn a_terminal_tells_its_size_and_every_change_of_it() {
    let streaming = Streaming::start().await;
    for (way, _) in WAYS {
        let tty = streaming.folder.path().join("tty");
        let kubectl = streaming.kubectl(way).command(&["exec", "-it", "p", "--", "top"]);
        let kubectl = kubectl.as_std();
        let words = [kubectl.get_program()].into_iter().chain(kubectl.get_args());
        let words = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ");
        let line = format!("stty cols 101 rows 41; tty > {}; exec {words}", tty.display());
        let mut script = tokio::process::Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]);
        script.envs(kubectl.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = script.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        seen(&mut lines, "size 101x41", way).await;
        let terminal = std::fs::read_to_string(&tty).unwrap();
        let resized = Command::new("stty").args(["-F", terminal.trim(), "cols", "120"]).status().unwrap();
        assert!(resized.success());
        seen(&mut lines, "size 120x41", way).await;
        input.write_all(b"q").await.unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(7), "{way:?}");
    }
}

async fn seen(
    lines: &mut tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
    wanted: &str,
    way: Way,
) {
    let mut so_far = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains(wanted) {
            return;
        }
        so_far.push_str(&line);
    }
    panic!("{way:?}: no {wanted} in {so_far:?}");
}

#[tokio::test]
#[ignore = "peer: kubectl, a stub of a kubelet on k8s.io/cri-streaming"]
async fn an_attached_process_hears_the_end_of_its_input() {
    let streaming = Streaming::start().await;
    for (way, _) in WAYS {
        let said = streaming.kubectl(way).run_with(&["attach", "-i", "p"], "hello\n").await.unwrap();
        assert!(said.stdout.contains("hello\n6 bytes of jane"), "{way:?}: {} {}", said.stdout, said.stderr);
        assert_eq!(said.code, Some(0), "{way:?}");
    }
}

#[tokio::test]
#[ignore = "peer: kubectl, a stub of a kubelet on k8s.io/cri-streaming"]
async fn files_are_copied_there_and_back() {
    let streaming = Streaming::start().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (way, _) in WAYS {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("from"), &bytes).unwrap();
        std::fs::create_dir(path("pod")).unwrap();
        let kubectl = streaming.kubectl(way);
        let there = format!("default/p:{}", path("pod/file"));
        for (from, to) in [(path("from"), there.clone()), (there, path("back"))] {
            let said = kubectl.run(&["cp", &from, &to]).await.unwrap();
            assert!(said.is_ok, "{way:?}: {}", said.stderr);
        }
        for copy in ["pod/file", "back"] {
            assert!(std::fs::read(path(copy)).unwrap() == bytes, "{way:?}: {copy} differs");
        }
    }
}

#[tokio::test]
#[ignore = "peer: kubectl, a stub of a kubelet on k8s.io/cri-streaming"]
async fn a_forwarded_port_carries_both_ways_and_each_end_for_itself() {
    let streaming = Streaming::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let counting = ambient::Tasks::default();
    counting.spawn_until_stop(async move {
        loop {
            let mut stream = listener.accept().await.unwrap().0;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            stream.write_all(format!("{} bytes", all.len()).as_bytes()).await.unwrap();
        }
    });
    for (way, verb) in WAYS {
        let kubectl = streaming.kubectl(way);
        let mut child = kubectl.command(&["port-forward", "pod/p", &format!(":{port}")]).spawn().unwrap();
        let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let local = line.strip_prefix("Forwarding from 127.0.0.1:").unwrap().split(' ').next().unwrap();
        for count in [1, 200_000] {
            let mut stream = connected(local).await;
            stream.write_all(&vec![b'x'; count]).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, format!("{count} bytes"), "{way:?}");
        }
        child.kill().await.unwrap();
        assert_eq!(streaming.events("portforward").last().unwrap()["verb"], verb, "{way:?}");
    }
    counting.stop();
}

#[expect(clippy::disallowed_methods, reason = "connects as whoever uses the forwarded port does")]
async fn connected(port: &str) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port.parse().unwrap())).await.unwrap()
}
