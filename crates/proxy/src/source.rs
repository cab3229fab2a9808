//! Who sent a request, behind the proxies that the operator trusts.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HeaderName;

/// Ranges of addresses, of proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Range>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    network: u128,
    bits: u32,
}

impl TrustedProxies {
    /// Reads ranges such as `10.0.0.0/8`; an address alone is a range of one. The error is the range that is none.
    ///
    /// # Errors
    /// What is no range.
    pub fn read<'a>(ranges: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let one =
            |text: &'a str| Range::read(text).ok_or_else(|| format!("{text:?} is no range of addresses"));
        ranges.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whose request it is. The addresses of the header were appended one by one, so they are walked from the right, and the
    /// first that is not a trusted proxy's is the client's; left of it anybody may have written anything.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default());
        let written = lines.collect::<Vec<_>>().join(",");
        for text in written.split(',').rev().map(str::trim) {
            let Ok(address) = text.parse::<IpAddr>() else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.holds(address))
    }
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width))?;
        Some(Self { network: number(address), bits: bits + 128 - width })
    }

    fn holds(self, address: IpAddr) -> bool {
        let differs = self.network ^ number(address);
        self.bits == 0 || differs >> (128 - self.bits) == 0
    }
}

/// IPv4 addresses as IPv6 writes them.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits(),
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = TrustedProxies::read(trusted.iter().copied()).unwrap();
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn attack_22_only_trusted_proxies_are_believed_and_only_from_the_right() {
        for (trusted, peer, lines, found) in [
            (&[][..], "10.0.0.1", &["1.2.3.4"][..], "10.0.0.1"),
            (&["10.0.0.0/8"], "11.0.0.1", &["1.2.3.4"], "11.0.0.1"),
            (&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            (&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            (&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            (&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9, garbage, 10.0.0.2"], "10.0.0.2"),
            (&["10.0.0.0/8"], "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["10.0.0.0/8"], "10.0.0.1", &[], "10.0.0.1"),
            (&["10.0.0.0/8"], "::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            (&["fd00::/8", "10.0.0.1"], "fd12::1", &["1.2.3.4, 10.0.0.1"], "1.2.3.4"),
            (&["0.0.0.0/0"], "8.8.8.8", &["1.2.3.4"], "1.2.3.4"),
            (&["0.0.0.0/0"], "fd00::1", &["1.2.3.4"], "fd00::1"),
        ] {
            assert_eq!(client(trusted, peer, lines), found, "{trusted:?} {peer} {lines:?}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0.0/x", "host", "::/129", "10.0.0.0/-1"] {
            assert!(TrustedProxies::read([bad]).is_err(), "{bad}");
        }
    }
}
