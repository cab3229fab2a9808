//! The log: text for people, JSON for machines, on stderr.

use ambient::SystemClock;
use config::Fields;
use tracing::level_filters::LevelFilter;

use super::lines::Lines;

/// `logger`
#[derive(Debug, Clone)]
pub(crate) struct Logger {
    level: LevelFilter,
    pub(super) format: Format,
    /// Members of lines that are left out.
    excluded: Vec<String>,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

impl Logger {
    pub(super) fn read(mut fields: Fields<'_>) -> Self {
        let level: String = fields.or("level", String::from("info"));
        let parsed = parse_level(&level);
        if parsed.is_none() {
            fields.unfit("level", "write debug, info, warn or error");
        }
        let logger = Self {
            level: parsed.unwrap_or(LevelFilter::INFO),
            format: fields
                .one_of("format", &[("text", Format::Text), ("json", Format::Json)])
                .unwrap_or(Format::Text),
            excluded: fields.or_default("excludeFields"),
        };
        fields.finish();
        logger
    }

    /// From flags: `debug`, `info`, `warn` or `error`, and whether machines read it.
    pub(crate) fn of_flags(level: &str, json: bool) -> Option<Self> {
        let format = if json { Format::Json } else { Format::Text };
        parse_level(level).map(|level| Self { level, format, excluded: Vec::new() })
    }

    /// Sends the log of this process where it belongs. Libraries are heard from warnings on.
    pub(crate) fn install(&self) {
        use tracing_subscriber::layer::SubscriberExt as _;
        use tracing_subscriber::util::SubscriberInitExt as _;
        let ours = ["obol", "web", "provider", "connectors", "stores", "proxy", "token", "outbound"];
        let filter = ours.iter().fold(
            tracing_subscriber::filter::Targets::new().with_default(LevelFilter::WARN),
            |filter, target| filter.with_target(*target, self.level),
        );
        let lines = Lines { logger: self.clone(), clock: SystemClock::default() };
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    }

    /// Whether machines read the log, so that every line of it must be an object.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(super) fn excludes(&self, member: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded == member)
    }
}

/// slog's words, also with an offset (`INFO+2` is quieter than info).
fn parse_level(text: &str) -> Option<LevelFilter> {
    let upper = text.to_ascii_uppercase();
    let at = upper.find(['+', '-']).unwrap_or(upper.len());
    let (word, offset) = upper.split_at(at);
    let base = match word {
        "DEBUG" => -4,
        "INFO" => 0,
        "WARN" => 4,
        "ERROR" => 8,
        _ => return None,
    };
    let offset: i32 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
    Some(match base + offset {
        i32::MIN..=-1 => LevelFilter::DEBUG,
        0..=3 => LevelFilter::INFO,
        4..=7 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_as_slog_reads_them() {
        assert_eq!(parse_level("debug"), Some(LevelFilter::DEBUG));
        assert_eq!(parse_level("INFO+2"), Some(LevelFilter::INFO));
        assert_eq!(parse_level("WARN-4"), Some(LevelFilter::INFO));
        assert_eq!(parse_level("info+x"), None);
        assert_eq!(parse_level("loud"), None);
    }
}
