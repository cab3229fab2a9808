//! Events of the proxy as log lines, one a request. Names come from tokens: they are written quoted and escaped.

use std::sync::Arc;

use ambient::{Clock, Observer};
use proxy::{Event, Outcome};
use serde_json::Value;

use crate::telemetry::{Entry, Logger, Scribe, write_line};

/// Writes the events of requests to the audit log.
pub(super) struct Audit(Scribe<Event>);

impl Audit {
    /// Starts the thread that writes.
    pub(super) fn start(logger: &Logger, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let logger = logger.clone();
        let words = move |out: &mut String, entry: Entry<'_, Event>| match entry {
            Entry::Told(event) => write_line(out, members(event), &logger),
            Entry::Lost(count) => {
                let what = format!("{count} lines about refused requests found no room");
                let said =
                    [("level", Value::from("ERROR")), ("msg", "audit".into()), ("action", what.into())];
                let time = ("time", Value::from(clock.now().rfc3339()));
                write_line(out, std::iter::once(time).chain(said).collect(), &logger);
            }
        };
        Scribe::start(std::io::stderr(), words).map(Self)
    }

    /// How many lines could not be written because the queue was full.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// Resolves when every line so far is written, or never will be.
    pub(super) async fn written(&self) {
        self.0.written().await;
    }
}

impl Observer<Event> for Audit {
    fn observe(&self, event: &Event) {
        let happened = !matches!(event.outcome, Outcome::Refused { .. });
        self.0.tell(|| event.clone(), happened);
    }

    fn listens(&self) -> bool {
        self.0.listens()
    }
}

/// The members of a line, in the shape of `obol serve`'s.
fn members(event: &Event) -> Vec<(&'static str, Value)> {
    let Event { at, method, path, source, issuer, user, outcome } = event;
    let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let (level, said) = match outcome {
        Outcome::Passed { status, impersonated } => (
            "INFO",
            vec![
                ("outcome", Value::from("allow")),
                ("status", status.as_u16().into()),
                ("impersonated", (*impersonated).into()),
            ],
        ),
        Outcome::Refused { status, code, detail } => (
            "WARN",
            vec![
                ("outcome", Value::from("deny")),
                ("status", status.as_u16().into()),
                ("error", (*code).into()),
                ("reason", detail.as_str().into()),
            ],
        ),
        Outcome::Abandoned { forwarded } => {
            ("INFO", vec![("outcome", Value::from("abandoned")), ("forwarded", (*forwarded).into())])
        }
    };
    let mut all = vec![
        ("time", Value::from(at.rfc3339())),
        ("level", level.into()),
        ("msg", "request".into()),
        ("client_remote_addr", source.to_string().into()),
        ("method", method.as_str().into()),
        ("path", path.as_str().into()),
    ];
    all.extend(said);
    if let Some(user) = user {
        all.push(("user", user.name.as_str().into()));
        all.push(("groups", user.groups.iter().map(|group| Value::from(group.as_str())).collect()));
        all.push(("jti", user.token_id.as_deref().map_or(Value::Null, Value::from)));
    }
    all.push(("issuer", text(issuer)));
    all
}

#[cfg(test)]
mod tests {
    use ambient::Time;
    use proxy::User;

    use super::*;

    #[test]
    fn attack_26_a_name_makes_no_line_and_no_member_of_its_own() {
        let user = User {
            name: "jane\n2026 level=INFO user=\"admin\" \u{1b}[31m".into(),
            groups: vec!["a\" source=1.2.3.4".into()],
            token_id: Some("7\r".into()),
        };
        let event = Event {
            at: Time::from_unix(0),
            method: "DELETE".into(),
            path: "/api".into(),
            source: [192, 0, 2, 7].into(),
            issuer: "https://issuer.test".into(),
            user: Some(user),
            outcome: Outcome::Abandoned { forwarded: true },
        };
        let written = |json| {
            let mut out = String::new();
            write_line(&mut out, members(&event), &Logger::of_flags("info", json).unwrap());
            out
        };
        let text = written(false);
        assert_eq!(text.lines().count(), 1);
        assert!(
            !text.contains('\u{1b}') && text.contains(r#"user="jane\n2026 level=INFO user=\"admin\""#),
            "{text}"
        );
        let json: Value = serde_json::from_str(&written(true)).unwrap();
        assert_eq!(json["user"], event.user.unwrap().name);
        assert_eq!((&json["outcome"], &json["forwarded"]), (&"abandoned".into(), &true.into()));
        assert_eq!(json["client_remote_addr"], "192.0.2.7");
    }
}
