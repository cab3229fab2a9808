//! `obol serve` as its operators meet it: the real binary with real configurations over loopback.

mod authorities;
mod dex;
mod edges;
mod faults;
mod issuing;
mod listening;
mod logs;
mod outage;
mod proxied;
mod reload;
mod replicas;
mod stopping;
mod storage;
mod trial;
mod wire;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use testkit::peers::{Process, free_port};

use crate::run::obol;

pub(super) use wire::{Answer, Wire};

/// A configuration that is being written, in a folder of its own.
pub(super) struct Plan {
    pub(super) folder: TempDir,
    pub(super) port: u16,
    issuer: String,
    variables: Vec<(String, String)>,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self::under("")
    }

    /// With an issuer below a path.
    pub(super) fn under(path: &str) -> Self {
        let port = free_port().unwrap();
        let issuer = format!("http://127.0.0.1:{port}{path}");
        Self { folder: TempDir::new().unwrap(), port, issuer, variables: Vec::new() }
    }

    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Memory, one client that may ask for tokens as itself, and whatever is added.
    pub(super) fn usual(&self, more: &str) -> String {
        self.stored("storage: {type: memory}", more)
    }

    /// The usual, kept elsewhere.
    pub(super) fn stored(&self, storage: &str, more: &str) -> String {
        format!("{}oauth2: {{grantTypes: [client_credentials]}}\n", self.bare(storage, more))
    }

    /// The usual without `oauth2`.
    pub(super) fn bare(&self, storage: &str, more: &str) -> String {
        let Self { issuer, port, .. } = self;
        let web = if more.contains("web:") {
            String::new()
        } else {
            format!("web: {{http: '127.0.0.1:{port}'}}\n")
        };
        format!(
            "issuer: {issuer}\n{storage}\n{web}connectors: [{{type: mockCallback, id: mock, name: Mock}}]\n\
             staticClients: [{{id: robot, name: Robot, secret: canary-secret}}]\n{more}\n"
        )
    }

    /// Runs it until it answers.
    pub(super) async fn serve(self, config: &str) -> Serving {
        self.serve_on(config, None).await
    }

    /// Runs it until it answers at a port, over TLS if an authority is named.
    pub(super) async fn serve_on(self, config: &str, ca: Option<&str>) -> Serving {
        let process = self.start(config);
        let path = self.issuer.splitn(4, '/').nth(3).map_or(String::new(), |path| format!("/{path}"));
        let wire = ca.map_or_else(|| Wire::plain(self.port), |ca| Wire::tls(self.port, ca));
        let mut serving = Serving { process, plan: self, wire };
        let wire = serving.wire.clone();
        let health = format!("{path}/healthz");
        serving
            .process
            .ready(async || wire.get(&health).is_some_and(|answer| answer.status == 200))
            .await
            .unwrap();
        serving
    }

    /// Starts it and waits for nothing.
    pub(super) fn start(&self, config: &str) -> Process {
        let config = self.file("config.yaml", config);
        let mut command = obol(&["serve", config.to_str().unwrap()]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Process::start("obol", &mut command, self.folder.path()).unwrap()
    }

    /// What it says when it does not start.
    pub(super) async fn refused(&self, config: &str) -> String {
        let mut process = self.start(config);
        assert_eq!(process.ended().await.unwrap().code(), Some(1), "{}", process.log());
        process.log()
    }
}

/// A running `obol serve`.
pub(super) struct Serving {
    pub(super) process: Process,
    pub(super) plan: Plan,
    pub(super) wire: Wire,
}

impl Serving {
    pub(super) fn get(&self, path: &str) -> Answer {
        self.wire.get(path).expect("an answer")
    }

    /// Asks for a token as the client `robot`.
    pub(super) fn token(&self, secret: &str) -> Answer {
        let form =
            format!("grant_type=client_credentials&client_id=robot&client_secret={secret}&scope=openid");
        self.wire.post("/token", &form).expect("an answer")
    }

    /// The claims of a token for the client `robot`.
    pub(super) fn claims(&self) -> serde_json::Value {
        let answer = self.token("canary-secret");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let claims = token.split('.').nth(1).and_then(::wire::b64::decode).unwrap();
        serde_json::from_slice(&claims).unwrap()
    }

    /// The log once it holds `mark`: audit lines are written behind the answer.
    pub(super) async fn log_with(&self, mark: &str) -> String {
        let found = testkit::peers::until(mark, async || {
            let log = self.process.log();
            if log.contains(mark) { Ok(log) } else { Err(log) }
        });
        found.await.unwrap()
    }

    /// Asks it to end, as a service manager does, and waits for that.
    pub(super) async fn stop(&mut self) {
        terminate(&self.process);
        let status = self.process.ended().await.unwrap();
        assert!(status.success(), "{status}: {}", self.process.log());
    }

    /// It still does what it is for.
    pub(super) fn still_serves(&self) {
        assert_eq!(self.token("canary-secret").status, 200);
    }
}

/// SIGTERM.
pub(super) fn terminate(process: &Process) {
    signal(process, "TERM");
}

/// Any signal.
pub(super) fn signal(process: &Process, name: &str) {
    let sent = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {}", process.id())])
        .status();
    assert!(sent.unwrap().success());
}
