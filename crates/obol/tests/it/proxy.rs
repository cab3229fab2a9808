//! `obol proxy` before a real API server, asked by a real kubectl.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::peers::{ApiServer, ApiServerOptions, Kubectl, until};
use testkit::{Issuer, TestCa};

/// `obol proxy`, ended when it is dropped.
struct Running {
    child: Child,
    serving: String,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(server: &ApiServer, issuer: &Issuer, own_token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).display().to_string()
        };
        let ca = TestCa::new();
        let leaf = ca.leaf(&[]);
        write("ca.crt", ca.pem());
        let flags = [
            ("oidc-issuer-url", issuer.issuer()),
            ("oidc-client-id", "cluster".into()),
            ("oidc-ca-file", write("issuer.crt", issuer.ca_pem())),
            ("oidc-signing-algs", "ES256".into()),
            ("oidc-username-prefix", "oidc:".into()),
            ("oidc-groups-claim", "groups".into()),
            ("oidc-groups-prefix", "oidc:".into()),
            ("bind-address", "127.0.0.1".into()),
            ("secure-port", "0".into()),
            ("readiness-probe-port", "0".into()),
            ("tls-cert-file", write("tls.crt", &leaf.cert_pem)),
            ("tls-private-key-file", write("tls.key", &leaf.key_pem)),
            ("server", server.url().to_owned()),
            ("certificate-authority", server.ca_file().display().to_string()),
            ("token-file", write("token", own_token)),
            ("audit-policy-file", write("policy.yaml", POLICY)),
            ("audit-log-path", folder.path().join("audit.log").display().to_string()),
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_obol"))
            .arg("proxy")
            .args(flags.map(|(name, value)| format!("--{name}={value}")))
            .args(["--token-passthrough", "--allow-impersonation", "--log-format=json"])
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let serving = printed.next().unwrap().strip_prefix("serving on ").unwrap().to_owned();
        assert!(printed.next().unwrap().starts_with("probes on http://"));
        Self { child, serving, folder }
    }

    fn kubectl(&self, token: &str) -> Kubectl {
        let ca = self.folder.path().join("ca.crt");
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": self.serving, "certificate-authority": ca}}],
            "users": [{"name": "jane", "user": {"token": token}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "jane"}}]});
        let path = self.folder.path().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        Kubectl::new(&path).unwrap()
    }

    /// The events of requests, at their ends.
    fn audited(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n\
    - {level: RequestResponse, resources: [{resources: [configmaps]}]}\n- level: Metadata\n";

/// A changed AuthenticationConfiguration holds at a hangup; a bad one changes nothing and is told.
#[tokio::test]
async fn a_changed_authentication_configuration_is_taken_over_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let leaf = ca.leaf(&[]);
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";
    let entry = "- issuer: {url: https://127.0.0.1:1, audiences: [a]}\n  claimMappings: {username: {claim: sub, prefix: \"\"}}\n";
    let file = write("authentication.yaml", &format!("{head}jwt: []\n"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_obol"))
        .args(["proxy", "--bind-address=127.0.0.1", "--secure-port=0", "--readiness-probe-port=0"])
        .args([
            "--metrics-bind-address=127.0.0.1:0",
            "--disable-impersonation",
            "--server=https://127.0.0.1:1",
        ])
        .arg(format!("--authentication-config={file}"))
        .arg(format!("--tls-cert-file={}", write("tls.crt", &leaf.cert_pem)))
        .arg(format!("--tls-private-key-file={}", write("tls.key", &leaf.key_pem)))
        .stdout(Stdio::piped())
        .stderr(File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let printed = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let metrics = printed.take(3).last().unwrap();
    let metrics =
        metrics.strip_prefix("metrics on http://").unwrap().strip_suffix("/metrics").unwrap().to_owned();
    for (text, said, counted) in [
        (format!("{head}jwt:\n{entry}"), "was replaced", "status=\"success\"} 1"),
        (
            format!("{head}jwt:\n{}", entry.replace("https", "http")),
            "was not replaced",
            "status=\"failure\"} 1",
        ),
    ] {
        write("authentication.yaml", &text);
        assert!(Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap().success());
        until(said, async || {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            if log.contains(said) { Ok(()) } else { Err(log) }
        })
        .await
        .unwrap();
        let text = measured(&metrics);
        assert!(text.contains(counted), "{text}");
        assert!(
            text.contains("obol_proxy_issuer_keys{jwt_issuer_hash=\"sha256:"),
            "the good one stays: {text}"
        );
    }
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("jwt[0].issuer.url: is an invalid value"), "{log}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "asks as Prometheus does")]
fn measured(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
#[ignore = "peer: kube-apiserver, kubectl"]
async fn kubectl_lists_watches_and_applies_through_the_proxy() {
    let server = ApiServer::start(&ApiServerOptions::default()).await.unwrap();
    let own = server.service_account_token("obol", "obol-proxy", server.url()).await.unwrap();
    let issuer = Issuer::start().await;
    let running = Running::start(&server, &issuer, &own);
    let token = issuer.token(json!({"sub": "jane", "aud": "cluster", "groups": ["developers"]})).sign();
    let kubectl = running.kubectl(&token);
    let list = ["get", "configmaps", "--namespace=obol"];

    // Not `get configmaps`: while kubectl may not even look around, it prints "unknown", also without a proxy.
    let raw = ["get", "--raw", "/api/v1/namespaces/obol/configmaps"];
    let refused = kubectl.run(&raw).await.unwrap();
    assert!(refused.stderr.contains(r#"cannot impersonate resource "users""#), "{}", refused.stderr);

    // The proxy's rights, as the manifests give them, and the proxy's own objects beside them.
    for file in ["rbac.yaml", "rbac-reviews.yaml", "proxy.yaml"] {
        server.admin().apply(&deployed(file)).await.unwrap();
    }
    let refused = until("the proxy may impersonate", async || {
        let refused = kubectl.run(&raw).await.unwrap().stderr;
        if refused.contains("cannot impersonate") { Err(refused) } else { Ok(refused) }
    });
    let refused = refused.await.unwrap();
    assert!(refused.contains(r#"User "oidc:jane" cannot list resource "configmaps""#), "{refused}");

    server.admin().apply(&developers_rights().to_string()).await.unwrap();
    until("developers may list", async || {
        let said = kubectl.run(&list).await.unwrap();
        if said.is_ok { Ok(()) } else { Err(said.stderr) }
    })
    .await
    .unwrap();
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "obol"}});
    kubectl.apply(&map.to_string()).await.unwrap();
    assert!(kubectl.run(&list).await.unwrap().result().unwrap().contains("mine"));
    let watch = "/api/v1/namespaces/obol/configmaps?watch=1&resourceVersion=0&timeoutSeconds=1";
    let watched = kubectl.run(&["get", "--raw", watch]).await.unwrap().result().unwrap();
    assert!(watched.contains(r#""type":"ADDED""#) && watched.contains(r#""name":"mine""#), "{watched}");

    for (args, complaint) in [
        (
            &["get", "configmaps", "--namespace=obol", "--as=admin"][..],
            "oidc:jane is not allowed to impersonate user 'admin'",
        ),
        (&["get", "configmaps", "--namespace=obol", "--token=garbage"], "Unauthorized"),
    ] {
        let said = kubectl.run(args).await.unwrap();
        assert!(!said.is_ok && said.stderr.contains(complaint), "{}", said.stderr);
    }
    // Whom she may be, she is; and the account of the cluster's own passes as it is.
    server.admin().apply(&impersonators_rights().to_string()).await.unwrap();
    until("jane may be a developer by another name", async || {
        let args = ["get", "configmaps", "--namespace=obol", "--as=bob", "--as-group=oidc:developers"];
        let said = kubectl.run(&args).await.unwrap();
        if said.is_ok { Ok(()) } else { Err(said.stderr) }
    })
    .await
    .unwrap();
    let own_kubectl = running.kubectl(&own);
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "impersonate", "resource": "users"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let said =
        own_kubectl.run_with(&["create", "--raw", path, "-f", "-"], &review.to_string()).await.unwrap();
    assert!(said.result().unwrap().contains(r#""allowed":true"#), "it is the proxy's own account that asked");
    let log = running.log();
    assert!(log.contains("system:serviceaccount:obol:obol-proxy"), "{log}");
    assert!(log.contains("oidc:jane") && !log.contains(&token) && !log.contains(own.as_str()), "{log}");
    check_events(&running.audited());
    let events = std::fs::read_to_string(running.folder.path().join("audit.log")).unwrap();
    assert!(!events.contains(&token) && !events.contains(own.as_str()));
}

/// What kubectl did above, as the audit log has it.
fn check_events(events: &[Value]) {
    let find = |what: &str, is: &dyn Fn(&Value) -> bool| {
        events.iter().find(|event| is(event)).unwrap_or_else(|| panic!("{what} is not in {events:#?}"))
    };
    let created =
        find("the creation", &|event| event["verb"] == "create" && event["objectRef"]["name"] == "mine");
    assert_eq!(created["user"]["username"], "oidc:jane");
    assert_eq!(created["user"]["groups"], json!(["oidc:developers", "system:authenticated"]));
    assert_eq!(
        (&created["responseStatus"]["code"], &created["stage"]),
        (&json!(201), &json!("ResponseComplete"))
    );
    assert_eq!(created["requestObject"]["metadata"]["name"], "mine");
    assert_eq!(created["responseObject"]["metadata"]["name"], "mine");
    assert!(created["responseObject"]["metadata"].get("managedFields").is_none());
    assert!(created["userAgent"].as_str().unwrap().starts_with("kubectl/"));
    let watched = |stage| move |event: &Value| event["verb"] == "watch" && event["stage"] == stage;
    let started = find("the watch", &watched("ResponseStarted"));
    let complete = find("its end", &watched("ResponseComplete"));
    assert_eq!(started["auditID"], complete["auditID"]);
    let denied = find("what she may not", &|event| event["responseStatus"]["code"] == 403);
    assert_eq!(denied["responseStatus"]["reason"], "Forbidden");
    let other = find("what she did as bob", &|event| event["impersonatedUser"]["username"] == "bob");
    assert_eq!(
        (&other["user"]["username"], &other["responseStatus"]["code"]),
        (&json!("oidc:jane"), &json!(200))
    );
    find("who was not let in", &|event| {
        event["responseStatus"]["message"] == "Authentication failed, attempted: bearer"
    });
    find("the account of the cluster's own", &|event| {
        event["user"]["username"] == "system:serviceaccount:obol:obol-proxy"
    });
}

fn impersonators_rights() -> Value {
    let rbac = "rbac.authorization.k8s.io";
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "impersonators"},
         "rules": [{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["bob"]},
             {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"],
              "resourceNames": ["oidc:developers"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": "impersonators"},
         "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "impersonators"},
         "subjects": [{"apiGroup": rbac, "kind": "User", "name": "oidc:jane"}]},
    ]})
}

fn developers_rights() -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
         "metadata": {"name": "developers", "namespace": "obol"},
         "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
         "metadata": {"name": "developers", "namespace": "obol"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "developers"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "oidc:developers"}]},
    ]})
}

/// A file of `deploy/proxy`.
fn deployed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/proxy").join(file);
    std::fs::read_to_string(path).unwrap()
}
