use std::fs;
use std::process::Output;
use std::sync::{Arc, Mutex};

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use testkit::{Server, TestCa, serve};

use super::{Home, PASSWORD};
use crate::run::{err, obol, out};

/// What an API server says about whoever shows a token. A stub; the real one is in `kubectl.rs`.
struct ApiServer {
    server: Server,
    ca: TestCa,
    version: Arc<Mutex<&'static str>>,
}

impl ApiServer {
    async fn start() -> Self {
        let (ca, version) = (TestCa::new(), Arc::new(Mutex::new("v1")));
        let known = Arc::clone(&version);
        let server = Server::tls(&ca, move |request| {
            let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let claims = token.and_then(|token| token.split('.').nth(1)).and_then(wire::b64::decode).unwrap_or_default();
            let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
            let name = format!("oidc:{}", claims["email"].as_str().unwrap_or_default());
            let version = *known.lock().unwrap();
            let path = format!("/apis/authentication.k8s.io/{version}/selfsubjectreviews");
            let answer = if request.uri().path() == path {
                let api = format!("authentication.k8s.io/{version}");
                serve::json(&json!({"apiVersion": api, "kind": "SelfSubjectReview", "status": {"userInfo":
                    {"username": name, "groups": ["oidc:somebody", "system:authenticated"]}}}))
            } else if request.uri().path() == "/obol-asks-for-its-name" {
                let status = json!({"kind": "Status", "message": format!("forbidden: User \"{name}\" cannot get path \"/obol-asks-for-its-name\"")});
                let mut answer = serve::json(&status);
                *answer.status_mut() = http::StatusCode::FORBIDDEN;
                answer
            } else {
                serve::text(404, "{}")
            };
            async move { answer }
        })
        .await;
        Self { server, ca, version }
    }

    fn url(&self) -> String {
        self.server.url("").as_str().trim_end_matches('/').to_owned()
    }
}

impl Home {
    fn obol(&self, words: &[&str]) -> Output {
        obol(words).env("HOME", self.path("home")).env("OBOL_PASSWORD", PASSWORD).output().unwrap()
    }
}

/// From nothing to a cluster that knows who somebody is.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_login_writes_the_entry_and_shows_who_one_is() {
    let (home, cluster) = (Home::start().await, ApiServer::start().await);
    let ca = home.path("cluster-ca.pem");
    fs::write(&ca, cluster.ca.pem()).unwrap();
    let (server, ca, issuer) = (
        format!("--server={}", cluster.url()),
        format!("--cluster-ca={}", ca.display()),
        format!("--issuer={}", home.issuer()),
    );
    let words = |name: &'static str| {
        [
            "login",
            "prod",
            &server,
            &ca,
            &issuer,
            "--client-id=kubectl",
            "--extra-scope=email,groups,offline_access",
            "--",
            name,
        ]
    };
    // Nothing is written of a sign-in that did not work.
    let refused = obol(&words("--username=ana@example.com"))
        .env("HOME", home.path("home"))
        .env("OBOL_PASSWORD", "wrong")
        .output()
        .unwrap();
    assert!(!refused.status.success() && !home.path("home/.kube/config").exists(), "{}", err(&refused));

    let told = home.obol(&words("--username=ana@example.com"));
    assert!(told.status.success(), "{}", err(&told));
    assert!(err(&told).contains("signed in; wrote the context prod to "), "{}", err(&told));
    let shown = out(&told);
    assert!(
        shown.contains("  name    oidc:ana@example.com\n  groups  oidc:somebody, system:authenticated\n"),
        "{shown}"
    );
    assert!(
        shown.contains("stands by the token (")
            && shown.contains("note      the token has the group admins, and the cluster does not see it"),
        "{shown}"
    );
    let written = fs::read_to_string(home.path("home/.kube/config")).unwrap();
    assert!(written.contains("current-context: prod\n") && !written.contains(PASSWORD), "{written}");

    // Later, the entry says everything. In between, the API server was an older one.
    for version in ["v1", "v1beta1", "v1alpha1"] {
        *cluster.version.lock().unwrap() = version;
        let told = home.obol(&["whoami", "--json"]);
        let report: Value = serde_json::from_str(out(&told)).unwrap_or_else(|_| panic!("{}", err(&told)));
        assert_eq!(report["cluster"]["username"], "oidc:ana@example.com", "{version}");
        assert_eq!(report["provider"]["verified"], true);
        assert_eq!(report["token"]["claims"]["email"], "ana@example.com");
        assert_eq!(report["groupsNotSeen"], json!(["admins"]));
    }
    *cluster.version.lock().unwrap() = "none at all";
    let told = home.obol(&["login"]);
    assert!(
        err(&told).contains("signed in to the context prod")
            && out(&told).contains("name    oidc:ana@example.com\n  groups  unknown"),
        "{}{}",
        out(&told),
        err(&told)
    );
    let refresh_token = home.refresh_token().unwrap();
    assert!(!out(&told).contains(&refresh_token) && !err(&told).contains(&refresh_token));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoami_says_what_is_missing() {
    let home = Home::start().await;
    fs::create_dir_all(home.path("home/.kube")).unwrap();
    for (config, want) in [
        ("", "no context is named"),
        ("current-context: x\n", "has no context \"x\""),
        (
            "current-context: x\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\n",
            "has no cluster \"c\"",
        ),
        (
            "current-context: x\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\nclusters:\n- {name: c, cluster: {server: \"http://127.0.0.1:1\"}}\nusers:\n- {name: u, user: {token: canary-token}}\n",
            "is not https: no token is sent there",
        ),
        (
            "current-context: x\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\nclusters:\n- {name: c, cluster: {server: \"https://127.0.0.1:1\"}}\nusers:\n- {name: u, user: {exec: {command: /nonexistent/plugin, apiVersion: client.authentication.k8s.io/v1}}}\n",
            "cannot run the plugin",
        ),
    ] {
        fs::write(home.path("home/.kube/config"), config).unwrap();
        let told = home.obol(&["whoami"]);
        assert!(!told.status.success() && err(&told).contains(want), "{want}: {}", err(&told));
        assert!(err(&told).lines().count() == 1 && !err(&told).contains("canary"));
    }
}
