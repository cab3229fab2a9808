//! MariaDB, Debian's.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, free_port};
use crate::tls::TestCa;

/// A running server. It speaks TLS with a certificate for `localhost` alone.
#[derive(Debug)]
pub struct MariaDb {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl MariaDb {
    /// Starts one without databases. `password` is that of its users: `obol`, and `tls`, who may not come without TLS.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(ca: &TestCa, password: &str) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let leaf = ca.leaf(&["localhost"]);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("server.pem", &leaf.cert_pem)?;
        write("server.key", &leaf.key_pem)?;
        write("ca.pem", ca.pem())?;
        let mut server = Self { folder, port: free_port()?, process: None };
        let mut install = Command::new(super::place("MARIADB_INSTALL_DB")?);
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.args(["--user=root", &format!("--datadir={}", server.data().display())]);
        // Others that are installed at this moment would meet us in the common one.
        install.arg(format!("--tmpdir={}", server.folder.path().display()));
        said(&mut install)?;
        server.restart().await?;
        for user in ["obol", "tls"] {
            let more = if user == "tls" { " REQUIRE SSL" } else { "" };
            let made =
                format!("CREATE USER {user} IDENTIFIED BY '{password}'{more}; GRANT ALL ON *.* TO {user}");
            server.sql("mysql", &made)?;
        }
        Ok(server)
    }

    /// Where it listens on the loopback interface; it keeps its port over restarts.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// If it refuses.
    pub fn create_database(&self, name: &str) -> io::Result<()> {
        self.sql("mysql", &format!("CREATE DATABASE {name}")).map(drop)
    }

    /// Runs statements as its administrator; answers bare rows.
    ///
    /// # Errors
    /// What it says.
    pub fn sql(&self, database: &str, statement: &str) -> io::Result<String> {
        let mut client = Command::new(super::place("MARIADB")?);
        client.args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"]);
        client.arg(format!("--socket={}", self.socket().display()));
        client.args(["--database", database, "--execute", statement]);
        said(&mut client).map(|said| said.trim().to_owned())
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
        let in_folder = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(super::place("MARIADBD")?);
        command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
        for setting in [
            format!("--datadir={}", self.data().display()),
            format!("--tmpdir={}", self.folder.path().display()),
            format!("--port={}", self.port),
            format!("--socket={}", in_folder("socket")),
            format!("--pid-file={}", in_folder("pid")),
            format!("--ssl-cert={}", in_folder("server.pem")),
            format!("--ssl-key={}", in_folder("server.key")),
            format!("--ssl-ca={}", in_folder("ca.pem")),
            // What survives a kill of the server needs no disk; only a power cut would be another matter.
            "--innodb-flush-log-at-trx-commit=2".into(),
            "--innodb-buffer-pool-size=32M".into(),
        ] {
            command.arg(setting);
        }
        let mut process = Process::start("mariadb", &mut command, self.folder.path())?;
        process.ready_when(|| self.sql("mysql", "SELECT 1").is_ok()).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends the connections of everybody but its administrator.
    ///
    /// # Errors
    /// What it says.
    pub fn close_all(&self) -> io::Result<()> {
        self.sql("mysql", "KILL USER obol").map(drop)
    }

    fn data(&self) -> PathBuf {
        Path::join(self.folder.path(), "data")
    }
}

fn said(command: &mut Command) -> io::Result<String> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()))
}
