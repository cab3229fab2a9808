//! `web` and `frontend` (dex.md 2.2).

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::{HeaderName, HeaderValue, header};
use config::{Fields, Read as _};
use inbound::{TlsVersion, Versions};

use crate::client_address::{ClientAddress, Network};
use crate::theme::Frontend;

/// What the web listeners are told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: Listen,
    /// Origins whose scripts may call us.
    pub allowed_origins: Vec<String>,
    /// Headers they may send.
    pub allowed_headers: Vec<String>,
    /// Headers of every answer.
    pub headers: Headers,
    /// Whose word counts for client addresses.
    pub client_address: ClientAddress,
    /// How pages look.
    pub frontend: Frontend,
}

/// Addresses and certificates.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    /// `web.http`
    pub http: Option<SocketAddr>,
    /// `web.https`
    pub https: Option<(SocketAddr, TlsFiles)>,
}

/// Addresses from the command line, which count instead of the file's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instead {
    /// Instead of `web.http`.
    pub http: Option<SocketAddr>,
    /// Instead of `web.https`.
    pub https: Option<SocketAddr>,
}

/// `web.tlsCert`, `web.tlsKey` and the versions.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
    /// The versions spoken.
    pub versions: Versions,
}

/// Headers of every answer that has no such header yet: safe defaults, and what the configuration says.
#[derive(Debug, Clone)]
pub struct Headers {
    all: Vec<(HeaderName, HeaderValue)>,
    /// The content policy is ours, so that one page may differ from it.
    own_policy: bool,
}

impl Settings {
    /// Reads both sections.
    pub fn read(root: &mut Fields<'_>, instead: Instead) -> Self {
        let frontend = Frontend::read(root.group("frontend"));
        let mut web = root.group("web");
        let settings = Self {
            listen: Listen::read(&mut web, instead),
            allowed_origins: web.or_default("allowedOrigins"),
            allowed_headers: web
                .optional("allowedHeaders")
                .filter(|headers: &Vec<String>| !headers.is_empty())
                .unwrap_or_else(|| vec![String::from("Authorization")]),
            headers: Headers::read(web.group("headers"), frontend.logo_origin().as_deref()),
            client_address: client_address(web.group("clientRemoteIP")),
            frontend,
        };
        web.finish();
        settings
    }
}

impl Listen {
    fn read(web: &mut Fields<'_>, instead: Instead) -> Self {
        let written = web.has_text("http")
            || web.has_text("https")
            || instead.http.is_some()
            || instead.https.is_some();
        let http = address(web, "http");
        let https = address(web, "https");
        let (http, https) = (instead.http.or(http), instead.https.or(https));
        let cert = path(web, "tlsCert");
        let key = path(web, "tlsKey");
        let versions = versions(web);
        if !written {
            web.error(
                "names no address to listen on",
                "write http: 127.0.0.1:5556, or https with tlsCert and tlsKey",
            );
        }
        let https = match (https, cert, key) {
            (Some(address), Some(cert), Some(key)) => {
                Some((address, TlsFiles { cert: cert.into(), key: key.into(), versions }))
            }
            (Some(_), None, _) => {
                web.unfit("tlsCert", "https needs tlsCert and tlsKey");
                None
            }
            (Some(_), _, None) => {
                web.unfit("tlsKey", "https needs tlsCert and tlsKey");
                None
            }
            (None, ..) => None,
        };
        Self { http, https }
    }
}

impl Headers {
    fn read(mut fields: Fields<'_>, logo: Option<&str>) -> Self {
        let mut headers = Vec::new();
        let mut own_policy = true;
        for (name, default) in DEFAULT_HEADERS {
            let written: Option<String> = if FIXED.contains(&name) { None } else { fields.optional(name) };
            own_policy &= name != POLICY || written.is_none();
            let Ok(header) = name.parse::<HeaderName>() else { continue };
            let text = written.unwrap_or_else(|| match logo {
                Some(origin) => default.replace(IMAGES, &format!("{IMAGES} {origin}")),
                None => default.to_owned(),
            });
            match HeaderValue::from_str(&text) {
                Ok(_) if text.is_empty() => {}
                Ok(value) => headers.push((header, value)),
                Err(_) => fields.unfit(name, "write a header value of printable ASCII"),
            }
        }
        fields.finish();
        Self { all: headers, own_policy }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.all.iter()
    }

