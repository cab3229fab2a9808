//! Kubernetes' library of IP addresses. Zones and IPv4 addresses within IPv6 ones are refused, as there.

use std::net::IpAddr;

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::foreign::Foreign;
use crate::shape::Shape::{Bool, Foreign as Of, Int, String};
use crate::types::ForeignType::{Cidr, Ip};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("ip", Style::Global, &[gives(&[String], Of(Ip))], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => parsed(text).map(|address| Value::from(Foreign::Ip(address))),
        _ => Err(mismatch(args)),
    }),
    row("isIP", Style::Global, &[gives(&[String], Bool)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::Bool(parse(text).is_some())),
        _ => Err(mismatch(args)),
    }),
    row("ip.isCanonical", Style::Global, &[gives(&[String], Bool)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::Bool(parsed(text)?.to_string() == text.as_ref())),
        _ => Err(mismatch(args)),
    }),
    row("family", Style::Member, &[gives(&[Of(Ip)], Int)], Cost::Step, |args, _| {
        of(args, |address| Value::Int(if address.is_ipv4() { 4 } else { 6 }))
    }),
    row("isUnspecified", Style::Member, TESTED, Cost::Step, |args, _| test(args, |a| a.is_unspecified())),
    row("isLoopback", Style::Member, TESTED, Cost::Step, |args, _| test(args, |a| a.is_loopback())),
    row("isLinkLocalMulticast", Style::Member, TESTED, Cost::Step, |args, _| {
        test(args, is_link_local_multicast)
    }),
    row("isLinkLocalUnicast", Style::Member, TESTED, Cost::Step, |args, _| test(args, is_link_local_unicast)),
    row("isGlobalUnicast", Style::Member, TESTED, Cost::Step, |args, _| test(args, is_global_unicast)),
    row("ip", Style::Member, &[gives(&[Of(Cidr)], Of(Ip))], Cost::Step, cidr_address),
];

const TESTED: &[Overload] = &[gives(&[Of(Ip)], Bool)];

pub(super) fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?;
    // `::ffff:10.0.0.1` would be two addresses at once.
    let mapped = matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    (!mapped).then_some(address)
}

pub(super) fn parsed(text: &str) -> Result<IpAddr, Problem> {
    parse(text).ok_or(Problem::Malformed("IP address"))
}

fn cidr_address<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let [Value::Foreign(foreign)] = args else { return Err(mismatch(args)) };
    let Foreign::Cidr(range) = foreign.as_ref() else { return Err(mismatch(args)) };
    Ok(Value::from(Foreign::Ip(range.address)))
}

fn of<'a>(args: &[Value<'a>], run: impl Fn(IpAddr) -> Value<'a>) -> Answer<'a> {
    let [Value::Foreign(foreign)] = args else { return Err(mismatch(args)) };
    let Foreign::Ip(address) = foreign.as_ref() else { return Err(mismatch(args)) };
    Ok(run(*address))
}

fn test<'a>(args: &[Value<'a>], holds: fn(IpAddr) -> bool) -> Answer<'a> {
    of(args, |address| Value::Bool(holds(address)))
}

const fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => matches!(four.octets(), [224, 0, 0, _]),
        IpAddr::V6(six) => six.segments()[0] & 0xff0f == 0xff02,
    }
}

const fn is_link_local_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// Go's notion, which includes private addresses.
fn is_global_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(four) if four.is_broadcast());
    !broadcast
        && !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && !is_link_local_unicast(address)
}
