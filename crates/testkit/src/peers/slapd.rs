//! slapd, Debian's OpenLDAP server.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, free_port};
use crate::tls::TestCa;

/// A running directory of `dc=example,dc=org`, whose administrator is [`Slapd::ADMIN`]. It listens in clear (StartTLS too)
/// and by LDAPS, with a certificate of its own authority.
#[derive(Debug)]
pub struct Slapd {
    port: u16,
    tls_port: u16,
    process: Process,
    folder: TempDir,
}

impl Slapd {
    /// Who may do everything, with the password `admin`.
    pub const ADMIN: &'static str = "cn=admin,dc=example,dc=org";

    /// Starts one with these entries (LDIF). `client_certificates`: `try`, or `demand`.
    ///
    /// # Errors
    /// If it does not come up, or refuses the entries.
    pub async fn start(ca: &TestCa, ldif: &str, client_certificates: &str) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let leaf = ca.leaf(&[]);
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("ca.pem", ca.pem())?;
        write("cert.pem", &leaf.cert_pem)?;
        write("key.pem", &leaf.key_pem)?;
        write("seed.ldif", ldif)?;
        write("slapd.conf", &configuration(folder.path(), client_certificates))?;
        std::fs::create_dir(folder.path().join("db"))?;
        let program = super::place("SLAPD")?;
        let conf = folder.path().join("slapd.conf");
        // Offline, by the same program under its other name.
        let seeded = Command::new(&program)
            .args(["-T", "add", "-f"])
            .arg(&conf)
            .arg("-l")
            .arg(folder.path().join("seed.ldif"))
            .output()?;
        if !seeded.status.success() {
            let why = String::from_utf8_lossy(&seeded.stderr).into_owned();
            return Err(io::Error::other(format!("slapd refuses the entries: {why}")));
        }
        let (port, tls_port) = (free_port()?, free_port()?);
        let mut command = Command::new(&program);
        command.arg("-f").arg(&conf).args(["-d", "256", "-h"]);
        command.arg(format!("ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"));
        let mut process = Process::start("slapd", &mut command, folder.path())?;
        process.ready(async || listens(port).await && listens(tls_port).await).await?;
        Ok(Self { port, tls_port, process, folder })
    }

    /// `127.0.0.1:PORT`, in clear.
    pub fn plain(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:PORT`, by LDAPS.
    pub fn ldaps(&self) -> String {
        format!("127.0.0.1:{}", self.tls_port)
    }

    /// Changes entries as its administrator (LDIF with `changetype`).
    ///
    /// # Errors
    /// If it refuses.
    pub fn modify(&self, ldif: &str) -> io::Result<()> {
        let file = self.folder.path().join("change.ldif");
        std::fs::write(&file, ldif)?;
        let mut command = Command::new(super::place("LDAPMODIFY")?);
        command.args([
            "-x",
            "-H",
            &format!("ldap://{}/", self.plain()),
            "-D",
            Self::ADMIN,
            "-w",
            "admin",
            "-f",
        ]);
        let done = command.arg(&file).output()?;
        let why = || io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned());
        if done.status.success() { Ok(()) } else { Err(why()) }
    }

    /// How many connections it has accepted so far.
    pub fn connections(&self) -> usize {
        self.process.log().lines().filter(|line| line.contains("ACCEPT from")).count()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test asks a program that it started itself")]
async fn listens(port: u16) -> bool {
    tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}

fn configuration(folder: &Path, client_certificates: &str) -> String {
    let folder = folder.display();
    format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
TLSVerifyClient {client_certificates}
database mdb
suffix dc=example,dc=org
rootdn {admin}
rootpw admin
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
",
        admin = Slapd::ADMIN
    )
}