    /// The content policy of a page that runs our script. Where an operator wrote one, it stands: the page then has its
    /// button.
    pub(crate) fn with_script(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("{}; script-src 'self'", self.policy()?)).ok()
    }

    /// The content policy of a page with an image from elsewhere. Where an operator wrote one, it stands here too.
    pub(crate) fn with_image(&self, image: &url::Url) -> Option<HeaderValue> {
        let images = format!("{IMAGES} {}", image.origin().ascii_serialization());
        HeaderValue::from_str(&self.policy()?.replace(IMAGES, &images)).ok()
    }

    /// The content policy, if it is ours.
    fn policy(&self) -> Option<&str> {
        let named = self.all.iter().find(|(name, _)| name == header::CONTENT_SECURITY_POLICY);
        named.filter(|_| self.own_policy)?.1.to_str().ok()
    }
}

/// An address as Dex's configurations spell it: `:5556` is every interface.
pub fn socket_address(text: &str) -> Option<SocketAddr> {
    let spelled = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.replace("localhost:", "127.0.0.1:"),
    };
    spelled.parse().ok()
}

fn address(web: &mut Fields<'_>, key: &str) -> Option<SocketAddr> {
    let field = web.take(key).filter(|field| !field.is_blank())?;
    let text = String::read(&field)?;
    let parsed = socket_address(&text);
    if parsed.is_none() {
        field.error("is not host:port", "write it as 127.0.0.1:5556 or 0.0.0.0:5556");
    }
    parsed
}

fn path(web: &mut Fields<'_>, key: &str) -> Option<String> {
    web.optional(key).filter(|path: &String| !path.is_empty())
}

fn versions(web: &mut Fields<'_>) -> Versions {
    const WORDS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
    let mut one = |key: &str, default| web.one_of(key, &WORDS).unwrap_or(default);
    let (min, max) = (one("tlsMinVersion", TlsVersion::V1_2), one("tlsMaxVersion", TlsVersion::V1_3));
    if min > max {
        web.unfit("tlsMaxVersion", "it must not be below tlsMinVersion");
    }
    Versions { min, max }
}

fn client_address(mut fields: Fields<'_>) -> ClientAddress {
    let header: Option<String> = fields.optional("header").filter(|name: &String| !name.is_empty());
    let trusted: Vec<String> = fields.or_default("trustedProxies");
    let name = header.as_ref().and_then(|name| name.parse().ok());
    if header.is_some() && name.is_none() {
        fields.unfit("header", "write a header's name, such as X-Forwarded-For");
    }
    if name.is_some() && trusted.is_empty() {
        fields.warning(
            "names a header and no trusted proxies, so the header is ignored",
            "write trustedProxies",
        );
    }
    let mut networks = Vec::new();
    for text in &trusted {
        match Network::parse(text) {
            Some(network) => networks.push(network),
            None => {
                fields.unfit("trustedProxies", format!("{text:?} is no network; write it as 10.0.0.0/8"));
            }
        }
    }
    fields.finish();
    ClientAddress { header: name, trusted: networks }
}

/// Pages load style sheets, fonts and images of ours and nothing else, run nothing, and stand in nobody's frame.
const DEFAULT_HEADERS: [(&str, &str); 6] = [
    (
        POLICY,
        "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", ""),
    ("Strict-Transport-Security", ""),
    ("Referrer-Policy", "no-referrer"),
];

const POLICY: &str = "Content-Security-Policy";
const IMAGES: &str = "img-src 'self'";

/// Not among Dex's keys.
const FIXED: [&str; 1] = ["Referrer-Policy"];
