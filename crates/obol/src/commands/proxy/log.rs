//! Events of the proxy as log lines. Names come from tokens: they are written quoted and escaped.

use std::fmt::Write as _;

use ambient::Observer;
use proxy::{Event, Outcome};

use crate::telemetry::{Entry, Scribe};

/// Writes the events of requests to the audit log.
pub(super) struct Audit(Scribe<Event>);

impl Audit {
    /// Starts the thread that writes.
    pub(super) fn start() -> std::io::Result<Self> {
        let words = |out: &mut String, entry: Entry<'_, Event>| match entry {
            Entry::Told(event) => out.extend([&*line(event), "\n"]),
            Entry::Lost(count) => {
                let _ = writeln!(out, "WARN audit: lost_lines={count}");
            }
        };
        Scribe::start(std::io::stderr(), words).map(Self)
    }

    /// Resolves when every line so far is written, or never will be.
    pub(super) async fn written(&self) {
        self.0.written().await;
    }
}

/// Writes what goes wrong at the listener to the ordinary log.
pub(super) struct Log;

impl Observer<Event> for Audit {
    fn observe(&self, event: &Event) {
        let happened = !matches!(event.outcome, Outcome::Refused { .. });
        self.0.tell(|| event.clone(), happened);
    }

    fn listens(&self) -> bool {
        self.0.listens()
    }
}

impl Observer<inbound::Event> for Log {
    fn observe(&self, event: &inbound::Event) {
        tracing::warn!(?event, "at the listener");
    }
}

fn line(event: &Event) -> String {
    let Event { at, method, path, source, issuer, user, outcome } = event;
    let mut line = format!("{} INFO audit: ", at.rfc3339());
    let _ = match outcome {
        Outcome::Passed { status, impersonated } => {
            write!(line, "decision=\"passed\" status={} impersonated={impersonated}", status.as_u16())
        }
        Outcome::Refused { status, code, detail } => {
            write!(line, "decision=\"refused\" status={} code={code:?} detail={detail:?}", status.as_u16())
        }
        Outcome::Abandoned { forwarded } => write!(line, "decision=\"abandoned\" forwarded={forwarded}"),
    };
    if let Some(user) = user {
        let _ = write!(line, " user={:?} groups={:?}", user.name, user.groups);
        if let Some(id) = &user.token_id {
            let _ = write!(line, " token_id={id:?}");
        }
    }
    let _ = write!(line, " issuer={issuer:?} method={method:?} path={path:?} source={source}");
    line
}

#[cfg(test)]
mod tests {
    use ambient::Time;
    use proxy::User;

    use super::*;

    #[test]
    fn attack_26_a_name_makes_no_line_and_no_member_of_its_own() {
        let user = User {
            name: "jane\n2026 INFO audit: decision=\"passed\" \u{1b}[31m".into(),
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
        assert_eq!(
            line(&event),
            "1970-01-01T00:00:00Z INFO audit: decision=\"abandoned\" forwarded=true \
             user=\"jane\\n2026 INFO audit: decision=\\\"passed\\\" \\u{1b}[31m\" groups=[\"a\\\" source=1.2.3.4\"] \
             token_id=\"7\\r\" issuer=\"https://issuer.test\" method=\"DELETE\" path=\"/api\" source=192.0.2.7"
        );
    }
}
