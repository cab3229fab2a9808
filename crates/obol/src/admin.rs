//! The administrators' listener: it shows the rules, so it answers on loopback alone, or to who shows a certificate of the
//! configured authority.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ambient::RandomExt as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use config::{Fields, KeyStyle};
use provider::error::Error;
use provider::grants::token_exchange::explain::{Subject, Supposed};
use provider::{Peer, Provider};
use serde::Deserialize;
use serde_json::{Value, json};

/// `admin`
pub(crate) enum Settings {
    /// Without TLS, on loopback.
    Loopback(SocketAddr),
    /// With mutual TLS.
    Mutual(SocketAddr, Files),
}

/// Certificates, PEM.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: PathBuf,
}

impl Settings {
    /// Reads the section, if there is one.
    pub(crate) fn read(root: &mut Fields<'_>) -> Option<Self> {
        let written = root.is_written("admin");
        let faults = root.faults();
        let mut fields = root.section("admin").fields(KeyStyle::Ours, faults);
        let http: Option<String> = fields.optional("http");
        let https: Option<String> = fields.optional("https");
        let cert: Option<String> = fields.optional("tlsCert");
        let key: Option<String> = fields.optional("tlsKey");
        let client_ca: Option<String> = fields.optional("clientCA");
        let settings = match (http, https) {
            (Some(http), None) => match http.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() => Some(Self::Loopback(address)),
                Ok(_) => {
                    fields.error(
                        "would show the rules to the network",
                        "write http: 127.0.0.1:5560, or https with tlsCert, tlsKey and clientCA",
                    );
                    None
                }
                Err(_) => {
                    fields.error("has an http that is not host:port", "write http: 127.0.0.1:5560");
                    None
                }
            },
            (None, Some(https)) => match (https.parse::<SocketAddr>(), cert, key, client_ca) {
                (Ok(address), Some(cert), Some(key), Some(client_ca)) => {
                    let files = Files { cert: cert.into(), key: key.into(), client_ca: client_ca.into() };
                    Some(Self::Mutual(address, files))
                }
                (Ok(_), ..) => {
                    fields.error(
                        "does not say how administrators are known",
                        "https needs tlsCert, tlsKey and clientCA",
                    );
                    None
                }
                (Err(_), ..) => {
                    fields.error("has an https that is not host:port", "write https: 0.0.0.0:5560");
                    None
                }
            },
            _ if written => {
                fields.error("must say where to listen", "write http: 127.0.0.1:5560, or https; not both");
                None
            }
            _ => None,
        };
        fields.finish();
        settings
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        match self {
            Self::Loopback(address) | Self::Mutual(address, _) => *address,
        }
    }
}

/// The routes.
pub(crate) fn service(provider: Arc<Provider>, loopback: bool) -> Router {
    Router::new()
        .route(EXPLAIN, post(explain))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Known { provider, loopback })
}

#[derive(Clone)]
struct Known {
    provider: Arc<Provider>,
    loopback: bool,
}

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    client: String,
    connector: Option<String>,
    token: Option<String>,
    claims: Option<Value>,
    #[serde(default)]
    audience: Vec<String>,
    #[serde(default)]
    scope: String,
}

async fn explain(State(known): State<Known>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(why) = from_here(&headers, known.loopback) {
        return answer(StatusCode::FORBIDDEN, &json!({ "error": "access_denied", "reason": why }));
    }
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let reason = format!("the request is not understood: {error}");
            return answer(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request", "reason": reason }));
        }
    };
    let claims = asked.claims.map(|claims| claims.to_string());
    let subject = match (&asked.token, &claims) {
        (Some(token), None) => Subject::Token(token),
        (None, Some(claims)) => Subject::Claims(claims.as_bytes()),
        _ => {
            let reason = "send either token or claims";
            return answer(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request", "reason": reason }));
        }
    };
    let around = known.provider.around();
    let peer = Peer { request_id: around.random.hex(8).into(), address: None };
    let supposed = Supposed {
        client: &asked.client,
        connector: asked.connector.as_deref(),
        subject,
        audience: asked.audience,
        scope: &asked.scope,
    };
    match known.provider.explain(&peer, supposed).await {
        Ok(explanation) => answer(StatusCode::OK, &serde_json::to_value(explanation).unwrap_or_default()),
        Err(Error::Refusal(refusal)) => {
            let told = json!({ "error": refusal.code.as_str(), "reason": refusal.reason });
            answer(StatusCode::BAD_REQUEST, &told)
        }
        Err(Error::Fault(fault)) => {
            let told = json!({ "error": "server_error", "reason": fault.to_string() });
            answer(StatusCode::SERVICE_UNAVAILABLE, &told)
        }
    }
}

/// Pages of other sites reach loopback too: by a script's request, which has an origin, or by a name of theirs that
/// resolves to this machine.
fn from_here(headers: &HeaderMap, loopback: bool) -> Result<(), &'static str> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err("this listener is not for browsers");
    }
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !json {
        return Err("the body must be application/json");
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let here = host.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || host == "localhost"
        || host.starts_with("localhost:");
    if loopback && !host.is_empty() && !here {
        return Err("the name in the URL is not this machine's loopback");
    }
    Ok(())
}

fn answer(status: StatusCode, document: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, document.to_string()).into_response()
}

/// The path that `obol policy explain --server` asks.
pub(crate) const EXPLAIN: &str = "/policy/explain";
const LARGEST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_not_answered() {
        let asked = |headers: &[(&'static str, &'static str)]| {
            let all = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
            from_here(&HeaderMap::from_iter(all), true).is_ok()
        };
        let json = ("content-type", "application/json");
        assert!(asked(&[json, ("host", "127.0.0.1:5560")]) && asked(&[json, ("host", "localhost:1")]));
        assert!(asked(&[json, ("host", "[::1]:5560")]));
        for (name, value) in [
            ("host", "evil.example:5560"),
            ("host", "localhost.evil.example"),
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            assert!(!asked(&[json, (name, value)]), "{name}: {value}");
        }
        assert!(!asked(&[("content-type", "text/plain"), ("host", "127.0.0.1")]));
    }
}
