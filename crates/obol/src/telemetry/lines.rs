//! One shape for every line of the log, whether it tells of an event or was written by the way: Dex's `time`, `level` and
//! `msg` first, as text or as a JSON object, without the members that are excluded.

use std::fmt::Write as _;
use std::io::Write as _;

use ambient::{Clock as _, SystemClock, Time};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::logs::{Format, Logger};

/// A line that is being written, member by member, at the end of a text. Who writes sees to it that no name comes twice.
pub(crate) struct Line<'a> {
    out: &'a mut String,
    logger: &'a Logger,
    empty: bool,
}

impl<'a> Line<'a> {
    /// Begins with the members that every line has.
    pub(crate) fn begin(
        out: &'a mut String,
        logger: &'a Logger,
        at: Time,
        level: &str,
        message: &str,
    ) -> Self {
        if logger.format == Format::Json {
            out.push('{');
        }
        let mut line = Self { out, logger, empty: true };
        line.text("time", &at.rfc3339());
        line.text("level", level);
        line.text("msg", message);
        line
    }

    /// A member that is a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        if self.name(name) {
            let bare =
                self.logger.format == Format::Text && !value.is_empty() && value.bytes().all(plain_byte);
            if bare { self.out.push_str(value) } else { quote(self.out, value) }
        }
    }

    /// A member that is a text, or is left out.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A member that is a number.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        if self.name(name) {
            let _ = write!(self.out, "{value}");
        }
    }

    /// A member that is true or false.
    pub(crate) fn flag(&mut self, name: &str, value: bool) {
        if self.name(name) {
            self.out.push_str(if value { "true" } else { "false" });
        }
    }

    /// A member that is a list of texts, or is left out if that is empty.
    pub(crate) fn list<T: AsRef<str>>(&mut self, name: &str, values: impl ExactSizeIterator<Item = T>) {
        if values.len() == 0 || !self.name(name) {
            return;
        }
        for (n, value) in values.enumerate() {
            self.out.push(if n == 0 { '[' } else { ',' });
            quote(self.out, value.as_ref());
        }
        self.out.push(']');
    }

    /// Ends the line.
    pub(crate) fn end(self) {
        self.out.push_str(if self.logger.format == Format::Json { "}\n" } else { "\n" });
    }

    fn value(&mut self, name: &str, value: &Value) {
        match value.as_str() {
            Some(text) => self.text(name, text),
            None if self.name(name) => drop(write!(self.out, "{value}")),
            None => {}
        }
    }

    /// Whether the member is wanted; if so, its value comes next.
    fn name(&mut self, name: &str) -> bool {
        if self.logger.excludes(name) {
            return false;
        }
        let begun = !std::mem::take(&mut self.empty);
        match self.logger.format {
            Format::Json => {
                if begun {
                    self.out.push(',');
                }
                quote(self.out, name);
                self.out.push(':');
            }
            Format::Text => {
                if begun {
                    self.out.push(' ');
                }
                self.out.push_str(name);
                self.out.push('=');
            }
        }
        true
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
        let mut text = String::new();
        let level = event.metadata().level().as_str();
        let mut line = Line::begin(&mut text, &self.logger, self.clock.now(), level, &told.message);
        for (name, value) in &told.members {
            line.value(name, value);
        }
        line.end();
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
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
            // A name that every line has, or that came before, would make a line of two meanings.
            ("time" | "level" | "msg", _) => {}
            (name, _) if self.members.iter().any(|(known, _)| *known == name) => {}
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

/// As a JSON string, in text lines too: no claim can fake a line or a member.
fn quote(out: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        let _ = write!(out, "{}", serde_json::json!(text));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

const fn plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format) -> String {
        let logger = Logger::of_flags("info", format == Format::Json).unwrap();
        let mut out = String::from("before\n");
        let mut line = Line::begin(&mut out, &logger, Time::from_unix(0), "INFO", "it happened");
        line.text("subject", "a\" b=\"c\n\u{1b}\u{e9}");
        line.maybe("nothing", None);
        line.list("none", <[&str; 0]>::default().iter());
        line.list("audience", ["a", "b\""].iter());
        line.number("count", 7);
        line.end();
        out
    }

    #[test]
    fn attack_26_no_value_makes_a_line_or_a_member_of_its_own() {
        let json = line(Format::Json);
        let object: Value = serde_json::from_str(json.strip_prefix("before\n").unwrap()).unwrap();
        assert_eq!(
            object,
            serde_json::json!({"time": "1970-01-01T00:00:00Z", "level": "INFO", "msg": "it happened",
                "subject": "a\" b=\"c\n\u{1b}\u{e9}", "audience": ["a", "b\""], "count": 7})
        );
        assert_eq!(
            line(Format::Text),
            "before\ntime=1970-01-01T00:00:00Z level=INFO msg=\"it happened\" subject=\"a\\\" b=\\\"c\\n\\u001b\u{e9}\" \
             audience=[\"a\",\"b\\\"\"] count=7\n"
        );
    }
}
