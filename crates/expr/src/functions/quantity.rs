//! Kubernetes' resource quantities: a decimal number and a suffix, exact to a billionth.

use std::cmp::Ordering;

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::foreign::Foreign;
use crate::shape::Shape::{Bool, Double, Foreign as Of, Int, String};
use crate::types::ForeignType::Quantity as Amount;
use crate::value::Value;

/// An amount in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

impl Quantity {
    /// Rounded up (away from zero) to a billionth, and cut off at the ends of 64 bits, as Kubernetes does.
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let negative = text.starts_with('-');
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at_checked(end)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (base, power) = scale_of(suffix)?;
        let digits = format!("{}{fraction}", whole.trim_start_matches('0'));
        let digits = digits.trim_start_matches('0');
        let most = Self(MOST);
        let signed = |amount: Self| Some(if negative { Self(-amount.0) } else { amount });
        if digits.is_empty() {
            return Some(Self(0));
        }
        let fraction_length = i32::try_from(fraction.len()).ok()?;
        // In billionths the number is `digits` times ten to this, times the binary unit.
        let tens = 9 - fraction_length + if base == 10 { power } else { 0 };
        let Some(mut amount) = digits.parse::<i128>().ok().filter(|amount| *amount < LARGE) else {
            return long(digits, tens, base, power)
                .map(|amount| if amount > MOST { most } else { Self(amount) })
                .and_then(signed);
        };
        if base == 2 {
            let Some(unit) = 1_i128.checked_shl(power.unsigned_abs()) else { return signed(most) };
            let Some(scaled) = amount.checked_mul(unit) else { return signed(most) };
            amount = scaled;
        }
        let scaled = shift(amount, tens);
        signed(scaled.filter(|amount| *amount <= MOST).map_or(most, Self))
    }

    const fn whole(self) -> Option<i64> {
        let whole = self.0 / BILLION;
        if self.0 % BILLION == 0 && whole >= i64::MIN as i128 && whole <= i64::MAX as i128 {
            #[expect(clippy::cast_possible_truncation, reason = "in range")]
            return Some(whole as i64);
        }
        None
    }
}

/// More digits than fit: all but the leading ones only decide whether to round up.
fn long(digits: &str, tens: i32, base: u32, power: i32) -> Option<i128> {
    let kept = digits.get(..KEPT)?;
    let dropped = digits.get(KEPT..)?;
    let mut amount = kept.parse::<i128>().ok()?;
    if dropped.bytes().any(|b| b != b'0') {
        amount += 1;
    }
    if base == 2 {
        amount = amount.checked_mul(1_i128.checked_shl(power.unsigned_abs())?).unwrap_or(i128::MAX);
    }
    Some(shift(amount, tens + i32::try_from(dropped.len()).ok()?).unwrap_or(i128::MAX))
}

/// Times ten to the power, rounded up; `None` if it is too large.
fn shift(amount: i128, tens: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(tens.unsigned_abs());
    if tens >= 0 {
        return amount.checked_mul(factor?);
    }
    // So small that one billionth is left of it.
    let Some(factor) = factor else { return Some(1) };
    Some(amount / factor + i128::from(amount % factor != 0))
}

