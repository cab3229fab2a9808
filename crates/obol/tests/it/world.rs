//! An issuer with a token endpoint for the binary: real TLS, real time, answers that can be held back.

use std::fs;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use serde_json::json;
use tempfile::TempDir;
use testkit::{Server, TestCa, serve};
use tokio::sync::watch;

use crate::run::obol;

/// The server, a home folder and a subject token in it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) home: TempDir,
    open: watch::Sender<bool>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (ca, base) = (TestCa::new(), Arc::new(OnceLock::<String>::new()));
        let (open, gate) = watch::channel(true);
        let shared = Arc::clone(&base);
        let server = Server::tls(&ca, move |request| {
            let (base, mut gate) = (shared.get().unwrap().clone(), gate.clone());
            async move {
                match request.uri().path() {
                    "/.well-known/openid-configuration" => serve::json(&json!({
                        "issuer": base, "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys"),
                    })),
                    "/token" => {
                        let _ = gate.wait_for(|open| *open).await;
                        serve::json(&json!({
                            "access_token": "issued-token",
                            "issued_token_type": "urn:ietf:params:oauth:token-type:id_token",
                            "token_type": "bearer",
                            "expires_in": 900,
                        }))
                    }
                    _ => serve::text(404, "no such page"),
                }
            }
        })
        .await;
        base.set(server.url("").as_str().trim_end_matches('/').to_owned()).unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("ca.pem"), ca.pem()).unwrap();
        let claims = json!({"iss": "https://kubernetes.default.svc", "sub": "canary-subject"}).to_string();
        let token =
            format!("{}.{}.c2ln\n", wire::b64::encode(r#"{"alg":"RS256"}"#), wire::b64::encode(claims));
        fs::write(home.path().join("token"), token).unwrap();
        Self { server, home, open }
    }

    /// The binary, told where everything is by its environment.
    pub(crate) fn obol(&self, arguments: &[&str]) -> Command {
        let mut command = obol(arguments);
        command
            .env("HOME", self.home.path())
            .env("OBOL_ISSUER", self.server.url("").as_str().trim_end_matches('/'))
            .env("OBOL_CERTIFICATE_AUTHORITY", self.home.path().join("ca.pem"))
            .env("OBOL_CLIENT_ID", "prod-cluster")
            .env("OBOL_CLIENT_SECRET", "canary-secret")
            .env("OBOL_SUBJECT_TOKEN_FILE", self.home.path().join("token"));
        command
    }

    /// Holds the token endpoint's answers back, or lets them go.
    pub(crate) fn hold(&self, back: bool) {
        self.open.send_replace(!back);
    }

    pub(crate) fn exchanges(&self) -> usize {
        self.server.requests("/token")
    }
}

/// What `KUBERNETES_EXEC_INFO` holds.
pub(crate) fn exec_info(version: &str, config: &serde_json::Value) -> String {
    json!({
        "kind": "ExecCredential",
        "apiVersion": format!("client.authentication.k8s.io/{version}"),
        "spec": {"interactive": false, "cluster": {"server": "https://c.example", "config": config}},
    })
    .to_string()
}
