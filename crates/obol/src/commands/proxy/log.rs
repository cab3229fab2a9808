//! Events of the proxy as log lines, one a request. Names come from tokens: they are written quoted and escaped.

use std::sync::Arc;

use ambient::{Clock, Observer};
use proxy::{Event, KubeUser, Outcome};

use crate::telemetry::{Entry, Line, Logger, Scribe};

/// Writes the events of requests to the audit log.
pub(super) struct Audit(Scribe<Event>);

impl Audit {
    /// Starts the thread that writes.
    pub(super) fn start(logger: &Logger, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let logger = logger.clone();
        let words = move |out: &mut String, entry: Entry<'_, Event>| match entry {
            Entry::Told(event) => write(out, event, &logger),
            Entry::Lost(count) => {
                let mut line = Line::begin(out, &logger, clock.now(), "ERROR", "audit");
                line.text("action", &format!("{count} lines about refused requests found no room"));
                line.end();
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

/// A line in the shape of `obol serve`'s.
fn write(out: &mut String, event: &Event, logger: &Logger) {
    let Event { at, method, path, source, issuer, user, acts_as, outcome } = event;
    let level = if matches!(outcome, Outcome::Refused { .. }) { "WARN" } else { "INFO" };
    let mut line = Line::begin(out, logger, *at, level, "request");
    line.text("client_remote_addr", &source.to_string());
    line.text("method", method.as_str());
    line.text("path", path);
    match outcome {
        Outcome::Passed { status, impersonated } => {
            line.text("outcome", "allow");
            line.number("status", status.as_u16().into());
            line.flag("impersonated", *impersonated);
        }
        Outcome::Refused { status, code, detail } => {
            line.text("outcome", "deny");
            line.number("status", status.as_u16().into());
            line.text("error", code);
            line.text("reason", detail);
        }
        Outcome::Abandoned { forwarded } => {
            line.text("outcome", "abandoned");
            line.flag("forwarded", *forwarded);
        }
    }
    if let Some(user) = user {
        line.text("user", &user.name);
        line.list("groups", user.groups.iter());
        line.maybe("jti", user.token_id.as_deref());
    }
    if let Some(KubeUser { name, uid, groups, extra }) = acts_as {
        line.text("impersonated_user", name);
        line.maybe("impersonated_uid", Some(&**uid).filter(|uid| !uid.is_empty()));
        line.list("impersonated_groups", groups.iter());
        line.list(
            "impersonated_extra",
            extra.iter().map(|(key, values)| format!("{key}={}", values.join(","))),
        );
    }
    line.maybe("issuer", Some(&**issuer).filter(|issuer| !issuer.is_empty()));
    line.end();
}

#[cfg(test)]
mod tests {
    use ambient::Time;
    use proxy::User;
    use serde_json::Value;

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
            acts_as: Some(KubeUser { name: "root\n".into(), ..KubeUser::default() }),
            user: Some(user),
            outcome: Outcome::Abandoned { forwarded: true },
        };
        let written = |json| {
            let mut out = String::new();
            write(&mut out, &event, &Logger::of_flags("info", json).unwrap());
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
        assert_eq!(
            (&json["client_remote_addr"], &json["impersonated_user"]),
            (&"192.0.2.7".into(), &"root\n".into())
        );
    }
}
