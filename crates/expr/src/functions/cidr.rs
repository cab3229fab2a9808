//! Kubernetes' library of ranges of IP addresses.

use std::fmt;
use std::net::IpAddr;

use super::ip::parsed;
use super::{Answer, Cost, Function, Style, gives, ip, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::foreign::Foreign;
use crate::shape::Shape::{Bool, Foreign as Of, Int, String};
use crate::types::ForeignType::{self, Ip};
use crate::value::Value;

/// An address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub(super) address: IpAddr,
    bits: u8,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address = ip::parse(address)?;
        let plain = bits.bytes().all(|b| b.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse::<u8>().ok().filter(|bits| plain && *bits <= most)?;
        Some(Self { address, bits })
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((u32::from(four) & mask).into())
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V6((u128::from(six) & mask).into())
            }
        };
        Self { address, bits: self.bits }
    }

    fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Self { address, bits: self.bits }.masked().address == self.masked().address
    }

    fn contains_range(self, other: Self) -> bool {
        other.bits >= self.bits && self.contains(other.address)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

pub(super) const TABLE: &[Function] = &[
    row("cidr", Style::Global, &[gives(&[String], Of(RANGE))], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => range(text).map(|range| Value::from(Foreign::Cidr(range))),
        _ => Err(mismatch(args)),
    }),
    row("isCIDR", Style::Global, &[gives(&[String], Bool)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::Bool(Cidr::parse(text).is_some())),
        _ => Err(mismatch(args)),
    }),
    row(
        "containsIP",
        Style::Member,
        &[gives(&[Of(RANGE), String], Bool), gives(&[Of(RANGE), Of(Ip)], Bool)],
        Cost::Reads,
        contains_address,
    ),
    row(
        "containsCIDR",
        Style::Member,
        &[gives(&[Of(RANGE), String], Bool), gives(&[Of(RANGE), Of(RANGE)], Bool)],
        Cost::Reads,
        contains_range,
    ),
    row("prefixLength", Style::Member, &[gives(&[Of(RANGE)], Int)], Cost::Step, |args, _| {
        Ok(Value::Int(first(args)?.bits.into()))
    }),
    row("masked", Style::Member, &[gives(&[Of(RANGE)], Of(RANGE))], Cost::Step, |args, _| {
        Ok(Value::from(Foreign::Cidr(first(args)?.masked())))
    }),
];

const RANGE: ForeignType = ForeignType::Cidr;

fn range(text: &str) -> Result<Cidr, Problem> {
    Cidr::parse(text).ok_or(Problem::Malformed("CIDR"))
}

fn first(args: &[Value<'_>]) -> Result<Cidr, Problem> {
    match args.first() {
        Some(Value::Foreign(foreign)) => match foreign.as_ref() {
            Foreign::Cidr(range) => Ok(*range),
            _ => Err(mismatch(args)),
        },
        _ => Err(mismatch(args)),
    }
}

fn contains_address<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let range = first(args)?;
    let address = match args.get(1) {
        Some(Value::Str(text)) => parsed(text)?,
        Some(Value::Foreign(foreign)) => match foreign.as_ref() {
            Foreign::Ip(address) => *address,
            _ => return Err(mismatch(args)),
        },
        _ => return Err(mismatch(args)),
    };
    Ok(Value::Bool(range.contains(address)))
}

fn contains_range<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let outer = first(args)?;
    let inner = match args.get(1) {
        Some(Value::Str(text)) => range(text)?,
        Some(other) => first(std::slice::from_ref(other))?,
        None => return Err(mismatch(args)),
    };
    Ok(Value::Bool(outer.contains_range(inner)))
}
