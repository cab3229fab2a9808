//! The parts of timestamps, in UTC or a zone, and durations in whole units.

use jiff::civil::DateTime;

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Duration, Int, String, Timestamp};
use crate::time;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("getFullYear", Style::Member, OF_TIME, Cost::Step, |args, _| part(args, |t| t.year().into())),
    row("getMonth", Style::Member, OF_TIME, Cost::Step, |args, _| part(args, |t| i64::from(t.month()) - 1)),
    row("getDate", Style::Member, OF_TIME, Cost::Step, |args, _| part(args, |t| t.day().into())),
    row("getDayOfMonth", Style::Member, OF_TIME, Cost::Step, |args, _| {
        part(args, |t| i64::from(t.day()) - 1)
    }),
    row("getDayOfWeek", Style::Member, OF_TIME, Cost::Step, |args, _| {
        part(args, |t| time::weekday(t.weekday()))
    }),
    row("getDayOfYear", Style::Member, OF_TIME, Cost::Step, |args, _| {
        part(args, |t| i64::from(t.day_of_year()) - 1)
    }),
    row("getHours", Style::Member, OF_BOTH, Cost::Step, |args, _| {
        part_or_whole(args, |t| t.hour().into(), 3_600_000_000_000)
    }),
    row("getMinutes", Style::Member, OF_BOTH, Cost::Step, |args, _| {
        part_or_whole(args, |t| t.minute().into(), 60_000_000_000)
    }),
    row("getSeconds", Style::Member, OF_BOTH, Cost::Step, |args, _| {
        part_or_whole(args, |t| t.second().into(), 1_000_000_000)
    }),
    row("getMilliseconds", Style::Member, OF_BOTH, Cost::Step, |args, _| {
        part_or_whole(args, |t| t.millisecond().into(), 1_000_000)
    }),
];

const OF_TIME: &[Overload] = &[gives(&[Timestamp], Int), gives(&[Timestamp, String], Int)];
const OF_BOTH: &[Overload] =
    &[gives(&[Timestamp], Int), gives(&[Timestamp, String], Int), gives(&[Duration], Int)];

fn part<'a>(args: &[Value<'a>], of: fn(DateTime) -> i64) -> Answer<'a> {
    let zoned = match args {
        [Value::Timestamp(time)] => time.at(None),
        [Value::Timestamp(time), Value::Str(zone)] => time.at(Some(zone)),
        _ => return Err(mismatch(args)),
    };
    zoned
        .map(|zoned| Value::Int(of(zoned)))
        .ok_or(Problem::Malformed("time zone, or too near the end of time"))
}

/// Of a timestamp the part, of a duration all of it in that unit.
fn part_or_whole<'a>(args: &[Value<'a>], of: fn(DateTime) -> i64, unit: i64) -> Answer<'a> {
    match args {
        [Value::Duration(nanos)] => nanos.checked_div(unit).map(Value::Int).ok_or(Problem::Overflow),
        _ => part(args, of),
    }
}
