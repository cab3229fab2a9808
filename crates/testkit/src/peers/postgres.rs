//! PostgreSQL, Debian's.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, free_port, until};
use crate::tls::TestCa;

/// A running server. It speaks TLS with a certificate for `localhost` alone, and asks for passwords as its users' names
/// say: `plain`, `md5`, `cert` (a certificate instead), anybody else SCRAM.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    owner: Option<(u32, u32)>,
    port: u16,
    process: Option<Process>,
}

impl Postgres {
    /// Starts one with an empty cluster. `password` is that of all its users: `obol`, `plain`, `md5` and `cert`.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(ca: &TestCa, password: &str) -> io::Result<Self> {
        let program = super::place("POSTGRES")?.canonicalize()?;
        let programs = program.parent().map(Path::to_owned).unwrap_or_default();
        let folder = TempDir::new()?;
        let owner = owner()?;
        let mut server = Self { programs, folder, owner, port: free_port()?, process: None };
        server.own(server.folder.path())?;
        let mut initdb = server.command("initdb");
        initdb.args(["--auth=trust", "--username=admin", "--no-sync", "--encoding=UTF8", "-D"]);
        said(initdb.arg(server.data()))?;
        let leaf = ca.leaf(&["localhost"]);
        server.write("server.pem", &leaf.cert_pem)?;
        server.write("server.key", &leaf.key_pem)?;
        server.write("ca.pem", ca.pem())?;
        server.write("data/pg_hba.conf", HBA)?;
        server.restart().await?;
        server.sql(
            "postgres",
            &format!("SET password_encryption = 'md5'; CREATE USER md5 PASSWORD '{password}'"),
        )?;
        for user in ["obol", "plain", "cert"] {
            server.sql("postgres", &format!("CREATE USER {user} PASSWORD '{password}'"))?;
        }
        Ok(server)
    }

    /// Where it listens on the loopback interface; it keeps its port over restarts.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Makes an empty database that anybody may use.
    ///
    /// # Errors
    /// If it refuses.
    pub fn create_database(&self, name: &str) -> io::Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        // What one of them makes, the others may use.
        let theirs = "ALTER DEFAULT PRIVILEGES FOR ROLE obol GRANT ALL ON TABLES TO PUBLIC";
        self.sql(name, &format!("GRANT ALL ON SCHEMA public TO PUBLIC; {theirs}")).map(drop)
    }

    /// Runs a statement as its administrator; answers bare rows.
    ///
    /// # Errors
    /// What it says.
    pub fn sql(&self, database: &str, statement: &str) -> io::Result<String> {
        let mut psql = self.command("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-U", "admin"]);
        psql.args(["-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement]);
        psql.arg("-h").arg(self.socket()).arg("-p").arg(self.port.to_string());
        said(&mut psql).map(|said| said.trim().to_owned())
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
        // Its children notice by themselves; a new one refuses to start before they are gone.
    }

    /// Kills it if it runs, and starts it on what it has written.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.process = None;
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.path().display()),
            // What survives a kill of the server needs no disk; only a power cut would be another matter.
            "fsync=off".into(),
            "ssl=on".into(),
            format!("ssl_cert_file={}", self.folder.path().join("server.pem").display()),
            format!("ssl_key_file={}", self.folder.path().join("server.key").display()),
            format!("ssl_ca_file={}", self.folder.path().join("ca.pem").display()),
        ];
        let (name, mut tries) = ("postgres", 0);
        loop {
            let mut command = self.command("postgres");
            command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
            for setting in &settings {
                command.arg("-c").arg(setting);
            }
            let mut process = Process::start(name, &mut command, self.folder.path())?;
            let answers = process.ready_when(|| self.sql("postgres", "SELECT 1").is_ok()).await;
            match answers {
                Ok(()) => {
                    self.process = Some(process);
                    return Ok(());
                }
                // Children of the one that was killed still hold its memory.
                Err(_) if tries < 100 && process.log().contains("shared memory block") => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until a statement answers this.
    ///
    /// # Errors
    /// If time runs out.
    pub async fn until(&self, database: &str, statement: &str, answer: &str) -> io::Result<()> {
        until(statement, async || match self.sql(database, statement) {
            Ok(said) if said == answer => Ok(()),
            Ok(said) => Err(said),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// It refuses a key that others may read.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        self.own(&path)
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        match self.owner {
            Some((user, group)) => std::os::unix::fs::chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }
}

/// It refuses to run as root: then as the user that its package makes.
fn owner() -> io::Result<Option<(u32, u32)>> {
    if !said(Command::new("id").arg("-u"))?.trim().eq("0") {
        return Ok(None);
    }
    let id = |flag: &str| -> io::Result<u32> {
        let said = said(Command::new("id").args([flag, "postgres"]))?;
        said.trim().parse().map_err(io::Error::other)
    };
    Ok(Some((id("-u")?, id("-g")?)))
}

fn said(command: &mut Command) -> io::Result<String> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()))
}

const HBA: &str = "\
local   all all   trust
hostssl all cert  127.0.0.1/32 cert
host    all cert  127.0.0.1/32 reject
host    all plain 127.0.0.1/32 password
host    all md5   127.0.0.1/32 md5
host    all all   127.0.0.1/32 scram-sha-256
";
