//! Kubernetes' named formats. `validate` gives none, or what is wrong in a list; the sentences are ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::url::Url;
use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::mismatch;
use crate::foreign::Foreign;
use crate::shape::Shape::{Foreign as Of, List, Optional, String as Text};
use crate::time::Timestamp;
use crate::types::ForeignType::Format as Named;
use crate::value::Value;

/// One format.
#[derive(Debug)]
pub struct Format {
    name: &'static str,
    /// The first thing that is wrong.
    check: fn(&str) -> Result<(), &'static str>,
    /// What looking at ten bytes costs: about what Kubernetes takes for the pattern that it matches.
    weight: usize,
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

pub(super) const TABLE: &[Function] = &[
    row(
        "validate",
        Style::Member,
        &[gives(&[Of(Named), Text], Optional(&List(&Text)))],
        Cost::Reads,
        |args, budget| {
            let [Value::Foreign(foreign), Value::Str(text)] = args else { return Err(mismatch(args)) };
            let Foreign::Format(format) = foreign.as_ref() else { return Err(mismatch(args)) };
            budget.spend_bytes((text.len() + 1).saturating_mul(format.weight))?;
            Ok(match (format.check)(text) {
                Ok(()) => Value::NONE,
                Err(why) => Value::some(Value::from(vec![Value::from(why)])),
            })
        },
    ),
    row("format.named", Style::Global, &[gives(&[Text], Optional(&Of(Named)))], Cost::Step, |args, _| {
        let [Value::Str(name)] = args else { return Err(mismatch(args)) };
        let found = FORMATS.iter().find(|format| format.name == name.as_ref());
        Ok(found.map_or(Value::NONE, |format| Value::some(Value::from(Foreign::Format(format)))))
    }),
    row("format.dns1123Label", Style::Global, MADE, Cost::Step, named::<0>),
    row("format.dns1123Subdomain", Style::Global, MADE, Cost::Step, named::<1>),
    row("format.dns1035Label", Style::Global, MADE, Cost::Step, named::<2>),
    row("format.dns1123LabelPrefix", Style::Global, MADE, Cost::Step, named::<3>),
    row("format.dns1123SubdomainPrefix", Style::Global, MADE, Cost::Step, named::<4>),
    row("format.dns1035LabelPrefix", Style::Global, MADE, Cost::Step, named::<5>),
    row("format.qualifiedName", Style::Global, MADE, Cost::Step, named::<6>),
    row("format.labelValue", Style::Global, MADE, Cost::Step, named::<7>),
    row("format.uri", Style::Global, MADE, Cost::Step, named::<8>),
    row("format.uuid", Style::Global, MADE, Cost::Step, named::<9>),
    row("format.byte", Style::Global, MADE, Cost::Step, named::<10>),
    row("format.date", Style::Global, MADE, Cost::Step, named::<11>),
    row("format.datetime", Style::Global, MADE, Cost::Step, named::<12>),
];

const MADE: &[Overload] = &[gives(&[], Of(Named))];

static FORMATS: [Format; 13] = [
    Format { name: "dns1123Label", check: label, weight: LIGHT },
    Format { name: "dns1123Subdomain", check: subdomain, weight: LIGHT },
    Format { name: "dns1035Label", check: label_1035, weight: LIGHT },
    Format { name: "dns1123LabelPrefix", check: |text| label(completed(text).as_ref()), weight: LIGHT },
    Format {
        name: "dns1123SubdomainPrefix",
        check: |text| subdomain(completed(text).as_ref()),
        weight: LIGHT,
    },
    Format { name: "dns1035LabelPrefix", check: |text| label_1035(completed(text).as_ref()), weight: LIGHT },
    Format { name: "qualifiedName", check: qualified_name, weight: LIGHT },
    Format { name: "labelValue", check: label_value, weight: LIGHT },
    Format { name: "uri", check: |text| held(Url::parse(text).is_some(), "is no URI"), weight: HEAVY },
    Format { name: "uuid", check: |text| held(is_uuid(text), "is no UUID"), weight: HEAVY },
    Format { name: "byte", check: |text| held(is_base64(text), "is no base64"), weight: HEAVY },
    Format {
        name: "date",
        check: |text| held(is_date(text), "is no date such as 2006-01-02"),
        weight: DATED,
    },
    Format {
        name: "datetime",
        check: |text| held(is_datetime(text), "is no date and time of RFC 3339"),
        weight: DATED,
    },
];

fn named<'a, const AT: usize>(_: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    FORMATS
        .get(AT)
        .map(|format| Value::from(Foreign::Format(format)))
        .ok_or(crate::eval::Problem::Malformed("format"))
}

/// A prefix may end in a dash, since a name follows it.
fn completed(prefix: &str) -> std::borrow::Cow<'_, str> {
    match prefix.strip_suffix('-') {
        Some(head) if !head.is_empty() => format!("{head}a").into(),
        _ => prefix.into(),
    }
}

const fn held(holds: bool, why: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(why) }
}

fn is_label(text: &str, first: fn(&u8) -> bool) -> bool {
    let ends = text.as_bytes().first().is_some_and(first)
        && text.as_bytes().last().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    ends && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn label(text: &str) -> Result<(), &'static str> {
    held(text.len() <= 63, "is longer than 63 characters")?;
    let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    held(
        is_label(text, first),
        "is no label of RFC 1123: small letters, digits and dashes, a letter or digit at its ends",
    )
}

fn label_1035(text: &str) -> Result<(), &'static str> {
    held(text.len() <= 63, "is longer than 63 characters")?;
    held(
        is_label(text, u8::is_ascii_lowercase),
        "is no label of RFC 1035: small letters, digits and dashes, beginning with a letter",
    )
}

fn subdomain(text: &str) -> Result<(), &'static str> {
    held(text.len() <= 253, "is longer than 253 characters")?;
    let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    held(
        text.split('.').all(|part| is_label(part, first)),
        "is no subdomain of RFC 1123: labels between dots",
    )
}

fn is_name(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    ends(text.as_bytes().first())
        && ends(text.as_bytes().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn qualified_name(text: &str) -> Result<(), &'static str> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            held(!prefix.is_empty(), "has nothing before the slash")?;
            subdomain(prefix)?;
            name
        }
        None => text,
    };
    held(!name.contains('/'), "has more than one slash")?;
    held(name.len() <= 63, "is longer than 63 characters")?;
    held(
        is_name(name),
        "is no qualified name: letters, digits, `-`, `_` and `.`, a letter or digit at its ends",
    )
}

fn label_value(text: &str) -> Result<(), &'static str> {
    held(text.len() <= 63, "is longer than 63 characters")?;
    held(text.is_empty() || is_name(text), "is no label value: letters, digits, `-`, `_` and `.`")
}

/// With dashes or without.
fn is_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(|b| *b != b'-').count();
    let mut groups = [8, 4, 4, 4, 12].into_iter();
    let mut rest = text;
    let shaped = groups.all(|length| {
        let Some((group, after)) = rest.split_at_checked(length) else { return false };
        rest = after.strip_prefix('-').unwrap_or(after);
        group.bytes().all(|b| b.is_ascii_hexdigit())
    });
    shaped && rest.is_empty() && digits == 32 && !text.ends_with('-')
}

fn is_base64(text: &str) -> bool {
    !text.is_empty() && STANDARD.decode(text).is_ok()
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_some()
}

/// Hours, minutes and seconds, any fraction, and a zone.
fn is_datetime(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.len() >= 20 && Timestamp::parse(&upper).is_some()
}

const LIGHT: usize = 20;
const DATED: usize = 40;
const HEAVY: usize = 300;
