//! The server's certificate: read from PEM, replaced while serving, never lost to a bad file.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ambient::{Clock, Observer, Secret};
use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use tokio::sync::Notify;

use crate::listener::Event;
use crate::suites;

/// TLS for a listener. Handshakes take the certificate that is current when they happen.
pub struct ServerTls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

/// What is offered in handshakes.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// The versions that are spoken.
    pub versions: Versions,
    /// TLS 1.2's cipher suites, by the names that Go has for them; all that there are if empty. TLS 1.3's are not chosen.
    pub suites: Vec<String>,
    /// Who serves other names than the rest.
    pub others: Vec<Other>,
}

/// A certificate for some names.
#[derive(Debug, Clone)]
pub struct Other {
    /// The names, or `*.` and what comes after one label; those of the certificate if empty.
    pub names: Vec<String>,
    /// The certificate.
    pub tls: Arc<ServerTls>,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate, then its intermediates.
    pub chain_pem: Vec<u8>,
    /// The private key.
    pub key_pem: Secret<Vec<u8>>,
}

/// Where a [`Pair`] is kept.
#[derive(Debug, Clone)]
pub struct PairFiles {
    /// The certificate, then its intermediates.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A TLS version. Older ones do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}

/// The versions that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: TlsVersion,
    /// The highest.
    pub max: TlsVersion,
}

/// A pair that cannot serve; the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum BadPair {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No certificate in the chain.
    #[error("the certificate file holds no PEM certificate that can be read")]
    Chain,
    /// No authority that callers' certificates could come from.
    #[error("the file of client authorities holds no PEM certificate that can be used")]
    Authority,
    /// No private key.
    #[error("the key file holds no PEM private key that can be read")]
    Key,
    /// Key and certificate do not belong together, or cannot be used.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(rustls::Error),
    /// A cipher suite that is not spoken.
    #[error("the cipher suite {0:?} is not offered; choose from {1}")]
    Suite(String, String),
    /// The lowest version is above the highest.
    #[error("the lowest TLS version is above the highest")]
    Versions,
}

#[derive(Debug)]
struct Current {
    own: ArcSwap<CertifiedKey>,
    others: Vec<Other>,
}

impl Default for Versions {
    fn default() -> Self {
        Self { min: TlsVersion::V1_2, max: TlsVersion::V1_3 }
    }
}

impl ServerTls {
    /// Serves `pair` in HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`BadPair`]; see there.
    pub fn new(pair: &Pair, versions: Versions) -> Result<Self, BadPair> {
        Self::offering(pair, Offer { versions, ..Offer::default() })
    }

    /// The same, with more to choose.
    ///
    /// # Errors
    /// [`BadPair`]; see there.
    pub fn offering(pair: &Pair, offer: Offer) -> Result<Self, BadPair> {
        Self::with(pair, offer, Arc::new(NoClientAuth))
    }

    /// The same, for callers alone that show a certificate of one of these authorities (PEM).
    ///
    /// # Errors
    /// [`BadPair`]; see there.
    pub fn mutual(pair: &Pair, versions: Versions, authorities_pem: &[u8]) -> Result<Self, BadPair> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(authorities_pem) {
            let authority = authority.map_err(|_| BadPair::Authority)?;
            roots.add(authority).map_err(|_| BadPair::Authority)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let offer = Offer { versions, ..Offer::default() };
        Self::with(pair, offer, verifier.map_err(|_| BadPair::Authority)?)
    }

