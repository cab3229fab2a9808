//! The address a request comes from: the connection's, or what trusted proxies say (`web.clientRemoteIP`).

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};
pub use config::Network;

/// How to find it. Without trusted proxies no header is believed.
#[derive(Debug, Clone, Default)]
pub struct ClientAddress {
    /// The header that the proxies append to.
    pub header: Option<HeaderName>,
    /// The proxies' networks.
    pub trusted: Vec<Network>,
}

impl ClientAddress {
    /// The rightmost hop that is not one of our proxies.
    pub(crate) fn of(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let connection = connection.to_canonical();
        let Some(name) = self.header.as_ref().filter(|_| self.trusts(connection)) else { return connection };
        let mut nearest = connection;
        // A hop that cannot be read ends the walk; it does not hide those that stand behind it.
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            let Ok(hop) = hop.trim().parse::<IpAddr>() else { return nearest };
            nearest = hop.to_canonical();
            if !self.trusts(nearest) {
                return nearest;
            }
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(connection: &str, forwarded: &[&str]) -> String {
        let setting = ClientAddress {
            header: Some(HeaderName::from_static("x-forwarded-for")),
            trusted: vec![Network::parse("10.0.0.0/8").unwrap(), Network::parse("fd00::/8").unwrap()],
        };
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        setting.of(connection.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn attack_22_only_trusted_proxies_are_believed() {
        assert_eq!(of("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(of("10.1.1.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("10.1.1.1", &["1.1.1.1, 203.0.113.9, 10.2.2.2"]), "203.0.113.9");
        assert_eq!(of("10.1.1.1", &["1.1.1.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("10.1.1.1", &["\u{ff}, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("10.1.1.1", &["1.1.1.1", "\u{ff}"]), "10.1.1.1");
        assert_eq!(of("::ffff:10.1.1.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("10.1.1.1", &["203.0.113.9, garbage"]), "10.1.1.1");
        assert_eq!(of("10.1.1.1", &[]), "10.1.1.1");
    }

    #[test]
    fn networks() {
        assert!(
            Network::parse("10.0.0.0/33").is_none()
                && Network::parse("x").is_none()
                && Network::parse("10.0.0.0/").is_none()
        );
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("9.9.9.9".parse().unwrap()));
        assert!(!Network::parse("192.0.2.1").unwrap().contains("192.0.2.2".parse().unwrap()));
    }
}
