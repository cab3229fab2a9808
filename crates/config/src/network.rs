//! Networks, as lists of whom to believe name them.

use std::net::IpAddr;

use crate::field::Field;
use crate::read::{Kind, Read};

/// A network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        Some(Self { address, bits })
    }

    /// Whether an address lies in it. An IPv4 address in IPv6 clothes is taken for what it is.
    pub fn contains(self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128 - self.bits),
            _ => false,
        }
    }
}

fn same(left: u128, right: u128, ignored: u32) -> bool {
    (left ^ right).checked_shr(ignored).unwrap_or(0) == 0
}

impl Read for Network {
    const KIND: Kind = Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.string()?;
        let network = Self::parse(&text);
        if network.is_none() {
            field.error(
                format!("is {text:?}, which is no network"),
                "write it as 10.0.0.0/8, fd00::/8 or one address",
            );
        }
        network
    }
}
