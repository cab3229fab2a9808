//! Kubernetes' library of URLs. They are read as Go's `url.ParseRequestURI` does: absolute, or a path from the root.

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::foreign::Foreign;
use crate::shape::Shape::{Bool, Foreign as Of, List, Map, String as Text};
use crate::types::ForeignType::Url as Address;
use crate::value::Value;

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: String,
    user: Option<String>,
    host: String,
    /// As written; also what follows the scheme of a URL without a path, such as `mailto:a@b`.
    path: String,
    query: Option<String>,
}

impl Url {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return None;
        }
        if text == "*" {
            return Some(Self {
                scheme: String::new(),
                user: None,
                host: String::new(),
                path: "*".into(),
                query: None,
            });
        }
        let (scheme, rest) = scheme_of(text)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            user: None,
            host: String::new(),
            path: String::new(),
            query,
        };
        if !rest.starts_with('/') {
            // Opaque, and possible only behind a scheme; its text is no path.
            return (!scheme.is_empty()).then_some(url);
        }
        let mut path = rest;
        if !scheme.is_empty() && rest.starts_with("//") {
            let after = rest.get(2..)?;
            let end = after.find('/').unwrap_or(after.len());
            let (authority, left) = after.split_at_checked(end)?;
            (url.user, url.host) = authority_of(authority)?;
            path = left;
        }
        url.path = escaped_path(path)?;
        Some(url)
    }

    fn hostname(&self) -> &str {
        let host = self.host.as_str();
        if let Some(six) = host.strip_prefix('[') {
            return six.split_once(']').map_or(six, |(six, _)| six);
        }
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        }
    }

    fn port(&self) -> &str {
        let after = self.host.rsplit_once(']').map_or(self.host.as_str(), |(_, after)| after);
        after.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// Names and their values in order; malformed pairs are left out.
    fn pairs(&self) -> Vec<(String, Vec<String>)> {
        let mut pairs: Vec<(String, Vec<String>)> = Vec::new();
        for pair in self.query.as_deref().unwrap_or_default().split('&') {
            if pair.is_empty() || pair.contains(';') {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (unescape(name, true), unescape(value, true)) else { continue };
            match pairs.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => pairs.push((name, vec![value])),
            }
        }
        pairs
    }
}

pub(super) const TABLE: &[Function] = &[
    row("url", Style::Global, &[gives(&[Text], Of(Address))], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => {
            let parsed = Url::parse(text).ok_or(Problem::Malformed("URL"))?;
            Ok(Value::from(Foreign::Url(parsed)))
        }
        _ => Err(mismatch(args)),
    }),
    row("isURL", Style::Global, &[gives(&[Text], Bool)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::Bool(Url::parse(text).is_some())),
        _ => Err(mismatch(args)),
    }),
    row("getScheme", Style::Member, PART, Cost::Step, |args, b| part(args, b, |url| &url.scheme)),
    row("getHost", Style::Member, PART, Cost::Step, |args, b| part(args, b, |url| &url.host)),
    row("getHostname", Style::Member, PART, Cost::Step, |args, b| part(args, b, Url::hostname)),
    row("getPort", Style::Member, PART, Cost::Step, |args, b| part(args, b, Url::port)),
    row("getEscapedPath", Style::Member, PART, Cost::Step, |args, b| part(args, b, |url| &url.path)),
    row(
        "getQuery",
        Style::Member,
        &[gives(&[Of(Address)], Map(&Text, &List(&Text)))],
        Cost::Step,
        |args, budget| {
            let url = first(args)?;
            budget.spend_bytes(url.query.as_deref().map_or(0, str::len))?;
            let pairs = url.pairs();
            budget.spend(pairs.len())?;
            let list =
                |values: Vec<String>| Value::from(values.into_iter().map(Value::from).collect::<Vec<_>>());
            let entries = pairs.into_iter().map(|(name, values)| (Value::from(name), list(values)));
            Ok(Value::from(entries.collect::<Vec<_>>()))
        },
    ),
];

const PART: &[Overload] = &[gives(&[Of(Address)], Text)];

fn first<'v>(args: &'v [Value<'_>]) -> Result<&'v Url, Problem> {
    match args {
        [Value::Foreign(foreign)] => match foreign.as_ref() {
            Foreign::Url(url) => Ok(url),
            _ => Err(mismatch(args)),
        },
        _ => Err(mismatch(args)),
    }
}

fn part<'a>(args: &[Value<'a>], budget: &mut Budget, of: fn(&Url) -> &str) -> Answer<'a> {
    let text = of(first(args)?);
    budget.spend_bytes(text.len())?;
    Ok(Value::from(text.to_owned()))
}

/// The scheme, empty if there is none, and what follows it.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at > 0 => return text.split_once(':'),
            ':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}

/// The user and the host of an authority.
fn authority_of(text: &str) -> Option<(Option<String>, String)> {
    let (user, host) = text.rsplit_once('@').map_or((None, text), |(user, host)| (Some(user), host));
    if let Some(user) = user {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
        if !user.bytes().all(allowed) || unescape(user, false).is_none() {
            return None;
        }
    }
    Some((user.map(str::to_owned), host_of(host)?))
}

fn host_of(text: &str) -> Option<String> {
    let ports = |port: &str| {
        port.is_empty()
            || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    if text.starts_with('[') {
        let (inner, port) = text.get(1..)?.rsplit_once(']')?;
        let (address, zone) = inner.split_once("%25").map_or((inner, None), |(a, z)| (a, Some(z)));
        address.parse::<std::net::Ipv6Addr>().ok()?;
        let zone = zone.map(|zone| unescape(zone, false)).map_or(Some(None), |zone| zone.map(Some))?;
        let zone = zone.map(|zone| format!("%{zone}")).unwrap_or_default();
        return ports(port).then(|| format!("[{address}{zone}]{port}"));
    }
    if let Some(at) = text.find(':')
        && (!ports(text.get(at..)?))
    {
        return None;
    }
    let plain = |b: u8| b >= 0x80 || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&b);
    if !text.bytes().all(plain) {
        return None;
    }
    // In a host only octets beyond ASCII may be escaped.
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let octet = u8::from_str_radix(after.get(..2)?, 16).ok()?;
        if octet < 0x80 {
            return None;
        }
        rest = after;
    }
    unescape(text, false)
}

/// The path as it goes over the wire: kept if it is well escaped, escaped otherwise.
fn escaped_path(path: &str) -> Option<String> {
    let decoded = unescape_bytes(path, false)?;
    let kept = |b: u8| b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@[]/%".contains(&b);
    if path.bytes().all(kept) {
        return Some(path.to_owned());
    }
    let mut out = String::new();
    for b in decoded {
        if b.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    Some(out)
}

fn unescape(text: &str, plus: bool) -> Option<String> {
    let bytes = unescape_bytes(text, plus)?;
    Some(String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
}

fn unescape_bytes(text: &str, plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if plus => out.push(b' '),
            b => out.push(b),
        }
    }
    Some(out)
}
