//! Whom we believe to be who they say: TLS from our side.

use std::sync::{Arc, OnceLock};

use ambient::Secret;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, TrustAnchor, UnixTime};

use crate::authority::AuthorityFile;

/// What a TLS client believes and shows.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Whose certificates are believed.
    pub roots: Roots,
    /// The certificate that we show when asked for one.
    pub identity: Option<Identity>,
    /// Believe anybody (`insecureSkipVerify`). Warned about whenever such a configuration is made.
    pub skip_verify: bool,
    /// Believe a certificate of these roots whatever name it is for (`verify-ca` of databases).
    pub any_name: bool,
}

/// Whose certificates are believed. PEM bundles.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// The machine's.
    #[default]
    System,
    /// The machine's and these.
    SystemAnd(Vec<u8>),
    /// These alone.
    Only(Vec<u8>),
    /// Those of a file alone, as it is now.
    File(Arc<AuthorityFile>),
}

/// A client certificate.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, then its intermediates: PEM.
    pub chain_pem: Vec<u8>,
    /// The private key: PEM.
    pub key_pem: Secret<Vec<u8>>,
}

/// What is offered in the handshake (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocols {
    /// HTTP/2, else HTTP/1.1.
    #[default]
    Both,
    /// HTTP/1.1 alone: upgrades (SPDY, WebSocket) do not exist in HTTP/2.
    Http1,
    /// No ALPN: not HTTP.
    Raw,
}

/// A trust configuration that cannot be used; the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum BadTrust {
    /// Not PEM, or PEM that holds no certificate.
    #[error("the CA bundle holds no certificate that can be read")]
    NoCertificate,
    /// One of the certificates is malformed.
    #[error("a certificate of the CA bundle cannot be used: {0}")]
    Certificate(rustls::Error),
    /// Certificate and key are unreadable or do not belong together.
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    /// No cipher suites for the protocol versions.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl Trust {
    /// Trusts the machine's roots, or only those of `pem` if there is one.
    pub fn only(pem: Option<Vec<u8>>) -> Self {
        Self { roots: pem.map_or(Roots::System, Roots::Only), ..Self::default() }
    }

    /// The rustls configuration for it.
    ///
    /// # Errors
    /// [`BadTrust`]: a bundle, certificate or key that cannot be used.
    pub fn client_config(&self, protocols: Protocols) -> Result<Arc<ClientConfig>, BadTrust> {
        self.client_config_with(self.believed()?, protocols)
    }

    /// Who is believed; `None`: anybody.
    pub(crate) fn believed(&self) -> Result<Option<Arc<Believed>>, BadTrust> {
        Ok(match &self.roots {
            _ if self.skip_verify => None,
            Roots::System if !self.any_name => Some(system()),
            Roots::System => Some(Arc::new(Believed::fixed(Vec::new(), true))),
            Roots::SystemAnd(pem) => Some(Arc::new(Believed::fixed(named(pem)?, true))),
            Roots::Only(pem) => Some(Arc::new(Believed::fixed(named(pem)?, false))),
            Roots::File(file) => Some(Arc::new(Believed::File(Arc::clone(file)))),
        })
    }

    pub(crate) fn client_config_with(
        &self,
        believed: Option<Arc<Believed>>,
        protocols: Protocols,
    ) -> Result<Arc<ClientConfig>, BadTrust> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(BadTrust::Setup)?;
        let verifier: Arc<dyn ServerCertVerifier> = if let Some(believed) = believed {
            if self.any_name { Arc::new(AnyName(believed)) } else { believed }
        } else {
            tracing::warn!(
                "a TLS client is configured with insecureSkipVerify: anybody can pose as its peer"
            );
            Arc::new(Anybody(provider()))
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|e| BadTrust::Identity(e.to_string()))?
            }
        };
        config.alpn_protocols = match protocols {
            Protocols::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocols::Http1 => vec![b"http/1.1".to_vec()],
            Protocols::Raw => Vec::new(),
        };
        Ok(Arc::new(config))
    }
}

/// The authorities of a bundle, at least one.
fn named(pem: &[u8]) -> Result<Vec<TrustAnchor<'static>>, BadTrust> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| BadTrust::NoCertificate)?;
        store.add(certificate).map_err(BadTrust::Certificate)?;
    }
    if store.is_empty() { Err(BadTrust::NoCertificate) } else { Ok(store.roots) }
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), BadTrust> {
        let chain = CertificateDer::pem_slice_iter(&self.chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| BadTrust::Identity(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.expose())
            .map_err(|_| BadTrust::Identity("its key is not a PEM private key".into()))?;
        Ok((chain, key))
    }
}

/// The verifier of `insecureSkipVerify`: the handshake's signatures are checked, the certificate is not.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The verifier of `verify-ca`: everything is checked but whose certificate it is.
#[derive(Debug)]
struct AnyName(Arc<Believed>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // rustls looks at the name last: who fails there has passed everything else.
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The authorities that a client believes.
#[derive(Debug)]
pub(crate) enum Believed {
    Fixed(Fixed),
    File(Arc<AuthorityFile>),
}

/// The machine's are read at the first handshake and not before: some hundred files, for which neither the start nor a process
/// without https should wait.
#[derive(Debug)]
pub(crate) struct Fixed {
    named: Vec<TrustAnchor<'static>>,
    system: bool,
    read: OnceLock<Arc<Authorities>>,
}

/// Authorities as they are looked at.
#[derive(Debug)]
pub(crate) struct Authorities {
    anchors: Arc<RootCertStore>,
    /// Absent where there are no authorities at all.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl Authorities {
    pub(crate) fn read(pem: &[u8]) -> Result<Self, BadTrust> {
        Ok(Self::of(RootCertStore { roots: named(pem)? }))
    }

    fn of(store: RootCertStore) -> Self {
        let anchors = Arc::new(store);
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::clone(&anchors), provider());
        Self { anchors, verifier: builder.build().ok() }
    }
}

impl Believed {
    const fn fixed(named: Vec<TrustAnchor<'static>>, system: bool) -> Self {
        Self::Fixed(Fixed { named, system, read: OnceLock::new() })
    }

    /// All of them.
    pub(crate) fn anchors(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.now().anchors)
    }

    fn now(&self) -> Arc<Authorities> {
        match self {
            Self::Fixed(fixed) => Arc::clone(fixed.read.get_or_init(|| Arc::new(fixed.look()))),
            Self::File(file) => file.current(),
        }
    }

    /// No authorities: nobody is believed.
    fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let verifier = self.now().verifier.clone();
        verifier.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }
}

impl Fixed {
    fn look(&self) -> Authorities {
        let mut store = RootCertStore { roots: self.named.clone() };
        if self.system {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.len() == self.named.len() {
                tracing::warn!(
                    "this machine has no trusted root certificates: https works only where a CA is configured"
                );
            }
        }
        Authorities::of(store)
    }
}

impl ServerCertVerifier for Believed {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier()?.verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()?.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Shared by whoever believes the machine's alone: they are the largest thing a client would hold.
fn system() -> Arc<Believed> {
    static SYSTEM: OnceLock<Arc<Believed>> = OnceLock::new();
    Arc::clone(SYSTEM.get_or_init(|| Arc::new(Believed::fixed(Vec::new(), true))))
}

/// The one cryptography provider, handed over explicitly so that no global decides.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}
