//! HTTP by hand: tests here say what goes over the wire to the byte, and see what comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

/// A way to a listener.
#[derive(Clone)]
pub(crate) struct Wire {
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Wire {
    pub(crate) const fn plain(port: u16) -> Self {
        Self { port, tls: None }
    }

    pub(crate) fn tls(port: u16, ca_pem: &str) -> Self {
        Self::tls_of(port, ca_pem, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    pub(crate) fn tls_of(port: u16, ca_pem: &str, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self { port, tls: Some(Arc::new(config)) }
    }

    /// A connection, if somebody listens.
    #[expect(clippy::disallowed_methods, reason = "the test is the other end of the wire")]
    pub(crate) fn raw(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(stream)
    }

    /// A connection that is ready for a request.
    pub(crate) fn open(&self) -> Option<Box<dyn Stream>> {
        let stream = self.raw()?;
        let Some(config) = &self.tls else { return Some(Box::new(stream)) };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        Some(Box::new(StreamOwned::new(connection, stream)))
    }

    /// Sends these bytes and reads until the other end closes.
    pub(crate) fn send(&self, request: &[u8]) -> Option<Answer> {
        let mut stream = self.open()?;
        // The other end may refuse and close before everything is sent.
        let _ = stream.write_all(request);
        read(&mut *stream)
    }

    pub(crate) fn get(&self, path: &str) -> Option<Answer> {
        self.get_with(path, "")
    }

    /// With more header lines, each ended by a line feed.
    pub(crate) fn get_with(&self, path: &str, lines: &str) -> Option<Answer> {
        self.send(
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{lines}\r\n").as_bytes(),
        )
    }

    pub(crate) fn post(&self, path: &str, form: &str) -> Option<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        );
        self.send(head.as_bytes())
    }
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One answer, to the end of the connection.
pub(crate) fn read(stream: &mut dyn Stream) -> Option<Answer> {
    let mut raw = Vec::new();
    let mut piece = [0; 4096];
    // A reset after the answer (the rest of a refused request) takes nothing away from it.
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        raw.extend_from_slice(&piece[..count]);
    }
    let text = String::from_utf8(raw).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.replace("\r\n", "\n"), body: whole(head, body) })
}

/// The body without its chunks' sizes.
fn whole(head: &str, body: &str) -> String {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(after.get(..size).unwrap());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    out
}

/// Only a hung server takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
