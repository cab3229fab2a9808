//! The keys that Dex's servers share, and TLS as they say it. Files of certificates are read again for each connection,
//! so that a renewed one is shown without a restart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::Secret;
use config::Fields;
use outbound::{Dial, Identity, Link, Protocols, Reach, Roots, Trust};
use rustls::ClientConfig;

use super::{Bounds, Fault};

/// What every server is told.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) address: Address,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: Secret<String>,
    pub(crate) bounds: Bounds,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// On the network.
    Tcp(String, u16),
    /// At a path of this machine.
    Local(PathBuf),
}

/// How much TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// None.
    Clear,
    /// Against those who only listen.
    Unverified,
    /// The certificate is of the authority.
    Authority,
    /// And it is for this host.
    Full,
}

/// Whom we believe and what we show, from files.
pub(crate) struct Tls {
    pub(crate) security: Security,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    protocols: Protocols,
    /// Of the files as they were last read.
    made: Mutex<Option<(Files, Arc<ClientConfig>)>>,
}

#[derive(PartialEq, Eq)]
struct Files {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Common {
    /// Reads the keys but `ssl`. `local`: what a path means, given the port.
    pub(crate) fn read(
        fields: &mut Fields<'_>,
        port: u16,
        local: fn(PathBuf, u16) -> PathBuf,
    ) -> Option<Self> {
        let host: Option<String> = fields.required("host");
        let written: Option<u16> = fields.optional("port");
        let user: Option<String> = fields.required("user");
        let password: Secret<String> = fields.or_default("password");
        let database: Option<String> = fields.required("database");
        let seconds =
            |seconds: Option<u32>| seconds.filter(|s| *s > 0).map(|s| Duration::from_secs(s.into()));
        let within = seconds(fields.optional("connectionTimeout"));
        let open: u32 = fields.or_default("maxOpenConns");
        let idle: Option<u32> = fields.optional("maxIdleConns");
        let lifetime = seconds(fields.optional("connMaxLifetime"));
        let counted =
            |count: u32| usize::try_from(count).ok().filter(|count| *count > 0).unwrap_or(CONNECTIONS);
        let open = counted(open).min(MOST_CONNECTIONS);
        let address = Address::parse(&host?, written.filter(|port| *port > 0), port, local).or_else(|| {
            fields.error("has a host that cannot be read", "write host, host:port, or the path of a socket");
            None
        });
        Some(Self {
            address: address?,
            database: database?,
            user: user?,
            password,
            bounds: Bounds {
                open,
                idle: idle.map_or(CONNECTIONS, counted).min(open),
                lifetime,
                within: within.unwrap_or(CONNECT_WITHIN).min(CONNECT_WITHIN),
            },
        })
    }

    /// Connects, without TLS yet.
    pub(crate) async fn connect(&self, dial: &Dial) -> Result<Link, Fault> {
        let connected = match &self.address {
            Address::Tcp(host, port) => dial.tcp(host, *port, Reach::Anywhere).await.map(Link::Plain),
            #[cfg(unix)]
            Address::Local(path) => dial.local(path).await.map(Link::Local),
            #[cfg(not(unix))]
            Address::Local(_) => return Err(Fault::Unavailable("sockets at paths do not exist here".into())),
        };
        connected.map_err(|error| Fault::Unavailable(error.to_string()))
    }
}

impl Address {
    fn parse(host: &str, port: Option<u16>, usual: u16, local: fn(PathBuf, u16) -> PathBuf) -> Option<Self> {
        if host.starts_with('/') {
            return Some(Self::Local(local(PathBuf::from(host), port.unwrap_or(usual))));
        }
        let (name, written) = match host.strip_prefix('[') {
            Some(rest) => {
                let (name, rest) = rest.split_once(']')?;
                (name, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some(""))?)
            }
            // More than one colon is an IPv6 address.
            None if host.matches(':').count() > 1 => (host, ""),
            None => host.split_once(':').unwrap_or((host, "")),
        };
        let written = if written.is_empty() { None } else { Some(written.parse().ok()?) };
        (!name.is_empty()).then(|| Self::Tcp(name.to_owned(), port.or(written).unwrap_or(usual)))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

impl Tls {
    /// Reads the files of `ssl`; its mode is the caller's.
    pub(crate) fn read(
        ssl: &mut Fields<'_>,
        protocols: Protocols,
        mode: impl FnOnce(&mut Fields<'_>) -> Option<Security>,
    ) -> Option<Self> {
        let security = mode(ssl);
        let mut file = |key| ssl.optional::<String>(key).filter(|path| !path.is_empty()).map(PathBuf::from);
        let (ca, certificate, key) = (file("caFile"), file("certFile"), file("keyFile"));
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                ssl.error("has only one of certFile and keyFile", "write both, or neither");
                return None;
            }
        };
        let tls = Self { security: security?, ca, identity, protocols, made: Mutex::default() };
        if tls.security != Security::Clear
            && let Err(fault) = tls.config()
        {
            ssl.error(format!("cannot set up TLS: {fault}"), "mend the files");
            return None;
        }
        Some(tls)
    }

    /// Made anew when the files have changed.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| Fault::Unavailable(format!("cannot read {}: {error}", path.display())))
        };
        let identity = self.identity.as_ref().map(|(certificate, key)| Ok((read(certificate)?, read(key)?)));
        let files = Files { ca: self.ca.as_ref().map(read).transpose()?, identity: identity.transpose()? };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, config)) = &*made
            && *of == files
        {
            return Ok(Arc::clone(config));
        }
        let identity =
            files.identity.clone().map(|(chain_pem, key)| Identity { chain_pem, key_pem: Secret::new(key) });
        let trust = Trust {
            roots: files.ca.clone().map_or(Roots::System, Roots::Only),
            identity,
            skip_verify: self.security == Security::Unverified,
            any_name: self.security == Security::Authority,
        };
        let config = trust
            .client_config(self.protocols)
            .map_err(|error| Fault::Unavailable(format!("TLS cannot be set up: {error}")))?;
        *made = Some((files, Arc::clone(&config)));
        Ok(config)
    }
}

/// Dex's default.
const CONNECTIONS: usize = 5;
/// More than any one process can use.
const MOST_CONNECTIONS: usize = 1000;
/// Of connection and handshake; a longer `connectionTimeout` would outlast the call.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_dex_reads_them() {
        let read = |host, port| Address::parse(host, port, 5432, |path, port| path.join(port.to_string()));
        let tcp = |host: &str, port| Some(Address::Tcp(host.to_owned(), port));
        assert_eq!(read("db", None), tcp("db", 5432));
        assert_eq!(read("db:6000", None), tcp("db", 6000));
        assert_eq!(read("db:6000", Some(7000)), tcp("db", 7000));
        assert_eq!(read("::1", None), tcp("::1", 5432));
        assert_eq!(read("[::1]:6000", None), tcp("::1", 6000));
        assert_eq!(read("/run/db", Some(1)), Some(Address::Local(PathBuf::from("/run/db/1"))));
        for bad in ["", ":5432", "db:x", "db:99999", "[::1", "[::1]x"] {
            assert_eq!(read(bad, None), None, "{bad}");
        }
    }
}
