//! One shape for every line of the log, whether it tells of an event or was written by the way: Dex's `time`, `level` and
//! `msg` first, as text or as a JSON object, without the members that are excluded.

use std::fmt::Write as _;
use std::io::Write as _;

use ambient::{Clock as _, SystemClock};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::logs::{Format, Logger};

/// Appends one line.
pub(crate) fn write(out: &mut String, members: Vec<(&'static str, Value)>, logger: &Logger) {
    let shown = members.into_iter().filter(|(name, value)| !value.is_null() && !logger.excludes(name));
    match logger.format {
        Format::Json => {
            let object: Map<String, Value> = shown.map(|(name, value)| (name.to_owned(), value)).collect();
            let _ = writeln!(out, "{}", Value::Object(object));
        }
        Format::Text => {
            // JSON strings are quoted and escaped: no claim can fake a line or a member.
            let text = shown.map(|(name, value)| match value.as_str() {
                Some(word) if !word.is_empty() && word.bytes().all(plain_byte) => format!("{name}={word}"),
                _ => format!("{name}={value}"),
            });
            let _ = writeln!(out, "{}", text.collect::<Vec<_>>().join(" "));
        }
    }
}

/// What is written by the way (`tracing`), on stderr.
pub(super) struct Lines {
    pub(super) logger: Logger,
    pub(super) clock: SystemClock,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let mut members = vec![
            ("time", Value::from(self.clock.now().rfc3339())),
            ("level", Value::from(event.metadata().level().as_str())),
            ("msg", Value::from(told.message)),
        ];
        members.append(&mut told.members);
        let mut line = String::new();
        write(&mut line, members, &self.logger);
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

#[derive(Default)]
struct Told {
    message: String,
    members: Vec<(&'static str, Value)>,
}

impl Told {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            // Where in the sources a library's line comes from is nobody's business.
            (name, _) if name.starts_with("log.") => {}
            (name, value) => self.members.push((name, value)),
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.take(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Value::from(value));
    }
}

const fn plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@')
}