    fn with(pair: &Pair, offer: Offer, callers: Arc<dyn ClientCertVerifier>) -> Result<Self, BadPair> {
        let Offer { versions, suites, others } = offer;
        let spoken = match (versions.min, versions.max) {
            (TlsVersion::V1_2, TlsVersion::V1_2) => &[&TLS12][..],
            (TlsVersion::V1_2, TlsVersion::V1_3) => &[&TLS13, &TLS12],
            (TlsVersion::V1_3, TlsVersion::V1_3) => &[&TLS13],
            (TlsVersion::V1_3, TlsVersion::V1_2) => return Err(BadPair::Versions),
        };
        let current = Arc::new(Current { own: ArcSwap::from_pointee(pair.read()?), others });
        let mut config = ServerConfig::builder_with_provider(suites::choose(&provider(), &suites)?)
            .with_protocol_versions(spoken)
            .map_err(BadPair::Unusable)?
            .with_client_cert_verifier(callers)
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), current })
    }

    /// Serves `pair` from the next handshake on.
    ///
    /// # Errors
    /// [`BadPair`]: nothing has changed.
    pub fn replace(&self, pair: &Pair) -> Result<(), BadPair> {
        self.current.own.store(Arc::new(pair.read()?));
        Ok(())
    }

    /// Looks at the files again and again and takes over what changed, until it is dropped. Their content is compared and not
    /// their times: Kubernetes swaps a symbolic link above them. `serving` is what is served now. Chain and key are replaced one
    /// after the other by some; the pair that does not match in between is refused, and the next look finds them whole.
    /// `look` asks for a look at once.
    pub async fn follow(
        self: Arc<Self>,
        files: PairFiles,
        serving: Pair,
        clock: Arc<dyn Clock>,
        look: Arc<Notify>,
        observer: Arc<dyn Observer<Event>>,
    ) {
        let mut seen = Ok(serving);
        loop {
            tokio::select! {
                () = clock.sleep(LOOK_AGAIN) => {}
                () = look.notified() => {}
            }
            let found = files.read().map_err(|error| error.to_string());
            if same(&found, &seen) {
                continue;
            }
            let taken = match &found {
                Ok(pair) => self.replace(pair).map_err(|error| error.to_string()),
                Err(reason) => Err(reason.clone()),
            };
            observer.observe(&match taken {
                Ok(()) => Event::PairReplaced,
                Err(reason) => Event::PairRefused(reason),
            });
            seen = found;
        }
    }

    /// Whether the certificate has this name.
    fn is_named(&self, name: &str) -> bool {
        let key = self.current.own.load();
        let certificate = key.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        let name = ServerName::try_from(name).ok();
        certificate.zip(name).is_some_and(|(leaf, name)| verify_server_name(&leaf, &name).is_ok())
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl PairFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// [`BadPair::File`].
    pub fn read(&self) -> Result<Pair, BadPair> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| BadPair::File { path: path.clone(), source })
        };
        Ok(Pair { chain_pem: read(&self.chain)?, key_pem: Secret::new(read(&self.key)?) })
    }
}

impl Pair {
    fn read(&self) -> Result<CertifiedKey, BadPair> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|_| BadPair::Chain)?;
        if chain.is_empty() {
            return Err(BadPair::Chain);
        }
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.expose()).map_err(|_| BadPair::Key)?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(BadPair::Unusable)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let other = hello.server_name().and_then(|name| choose(&self.others, name));
        Some(other.map_or(&self.own, |other| &other.tls.current.own).load_full())
    }
}

/// Names that are written down count before those of certificates, and whole ones before patterns, as in the API server.
fn choose<'a>(others: &'a [Other], name: &str) -> Option<&'a Other> {
    let written =
        |whole: bool| move |other: &&Other| other.names.iter().any(|pattern| is_for(pattern, name, whole));
    let mut all = others.iter();
    (all.clone().find(written(true)))
        .or_else(|| all.clone().find(written(false)))
        .or_else(|| all.find(|other| other.names.is_empty() && other.tls.is_named(name)))
}

fn is_for(pattern: &str, name: &str, whole: bool) -> bool {
    match (pattern.strip_prefix("*."), whole) {
        (Some(rest), false) => {
            name.split_once('.').is_some_and(|(_, after)| after.eq_ignore_ascii_case(rest))
        }
        (None, true) => pattern.eq_ignore_ascii_case(name),
        _ => false,
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Whether two looks at the files saw the same; a fault that stays is reported once.
fn same(one: &Result<Pair, String>, other: &Result<Pair, String>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            one.chain_pem == other.chain_pem && one.key_pem.expose() == other.key_pem.expose()
        }
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

/// The one cryptography provider, handed over explicitly so that no global decides.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

const LOOK_AGAIN: Duration = Duration::from_secs(10);
