//! Samba as an Active Directory domain controller, Debian's. Of it only LDAP is started, which needs root: its ports are the
//! protocol's own, on a loopback address that nobody else has.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;
use crate::tls::TestCa;

/// A running domain `ad.example.org`, whose administrator is [`Samba::ADMIN`].
#[derive(Debug)]
pub struct Samba {
    address: Ipv4Addr,
    folder: TempDir,
    _process: Process,
}

impl Samba {
    /// Who may do everything, with the password [`Samba::PASSWORD`].
    pub const ADMIN: &'static str = "administrator@ad.example.org";
    /// The administrator's.
    pub const PASSWORD: &'static str = "Canary-1-admin";

    /// Makes a domain and starts it.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(ca: &TestCa) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let [_, one, two, three] =
            u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(7).to_be_bytes();
        let address = Ipv4Addr::new(127, one.max(1), two, three.clamp(1, 254));
        provision(folder.path(), address)?;
        let leaf = ca.leaf(&[&address.to_string()]);
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text)?;
            // It refuses a key that others may read.
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            Ok::<_, io::Error>(path)
        };
        let (authority, certificate) = (file("ca.pem", ca.pem())?, file("cert.pem", &leaf.cert_pem)?);
        let key = file("key.pem", &leaf.key_pem)?;
        let mut command = Command::new(super::place("SAMBA")?);
        command
            .args(["-i", "-M", "single", "--debug-stdout", "-s"])
            .arg(folder.path().join("ad/etc/smb.conf"));
        for option in [
            format!("interfaces={address}/8"),
            "bind interfaces only=yes".into(),
            "server services=ldap".into(),
            format!("tls keyfile={}", key.display()),
            format!("tls certfile={}", certificate.display()),
            format!("tls cafile={}", authority.display()),
            "ldap server require strong auth=no".into(),
            format!("pid directory={}", folder.path().display()),
            format!("ncalrpc dir={}", folder.path().join("ncalrpc").display()),
        ] {
            command.arg(format!("--option={option}"));
        }
        let mut process = Process::start("samba", &mut command, folder.path())?;
        process.ready(async || listens(address, 389).await && listens(address, 636).await).await?;
        Ok(Self { address, folder, _process: process })
    }

    /// Where it listens, in clear at port 389 and by LDAPS at 636.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Changes entries as its administrator (LDIF with `changetype`).
    ///
    /// # Errors
    /// If it refuses.
    pub fn modify(&self, ldif: &str) -> io::Result<()> {
        let file = self.folder.path().join("change.ldif");
        std::fs::write(&file, ldif)?;
        let mut command = Command::new(super::place("LDAPMODIFY")?);
        command.env("LDAPTLS_CACERT", self.folder.path().join("ca.pem"));
        command.args([
            "-x",
            "-H",
            &format!("ldaps://{}", self.address),
            "-D",
            Self::ADMIN,
            "-w",
            Self::PASSWORD,
        ]);
        let done = command.arg("-f").arg(&file).output()?;
        let why = || io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned());
        if done.status.success() { Ok(()) } else { Err(why()) }
    }
}

fn provision(folder: &Path, address: Ipv4Addr) -> io::Result<()> {
    let mut command = Command::new(super::place("SAMBA_TOOL")?);
    command.args(["domain", "provision", "--realm=AD.EXAMPLE.ORG", "--domain=AD", "--server-role=dc"]);
    command.args(["--dns-backend=NONE", "--host-name=dc1"]).arg(format!("--host-ip={address}"));
    command.arg(format!("--adminpass={}", Samba::PASSWORD));
    command.arg(format!("--targetdir={}", folder.join("ad").display()));
    let done = command.output()?;
    let why = || io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned());
    if done.status.success() { Ok(()) } else { Err(why()) }
}

#[expect(clippy::disallowed_methods, reason = "a test asks a program that it started itself")]
async fn listens(address: Ipv4Addr, port: u16) -> bool {
    tokio::net::TcpStream::connect((address, port)).await.is_ok()
}
