//! Real programs of other makers that tests talk to: installed when missing, kept outside the repository.
//!
//! `xtask/peers/` holds what pins them. A test reads where its peer stands from a variable, `OBOL_PEER_…`.

mod apt;
mod go;
mod kubernetes;
mod node;
mod python;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};

use crate::shell::which;

/// The variables that tell tests where the peers are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(BTreeMap<&'static str, PathBuf>);

impl Places {
    /// The variables with their values, for a child's environment.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.0.iter().map(|(name, path)| (*name, path.as_path()))
    }

    /// As lines that a shell evaluates.
    pub(crate) fn as_shell(&self) -> String {
        self.variables().map(|(name, path)| format!("export {name}='{}'\n", path.display())).collect()
    }
}

/// An installation that goes on beside other work: most of its time is one long build.
pub(crate) struct Pending(JoinHandle<Result<Places>>);

impl Pending {
    /// Waits until everything is there.
    pub(crate) fn finish(self) -> Result<Places> {
        self.0.join().map_err(|_| anyhow!("the installation of the peers panicked"))?
    }
}

/// Begins to install what is missing.
pub(crate) fn begin() -> Pending {
    Pending(thread::spawn(install))
}

/// Installs what is missing.
pub(crate) fn install() -> Result<Places> {
    let cache = Cache::open()?;
    let mut packages: Vec<&str> =
        PACKAGES.iter().filter(|(program, _)| located(program).is_none()).map(|(_, name)| *name).collect();
    if !kubernetes::is_built(&cache) {
        packages.extend(kubernetes::BUILT_WITH);
    }
    apt::install(&cache, &packages)?;
    let (kube_apiserver, python, node_modules, [cel, authn, audit, kubelet, go_oidc]) =
        thread::scope(|scope| {
            let long = scope.spawn(|| kubernetes::build(&cache));
            let go = [go::cel, go::authn, go::audit, go::kubelet, go::oidc].map(|build| build(&cache));
            let short = (python::install(&cache), node::install(&cache));
            let long = long.join().map_err(|_| anyhow!("the build of kube-apiserver panicked")).flatten();
            let [cel, authn, audit, kubelet, oidc] = go;
            Ok::<_, anyhow::Error>((long?, short.0?, short.1?, [cel?, authn?, audit?, kubelet?, oidc?]))
        })?;
    let mut places = BTreeMap::from([
        ("OBOL_PEER_AUDIT", audit),
        ("OBOL_PEER_AUTHN", authn),
        ("OBOL_PEER_CEL", cel),
        ("OBOL_PEER_KUBE_APISERVER", kube_apiserver),
        ("OBOL_PEER_GO_OIDC", go_oidc),
        ("OBOL_PEER_KUBELET", kubelet),
        ("OBOL_PEER_KUBECTL_OLD", kubernetes::old_kubectl(&cache)?),
        ("OBOL_PEER_KUBECTL", python.join("bin/kubectl")),
        ("OBOL_PEER_NODE_MODULES", node_modules),
        ("OBOL_PEER_PYTHON_PACKAGES", python),
    ]);
    for (variable, program) in PROGRAMS {
        places.insert(variable, located(program).with_context(|| format!("{program} is not on the PATH"))?);
    }
    Ok(Places(places))
}

/// The CEL peer alone.
pub(crate) fn cel() -> Result<PathBuf> {
    go::cel(&Cache::open()?)
}

/// One program of a Debian package, installed if it is missing.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf> {
    if which(name).is_none() {
        apt::install(&Cache::open()?, &[package])?;
    }
    which(name).with_context(|| format!("{name} is not on the PATH"))
}

/// Debian keeps PostgreSQL's programs apart, one folder a version.
fn located(program: &str) -> Option<PathBuf> {
    let versions = || {
        let entries = fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut found: Vec<_> =
            entries.flatten().map(|entry| entry.path().join("bin").join(program)).collect();
        found.sort();
        found.into_iter().rfind(|path| path.is_file())
    };
    which(program).or_else(versions)
}

/// The folder that outlives builds and is shared by the work trees of one user.
pub(crate) struct Cache {
    folder: PathBuf,
    /// Held while something is installed, so that two runs do not install the same thing over each other.
    _lock: File,
}

impl Cache {
    /// Opens the folder; waits while another run installs.
    pub(crate) fn open() -> Result<Self> {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = from("OBOL_PEER_CACHE")
            .or_else(|| Some(from("XDG_CACHE_HOME")?.join("obol/peers")))
            .or_else(|| Some(from("HOME")?.join(".cache/obol/peers")))
            .context("no place for the peers: set OBOL_PEER_CACHE")?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the output of a long step goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("log").join(format!("{name}.log"))
    }

    /// Makes a folder with `make`, whole or not at all: it gets its name when it is done.
    pub(crate) fn folder(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let done = self.path(name);
        if done.is_dir() {
            return Ok(done);
        }
        let draft = self.path(&format!("{name}.draft"));
        if draft.exists() {
            fs::remove_dir_all(&draft)?;
        }
        fs::create_dir_all(&draft)?;
        make(&draft)?;
        fs::rename(&draft, &done)?;
        Ok(done)
    }
}

/// A short name for what a pinning file says, so that a changed pin is installed anew.
fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Programs that Debian ships, and their packages.
const PACKAGES: [(&str, &str); 16] = [
    ("apache2", "libapache2-mod-auth-openidc"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("etcd", "etcd-server"),
    ("jq", "jq"),
    ("ldapmodify", "ldap-utils"),
    ("mariadb", "mariadb-client-core"),
    ("mariadbd", "mariadb-server-core"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("postgres", "postgresql"),
    ("python3", "python3"),
    ("samba", "samba-ad-dc"),
    ("samba-tool", "samba-ad-provision"),
    ("slapd", "slapd"),
];

/// Of these, what tests start themselves.
const PROGRAMS: [(&str, &str); 16] = [
    ("OBOL_PEER_APACHE", "apache2"),
    ("OBOL_PEER_CHROMIUM", "chromium"),
    ("OBOL_PEER_CURL", "curl"),
    ("OBOL_PEER_ETCD", "etcd"),
    ("OBOL_PEER_JQ", "jq"),
    ("OBOL_PEER_LDAPMODIFY", "ldapmodify"),
    ("OBOL_PEER_MARIADB", "mariadb"),
    ("OBOL_PEER_MARIADBD", "mariadbd"),
    ("OBOL_PEER_MARIADB_INSTALL_DB", "mariadb-install-db"),
    ("OBOL_PEER_NODE", "node"),
    ("OBOL_PEER_OPENSSL", "openssl"),
    ("OBOL_PEER_POSTGRES", "postgres"),
    ("OBOL_PEER_PYTHON", "python3"),
    ("OBOL_PEER_SAMBA", "samba"),
    ("OBOL_PEER_SAMBA_TOOL", "samba-tool"),
    ("OBOL_PEER_SLAPD", "slapd"),
];
