//! What the benches have in common: a key and a subject token, a configuration of 17 connectors on SQLite, a server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::arrivals::ask;
use super::load::Load;
use super::{BINARY, on_first_core};
use crate::shell::{output, run as run_command};

/// A folder with everything that a server and its callers need.
pub(crate) struct Scene {
    alg: &'static str,
    folder: PathBuf,
    address: SocketAddr,
    policies: u32,
}

/// A running server. Dropped, it is killed.
pub(crate) struct Server(Child);

impl Scene {
    /// A new key and subject token of this algorithm; the server will sign with the same algorithm.
    pub(crate) fn make(alg: &'static str) -> Result<Self> {
        Self::with_policies(alg, 1)
    }

    /// The same with so many policies, of which the last one grants what is asked for.
    pub(crate) fn with_policies(alg: &'static str, policies: u32) -> Result<Self> {
        let folder = std::env::current_dir()?.join("target/bench").join(format!("{alg}-{policies}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let scene = Self { alg, folder, address, policies };
        scene.raw(0)?;
        fs::write(scene.folder.join("config.yaml"), scene.config())?;
        fs::write(scene.script(), format!("{WRK}wrk.body = \"{}\"\n", scene.form()?))?;
        Ok(scene)
    }

    /// Pairs of bare signatures, verified and made, per second of the first core.
    pub(crate) fn raw(&self, seconds: u64) -> Result<f64> {
        let mut raw = on_first_core("target/release/examples/raw");
        raw.args([self.alg, &format!("http://{}", self.address)]).arg(&self.folder).arg(seconds.to_string());
        Ok(output(&mut raw)?.trim().parse()?)
    }

    /// A server on the first core that answers. Its store, and so its keys, are kept from one to the next.
    pub(crate) fn serve(&self) -> Result<Server> {
        self.start().map(|(server, _)| server)
    }

    /// The same, with the time from the start of its process to its first answer.
    pub(crate) fn start(&self) -> Result<(Server, Duration)> {
        let log = fs::File::create(self.folder.join("log"))?;
        let mut command = on_first_core(BINARY);
        command.arg("serve").arg(self.folder.join("config.yaml"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let began = Instant::now();
        let server = Server(command.spawn()?);
        while began.elapsed() < PATIENCE {
            if ask(self.address, &self.get("/keys")).is_ok_and(|status| status == 200) {
                return Ok((server, began.elapsed()));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        bail!("the server does not answer; see {}", self.folder.join("log").display())
    }

    /// Exchanges, as many as the server answers.
    pub(crate) fn load(&self, server: &Server, seconds: u64) -> Load {
        let url = format!("http://{}/token", self.address);
        Load { url, pid: server.pid(), seconds, connections: CONNECTIONS, script: Some(self.script()) }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// One exchange as it goes over the wire.
    pub(crate) fn request(&self) -> Result<Vec<u8>> {
        let (form, host) = (self.form()?, self.address);
        let head = "content-type: application/x-www-form-urlencoded\r\ncontent-length:";
        let length = form.len();
        Ok(format!("POST /token HTTP/1.1\r\nhost: {host}\r\n{head} {length}\r\n\r\n{form}").into_bytes())
    }

    fn get(&self, path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address).into_bytes()
    }

    fn form(&self) -> Result<String> {
        let token = fs::read_to_string(self.folder.join("subject.jwt")).context("subject.jwt")?;
        Ok(format!("{FORM}{token}"))
    }

    fn script(&self) -> PathBuf {
        self.folder.join("exchange.lua")
    }

    fn config(&self) -> String {
        let Self { alg, address, folder, policies } = self;
        let folder = folder.display();
        let others_policies = (1..*policies).map(|n| policy(&format!("p{n}"))).collect::<String>();
        let granting = policy("infra");
        format!(
            "issuer: http://{address}\nstorage: {{type: sqlite3, config: {{file: {folder}/obol.db}}}}\nsealing: none\n\
             web: {{http: \"{address}\"}}\nlogger: {{level: warn, format: json}}\n\
             staticClients: [{{id: bench, name: Bench, public: true, idTokenSignedResponseAlg: {alg}}}]\n\
             tokenExchange:\n  policies:\n{others_policies}{granting}connectors:\n\
             - {{type: jwt, id: ci, name: CI, config: {{issuer: \"https://bench.example.com\", keysFile: {folder}/jwks.json}}}}\n{}",
            others(*address)
        )
    }
}

/// A policy for one project.
fn policy(project: &str) -> String {
    format!(
        "  - name: {project}\n    subject: {{connector: ci, match: 'claims.project_path == \"platform/{project}\" && \
         claims.ref_protected == \"true\"'}}\n    clients: [bench]\n    audiences: [bench]\n    issue: {{subject: '\"gitlab:\" + \
         claims.project_path', groups: '[\"deployers\"]'}}\n"
    )
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as an operator would, and waits for that.
    pub(crate) fn stop(mut self) -> Result<()> {
        run_command(Command::new("kill").args(["-TERM", &self.pid().to_string()]))?;
        let status = self.0.wait()?;
        if !status.success() {
            bail!("the server did not end well: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sixteen more connectors. Those that ask an issuer ask the server itself, so that each holds what it would hold of a
/// real one, and nothing leaves this machine.
fn others(itself: SocketAddr) -> String {
    let mut text = String::from("- {type: mockCallback, id: mock, name: Mock}\n");
    for n in 0..6 {
        text.push_str(&format!(
            "- {{type: oidc, id: oidc-{n}, name: OIDC {n}, config: {{issuer: \"http://{itself}\", clientID: bench, clientSecret: s}}}}\n"
        ));
    }
    for n in 0..9 {
        let kind = if n < 5 { "kubernetes" } else { "jwt" };
        text.push_str(&format!(
            "- {{type: {kind}, id: {kind}-{n}, name: {kind} {n}, config: {{issuer: \"https://{kind}-{n}.example.com\", \
             jwksURL: \"http://{itself}/keys\"}}}}\n"
        ));
    }
    text
}

const FORM: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=bench\
                    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=";

const WRK: &str =
    "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/x-www-form-urlencoded\"\n";

/// Connections of a load.
pub(crate) const CONNECTIONS: u32 = 16;

/// For a server to answer.
const PATIENCE: Duration = Duration::from_secs(10);
