//! etcd, Debian's.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::process::{Process, free_port};

/// A running etcd, empty at first.
#[derive(Debug)]
pub struct Etcd {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl Etcd {
    /// Starts one.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start() -> io::Result<Self> {
        let folder = TempDir::new()?;
        let (port, peer_port) = (free_port()?, free_port()?);
        let (url, peer_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut command = Command::new(super::place("ETCD")?);
        command.args(["--name", "t", "--data-dir"]).arg(folder.path().join("data"));
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
        command.args(["--initial-cluster", &format!("t={peer_url}")]);
        let mut process = Process::start("etcd", &mut command, folder.path())?;
        process.ready(async || is_healthy(port).await.unwrap_or(false)).await?;
        Ok(Self { url, _process: process, _folder: folder })
    }

    /// Where clients reach it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[expect(clippy::disallowed_methods, reason = "a test asks a program that it started itself")]
async fn is_healthy(port: u16) -> io::Result<bool> {
    let mut socket = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    socket.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer.contains(r#""health":"true""#))
}
