//! The credentials that Kubernetes gives to every pod.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambient::Clock;
use outbound::{BadTrust, Bearer, Client, Credential, Dial, Options, TokenFile, Trust};
use url::Url;

/// What a pod knows of its API server.
#[derive(Debug, Clone)]
pub struct InCluster {
    /// The API server.
    pub server: Url,
    /// Whose certificates it shows, PEM.
    pub ca_pem: Vec<u8>,
    /// Where that is kept; it changes when the cluster's authority is rotated.
    pub ca: PathBuf,
    /// Where our token is; the kubelet replaces it about every hour.
    pub token: PathBuf,
    /// The namespace that we run in.
    pub namespace: Option<String>,
}

/// This is no pod, or one without a service account; the platform's fault.
#[derive(Debug, thiserror::Error)]
pub enum NotInCluster {
    /// The kubelet sets both variables in every pod.
    #[error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this does not run in a pod")]
    NoService,
    /// They are set to something that is no host and port.
    #[error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not name a host and a port: {0}")]
    BadService(String),
    /// `automountServiceAccountToken: false`, perhaps.
    #[error("{} cannot be read: {source}; does the pod mount its service account?", path.display())]
    NoMount {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InCluster {
    /// Reads the mount, usually at [`MOUNT`], and the pod's environment.
    ///
    /// # Errors
    /// [`NotInCluster`]; see there.
    pub fn from(mount: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Self, NotInCluster> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let host = set("KUBERNETES_SERVICE_HOST").ok_or(NotInCluster::NoService)?;
        let port = set("KUBERNETES_SERVICE_PORT").ok_or(NotInCluster::NoService)?;
        let read = |name: &str| {
            let path = mount.join(name);
            std::fs::read(&path).map_err(|source| NotInCluster::NoMount { path, source })
        };
        let token = mount.join("token");
        if let Err(source) = std::fs::metadata(&token) {
            return Err(NotInCluster::NoMount { path: token, source });
        }
        let namespace = read("namespace").ok().and_then(|raw| String::from_utf8(raw).ok());
        Ok(Self {
            server: server(&host, &port)?,
            ca_pem: read("ca.crt")?,
            ca: mount.join("ca.crt"),
            token,
            namespace: namespace.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        })
    }

    /// The credential for the API server and for nobody else; the token is read again as it changes.
    pub fn credential(&self, clock: Arc<dyn Clock>) -> Credential {
        let file = TokenFile::new(&self.token, clock);
        Credential {
            origin: self.server.clone(),
            bearer: Some(Bearer::File(Arc::new(file))),
            headers: http::HeaderMap::new(),
        }
    }

    /// A client for the API server: its authority alone is believed.
    ///
    /// # Errors
    /// [`BadTrust`]: `ca.crt` cannot be used.
    pub fn client(&self, dial: &Dial, clock: Arc<dyn Clock>) -> Result<Client, BadTrust> {
        let trust = Trust::only(Some(self.ca_pem.clone()));
        Client::new(dial, Options { trust, credential: Some(self.credential(clock)), ..Options::default() })
    }
}

/// The URL of a service, whose host may be an IPv6 address without brackets.
fn server(host: &str, port: &str) -> Result<Url, NotInCluster> {
    let bad = || NotInCluster::BadService(format!("{host:?}, {port:?}"));
    let port: u16 = port.parse().map_err(|_| bad())?;
    let text = if host.contains(':') {
        format!("https://[{host}]:{port}/")
    } else {
        format!("https://{host}:{port}/")
    };
    let url = Url::parse(&text).map_err(|_| bad())?;
    // A host with a slash or an at sign would be read as something else than a host.
    if url.path() == "/" && url.username().is_empty() && url.query().is_none() && url.fragment().is_none() {
        Ok(url)
    } else {
        Err(bad())
    }
}

/// Where the kubelet mounts a pod's service account.
pub const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            std::fs::write(folder.path().join(name), format!("{name}\n")).unwrap();
        }
        folder
    }

    fn read(mount: &Path, host: &str, port: &str) -> Result<InCluster, NotInCluster> {
        InCluster::from(mount, |name| match name {
            "KUBERNETES_SERVICE_HOST" => Some(host.to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some(port.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn a_pod_finds_its_api_server() {
        let folder = mount(&["token", "ca.crt", "namespace"]);
        let found = read(folder.path(), "10.96.0.1", "443").unwrap();
        assert_eq!(found.server.as_str(), "https://10.96.0.1/");
        assert_eq!(found.ca_pem, b"ca.crt\n");
        assert_eq!(found.namespace.as_deref(), Some("namespace"));
        let six = read(folder.path(), "fd00:10:96::1", "6443").unwrap();
        assert_eq!(six.server.as_str(), "https://[fd00:10:96::1]:6443/");
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = mount(&["token", "ca.crt"]);
        assert!(matches!(InCluster::from(whole.path(), |_| None), Err(NotInCluster::NoService)));
        assert!(matches!(read(whole.path(), "", "443"), Err(NotInCluster::NoService)));
        for (host, port) in [("10.0.0.1", "https"), ("evil/x", "443"), ("a@b", "443"), ("a b", "443")] {
            assert!(matches!(read(whole.path(), host, port), Err(NotInCluster::BadService(_))), "{host}");
        }
        for files in [&["token"][..], &["ca.crt"]] {
            let part = mount(files);
            assert!(matches!(read(part.path(), "10.0.0.1", "443"), Err(NotInCluster::NoMount { .. })));
        }
    }
}
