//! etcd, Debian's.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::process::{Process, free_port};
use crate::tls::TestCa;

/// A running etcd, empty at first.
#[derive(Debug)]
pub struct Etcd {
    url: String,
    port: u16,
    peer_port: u16,
    quota: Option<u64>,
    process: Option<Process>,
    folder: TempDir,
}

impl Etcd {
    /// Starts one.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start() -> io::Result<Self> {
        Self::begin(None, None).await
    }

    /// Starts one that holds so many bytes and no more.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn small(bytes: u64) -> io::Result<Self> {
        Self::begin(None, Some(bytes)).await
    }

    /// Starts one that speaks TLS, with a certificate for `localhost` alone, and wants one of that authority from its clients.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn secured(ca: &TestCa) -> io::Result<Self> {
        Self::begin(Some(ca), None).await
    }

    async fn begin(ca: Option<&TestCa>, quota: Option<u64>) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let (port, peer_port) = (free_port()?, free_port()?);
        let scheme = if ca.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}");
        if let Some(ca) = ca {
            let leaf = ca.leaf(&["localhost"]);
            std::fs::write(folder.path().join("server.pem"), leaf.cert_pem)?;
            std::fs::write(folder.path().join("server.key"), leaf.key_pem)?;
            std::fs::write(folder.path().join("ca.pem"), ca.pem())?;
        }
        let mut server = Self { url, port, peer_port, quota, process: None, folder };
        server.restart().await?;
        Ok(server)
    }

    /// Where clients reach it; it keeps its port over restarts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port alone.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it if it runs, and starts it on what it has written.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.process = None;
        let url = &self.url;
        let peer_url = format!("http://127.0.0.1:{}", self.peer_port);
        let mut command = Command::new(super::place("ETCD")?);
        command.args(["--name", "t", "--data-dir"]).arg(self.folder.path().join("data"));
        command.args(["--listen-client-urls", url, "--advertise-client-urls", url]);
        command.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
        command.args(["--initial-cluster", &format!("t={peer_url}")]);
        if let Some(bytes) = self.quota {
            command.args(["--quota-backend-bytes", &bytes.to_string()]);
        }
        let is_tls = url.starts_with("https");
        if is_tls {
            let file = |name: &str| self.folder.path().join(name);
            command.arg("--cert-file").arg(file("server.pem")).arg("--key-file").arg(file("server.key"));
            command.arg("--trusted-ca-file").arg(file("ca.pem")).arg("--client-cert-auth");
        }
        let mut process = Process::start("etcd", &mut command, self.folder.path())?;
        let log = self.folder.path().join("etcd.log");
        let port = self.port;
        // Who wants certificates answers no stranger, but says so in its log.
        let mut probe = || match is_tls {
            true => {
                std::fs::read_to_string(&log).is_ok_and(|log| log.contains("ready to serve client requests"))
            }
            false => is_healthy(port).unwrap_or(false),
        };
        process.ready_when(&mut probe).await?;
        self.process = Some(process);
        Ok(())
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Asks its JSON gateway.
    ///
    /// # Errors
    /// If it does not answer with 200.
    pub async fn post(&self, path: &str, body: &str) -> io::Result<serde_json::Value> {
        let (head, answer) = ask(self.port, path, body).await?;
        if !head.contains(" 200 ") {
            return Err(io::Error::other(format!("{path}: {answer}")));
        }
        serde_json::from_str(&answer).map_err(io::Error::other)
    }

    /// Removes what begins so, forgets old revisions, gives their room back and lifts the alarm, as an administrator does
    /// with a full store.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn make_room(&self, prefix: &str) -> io::Result<()> {
        let range = serde_json::json!({"key": base64(prefix), "range_end": base64(&format!("{prefix}~"))});
        self.post("/v3/kv/deleterange", &range.to_string()).await?;
        let read = self.post("/v3/kv/range", r#"{"key": "AA=="}"#).await?;
        let revision = read["header"]["revision"].as_str().unwrap_or_default().to_owned();
        self.post("/v3/kv/compaction", &format!(r#"{{"revision": "{revision}", "physical": true}}"#)).await?;
        self.post("/v3/maintenance/defragment", "{}").await?;
        let raised = self.post("/v3/maintenance/alarm", r#"{"action": "GET"}"#).await?;
        let member = raised["alarms"][0]["memberID"].as_str().unwrap_or_default();
        let lift = serde_json::json!({"action": "DEACTIVATE", "alarm": "NOSPACE", "memberID": member});
        self.post("/v3/maintenance/alarm", &lift.to_string()).await.map(drop)
    }

    /// Makes a user of that password who may use keys that begin with `prefix`, and demands passwords from now on.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn demand_password(&self, user: &str, password: &str, prefix: &str) -> io::Result<()> {
        let end = format!("{prefix}~");
        for (path, body) in [
            ("user/add", serde_json::json!({"name": "root", "password": password})),
            ("user/grant", serde_json::json!({"user": "root", "role": "root"})),
            ("role/add", serde_json::json!({"name": "records"})),
            (
                "role/grant",
                serde_json::json!({"name": "records", "perm": {"permType": "READWRITE", "key": base64(prefix), "range_end": base64(&end)}}),
            ),
            ("user/add", serde_json::json!({"name": user, "password": password})),
            ("user/grant", serde_json::json!({"user": user, "role": "records"})),
            ("enable", serde_json::json!({})),
        ] {
            self.post(&format!("/v3/auth/{path}"), &body.to_string()).await?;
        }
        Ok(())
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

fn is_healthy(port: u16) -> io::Result<bool> {
    use std::io::{Read as _, Write as _};
    #[expect(clippy::disallowed_methods, reason = "a test asks a program that it started itself")]
    let mut socket = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(std::time::Duration::from_secs(1)))?;
    socket.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer.contains(r#""health":"true""#))
}

#[expect(clippy::disallowed_methods, reason = "a test asks a program that it started itself")]
async fn ask(port: u16, path: &str, body: &str) -> io::Result<(String, String)> {
    let mut socket = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_owned(), body.to_owned()))
}
