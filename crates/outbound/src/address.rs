//! Which addresses may be reached: the guard's table. The rules around it are in the crate's header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Routed on the public Internet.
    Public,
    /// Usable, but only inside some network: loopback, private, shared, documentation and reserved ranges.
    Private,
    /// Not to be connected to, and why.
    Never(&'static str),
}

/// How far a connection may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Public addresses and private ones: the operator wrote the URL.
    Anywhere,
    /// Public addresses only: a document named the URL.
    PublicOnly,
}

/// Judges one address. An IPv6 address that carries an IPv4 address is at most as reachable as what it carries.
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// The addresses of one host that may be connected to.
///
/// # Errors
/// Which rule leaves none.
pub(crate) fn admit(resolved: Vec<IpAddr>, reach: Reach) -> Result<Vec<IpAddr>, &'static str> {
    let (mut public, mut private, mut never) = (Vec::new(), Vec::new(), None);
    for address in resolved {
        match classify(address) {
            Class::Public => public.push(address),
            Class::Private => private.push(address),
            Class::Never(reason) => never = Some(reason),
        }
    }
    match (public.is_empty(), private.is_empty(), reach) {
        (false, _, _) => Ok(public),
        (true, false, Reach::Anywhere) => Ok(private),
        (true, false, Reach::PublicOnly) => {
            Err("a document may not name a private address unless the configured host is private")
        }
        (true, true, _) => Err(never.unwrap_or("the name has no address")),
    }
}

/// Names under which clouds serve credentials. Their addresses are refused too; the names are for resolvers that
/// answer with something else.
pub(crate) fn is_metadata_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"]
        .iter()
        .any(|name| host.eq_ignore_ascii_case(name))
}

fn classify_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] => Class::Never(UNSPECIFIED),
        [169, 254, ..] => Class::Never(LINK_LOCAL),
        // Alibaba Cloud, Azure's host agent, Oracle Cloud.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Class::Never(METADATA),
        [224..=239, ..] => Class::Never(MULTICAST),
        [255, 255, 255, 255] => Class::Never(BROADCAST),
        [10 | 127, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        // IETF assignments, documentation, the retired 6to4 relay, benchmarks (RFC 6890).
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        // Reserved; some clouds give it to pods.
        | [240..=255, ..] => Class::Private,
        _ => Class::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    if address.is_unspecified() {
        return Class::Never(UNSPECIFIED);
    }
    if address.is_loopback() {
        return Class::Private;
    }
    let carried = carried_v4(address);
    if let Some(never) =
        carried.iter().flatten().map(|v4| classify_v4(*v4)).find(|c| matches!(c, Class::Never(_)))
    {
        return never;
    }
    let own = match address.segments() {
        [0xff00..=0xffff, ..] => Class::Never(MULTICAST),
        [0xfe80..=0xfebf, ..] => Class::Never(LINK_LOCAL),
        // AWS (metadata, pod identity and their neighbours), Google Cloud.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Class::Never(METADATA),
        // Documentation (RFC 3849, RFC 9637).
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Private,
        // IETF assignments (RFC 6890), without Teredo, which is judged by what it carries.
        [0x2001, 1..=0x01ff, ..] => Class::Private,
        [0x2000..=0x3fff, ..] => Class::Public,
        // IPv4 in other clothes, but not the local translation prefix (RFC 8215).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => {
            Class::Public
        }
        _ => Class::Private,
    };
    if carried.iter().flatten().any(|v4| classify_v4(*v4) == Class::Private) && own == Class::Public {
        return Class::Private;
    }
    own
}

/// The IPv4 addresses that an IPv6 address carries for whoever translates it.
fn carried_v4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let join = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        // Compatible, mapped, translated (RFC 4291, RFC 2765), NAT64's well-known prefix (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => [join(high, low), None],
        // NAT64's local prefix (RFC 8215), which networks cut to 96 or 48 bits (RFC 6052 section 2.2).
        // One of the two readings is often all zeros, which then says nothing.
        [0x0064, 0xff9b, 1, first, second, third, high, low] => {
            [join(high, low), join(first, (second << 8) | (third >> 8))]
                .map(|v4| v4.filter(|v4| !v4.is_unspecified()))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [join(high, low), None],
        // Teredo (RFC 4380): its server, and its client with all bits turned.
        [0x2001, 0, high, low, _, _, turned_high, turned_low] => {
            [join(high, low), join(!turned_high, !turned_low)]
        }
        _ => [None, None],
    }
}

const UNSPECIFIED: &str = "the address is unspecified";
const LINK_LOCAL: &str = "the address is link-local, where metadata services are";
const METADATA: &str = "the address belongs to a metadata service";
const MULTICAST: &str = "the address is a multicast address";
const BROADCAST: &str = "the address is the broadcast address";

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        classify(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    #[test]
    fn attack_12_never_addresses_in_every_dress() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::ffff:100.100.100.200",
            "::ffff:0.0.0.0",
            "::ffff:255.255.255.255",
            "64:ff9b::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::169.254.169.254",
            // The same in the 48-bit cut: 169.254 | u-octet | 169.254.
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2002:c000:c0::",
            "2002:e000:1::1",
            // Teredo: metadata as the server, then as the client (turned).
            "2001:0:a9fe:a9fe::1",
            "2001:0:808:808:0:0:5601:5601",
        ] {
            assert!(matches!(class(text), Class::Never(_)), "{text}: {:?}", class(text));
        }
    }

    #[test]
    fn attack_12_private_addresses_in_every_dress() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "240.0.0.1",
            "255.255.255.254",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "2001:2::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:192.168.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001:0:808:808:0:0:f5ff:fffe",
        ] {
            assert_eq!(class(text), Class::Private, "{text}");
        }
    }

    #[test]
    fn neighbours_of_special_ranges_stay_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }

    #[test]
    fn public_answers_win_and_never_answers_drop_out() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mixed = vec![ip("10.0.0.1"), ip("8.8.8.8"), ip("169.254.169.254")];
        assert_eq!(admit(mixed.clone(), Reach::Anywhere), Ok(vec![ip("8.8.8.8")]));
        assert_eq!(admit(mixed, Reach::PublicOnly), Ok(vec![ip("8.8.8.8")]));
        assert_eq!(admit(vec![ip("10.0.0.1"), ip("0.0.0.0")], Reach::Anywhere), Ok(vec![ip("10.0.0.1")]));
        assert!(admit(vec![ip("10.0.0.1")], Reach::PublicOnly).is_err());
        assert_eq!(admit(vec![ip("fe80::1")], Reach::Anywhere), Err(LINK_LOCAL));
        assert!(admit(Vec::new(), Reach::Anywhere).is_err());
    }

    #[test]
    fn attack_12_metadata_names() {
        for name in ["metadata", "METADATA.google.internal", "metadata.google.internal.", "instance-data"] {
            assert!(is_metadata_name(name), "{name}");
        }
        assert!(!is_metadata_name("metadata.example.com"));
    }
}