/// Base and power that a suffix stands for.
fn scale_of(suffix: &str) -> Option<(u32, i32)> {
    if let Some((_, base, power)) = SUFFIXES.iter().find(|(known, ..)| *known == suffix) {
        return Some((*base, *power));
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let power = power.parse::<i32>().ok().filter(|power| plain && power.abs() < 1_000_000)?;
    Some((10, power))
}

pub(super) const TABLE: &[Function] = &[
    row("quantity", Style::Global, &[gives(&[String], Of(Amount))], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => {
            let parsed = Quantity::parse(text).ok_or(Problem::Malformed("quantity"))?;
            Ok(Value::from(Foreign::Quantity(parsed)))
        }
        _ => Err(mismatch(args)),
    }),
    row("isQuantity", Style::Global, &[gives(&[String], Bool)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::Bool(Quantity::parse(text).is_some())),
        _ => Err(mismatch(args)),
    }),
    // The API server declares it as a function, its documentation shows a method.
    row("sign", Style::Global, &[gives(&[Of(Amount)], Int)], Cost::Step, |args, _| {
        let Quantity(amount) = first(args)?;
        Ok(Value::Int(if amount < 0 { -1 } else { i64::from(amount > 0) }))
    }),
    row("isInteger", Style::Member, &[gives(&[Of(Amount)], Bool)], Cost::Step, |args, _| {
        Ok(Value::Bool(first(args)?.whole().is_some()))
    }),
    row("asInteger", Style::Member, &[gives(&[Of(Amount)], Int)], Cost::Step, |args, _| {
        first(args)?.whole().map(Value::Int).ok_or(Problem::Overflow)
    }),
    row("asApproximateFloat", Style::Member, &[gives(&[Of(Amount)], Double)], Cost::Step, |args, _| {
        let Quantity(amount) = first(args)?;
        #[expect(clippy::cast_precision_loss, reason = "it is called approximate")]
        Ok(Value::Double((amount / BILLION) as f64 + (amount % BILLION) as f64 / BILLION as f64))
    }),
    row("isGreaterThan", Style::Member, COMPARED, Cost::Step, |args, budget| {
        compare(args, budget).map(|found| Value::Bool(found.is_gt()))
    }),
    row("isLessThan", Style::Member, COMPARED, Cost::Step, |args, budget| {
        compare(args, budget).map(|found| Value::Bool(found.is_lt()))
    }),
    row("compareTo", Style::Member, &[gives(&[Of(Amount), Of(Amount)], Int)], Cost::Step, |args, budget| {
        compare(args, budget).map(|found| Value::Int(found as i64))
    }),
    row("add", Style::Member, CHANGED, Cost::Step, |args, _| changed(args, i128::checked_add)),
    row("sub", Style::Member, CHANGED, Cost::Step, |args, _| changed(args, i128::checked_sub)),
];

const COMPARED: &[Overload] = &[gives(&[Of(Amount), Of(Amount)], Bool)];
const CHANGED: &[Overload] =
    &[gives(&[Of(Amount), Of(Amount)], Of(Amount)), gives(&[Of(Amount), Int], Of(Amount))];

fn first(args: &[Value<'_>]) -> Result<Quantity, Problem> {
    match args.first() {
        Some(Value::Foreign(foreign)) => match foreign.as_ref() {
            Foreign::Quantity(amount) => Ok(*amount),
            _ => Err(mismatch(args)),
        },
        _ => Err(mismatch(args)),
    }
}

fn second(args: &[Value<'_>]) -> Result<Quantity, Problem> {
    match args {
        [_, Value::Int(whole)] => Ok(Quantity(i128::from(*whole) * BILLION)),
        [_, other] => first(std::slice::from_ref(other)),
        _ => Err(mismatch(args)),
    }
}

fn compare(args: &[Value<'_>], _: &mut Budget) -> Result<Ordering, Problem> {
    Ok(first(args)?.cmp(&second(args)?))
}

fn changed<'a>(args: &[Value<'a>], by: fn(i128, i128) -> Option<i128>) -> Answer<'a> {
    let (Quantity(a), Quantity(b)) = (first(args)?, second(args)?);
    by(a, b).map(|amount| Value::from(Foreign::Quantity(Quantity(amount)))).ok_or(Problem::Overflow)
}

const SUFFIXES: [(&str, u32, i32); 16] = [
    ("", 10, 0),
    ("n", 10, -9),
    ("u", 10, -6),
    ("m", 10, -3),
    ("k", 10, 3),
    ("M", 10, 6),
    ("G", 10, 9),
    ("T", 10, 12),
    ("P", 10, 15),
    ("E", 10, 18),
    ("Ki", 2, 10),
    ("Mi", 2, 20),
    ("Gi", 2, 30),
    ("Ti", 2, 40),
    ("Pi", 2, 50),
    ("Ei", 2, 60),
];
const BILLION: i128 = 1_000_000_000;
/// The largest 64-bit integer, in billionths.
const MOST: i128 = i64::MAX as i128 * BILLION;
/// A number below it can be multiplied by the largest binary unit.
const LARGE: i128 = 100_000_000_000_000_000_000;
/// Leading digits that decide.
const KEPT: usize = 20;
