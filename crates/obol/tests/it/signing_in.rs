//! `obol get-token` for people and clients, with `obol serve` as the provider and the test as the browser.

mod chromium;
mod first;
mod kills;
mod kinds;
mod kubectl;
mod many;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use testkit::peers::until;

use crate::run::{err, fed, obol, out};
use crate::serve::{Plan, Serving};
use crate::walker::Walker;

/// The provider, and the home folder of who signs in.
pub(super) struct Home {
    pub(super) serving: Serving,
}

impl Home {
    pub(super) async fn start() -> Self {
        let plan = Plan::new();
        let hash = fed(&mut obol(&["hash-password"]), PASSWORD);
        let config = CONFIG.replace("PORT", &plan.port.to_string()).replace("HASH", out(&hash).trim_end());
        Self { serving: plan.serve(&config).await }
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.serving.plan.port)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.serving.plan.path(name)
    }

    /// `obol get-token` as a kubeconfig would have it, with `more` flags.
    pub(super) fn get_token(&self, more: &[&str]) -> Command {
        let issuer = format!("--oidc-issuer-url={}", self.issuer());
        let flags = [&issuer, "--oidc-client-id=kubectl", "--oidc-extra-scope=email,groups,offline_access"];
        let mut command = obol(&[&["get-token"], &flags[..], more].concat());
        command.env("HOME", self.path("home")).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The same, waiting on a free port, with a browser that writes down where it was sent.
    pub(super) fn by_browser(&self, more: &[&str]) -> Command {
        let browser = self.path("browser");
        if !browser.exists() {
            let tabs = self.path("tabs");
            fs::write(&browser, format!("#!/bin/sh\necho \"$1\" >> '{}'\n", tabs.display())).unwrap();
            fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let browser = format!("--browser-command={}", browser.display());
        self.get_token(&[&["--listen-address=127.0.0.1:0", &browser], more].concat())
    }

    /// Where browsers were sent so far.
    pub(super) fn tabs(&self) -> Vec<String> {
        fs::read_to_string(self.path("tabs")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// The address of the `nth` tab.
    pub(super) async fn tab(&self, nth: usize) -> String {
        until("a tab", async || self.tabs().get(nth).cloned().ok_or_else(|| self.serving.process.log()))
            .await
            .unwrap()
    }

    /// The person goes there and signs in.
    pub(super) fn sign_in(&self, at: &str) -> crate::serve::Answer {
        Walker::new(None, &[("login", "ana@example.com"), ("password", PASSWORD)]).walk(at)
    }

    /// Everything in the cache, by name.
    pub(super) fn kept(&self) -> Vec<(String, String)> {
        let Ok(folder) = fs::read_dir(self.path("home/.kube/cache/obol")) else { return Vec::new() };
        let files = folder.map(|entry| entry.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
    }

    /// The refresh token that is kept.
    pub(super) fn refresh_token(&self) -> Option<String> {
        let kept = self.kept().into_iter().find(|(name, _)| name.ends_with(".json"))?;
        let kept: Value = serde_json::from_str(&kept.1).unwrap();
        kept["session"]["refresh_token"].as_str().map(str::to_owned)
    }
}

pub(super) fn start(mut command: Command) -> Child {
    command.spawn().unwrap()
}

pub(super) fn run(command: Command) -> Output {
    start(command).wait_with_output().unwrap()
}

/// The claims of the token in an exec credential.
pub(super) fn claims(output: &Output) -> Value {
    assert!(output.status.success(), "{}", err(output));
    let credential: Value = serde_json::from_str(out(output)).unwrap();
    let token = credential["status"]["token"].as_str().unwrap();
    let claims = token.split('.').nth(1).and_then(wire::b64::decode).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

pub(super) const PASSWORD: &str = "canary correct horse";

const CONFIG: &str = r#"
issuer: http://127.0.0.1:PORT
storage: {type: memory}
web: {http: '127.0.0.1:PORT'}
oauth2:
  grantTypes: [authorization_code, refresh_token, password, client_credentials, "urn:ietf:params:oauth:grant-type:device_code"]
  passwordConnector: local
enablePasswordDB: true
staticPasswords:
- {email: ana@example.com, hash: "HASH", username: ana, userID: "1", groups: [admins]}
staticClients:
- {id: kubectl, name: kubectl, public: true}
- {id: robot, name: Robot, secret: canary-secret, redirectURIs: ["https://robot.example/"]}
"#;
