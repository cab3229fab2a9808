//! Events of the proxy as log lines. Names come from tokens: they are written quoted and escaped.

use ambient::Observer;
use proxy::{Event, Outcome};

/// Writes events to the log.
pub(super) struct Log;

impl Observer<Event> for Log {
    fn observe(&self, event: &Event) {
        let user = event.user.as_ref();
        let (name, groups) = (user.map(|user| user.name.as_str()), user.map(|user| user.groups.as_slice()));
        let token_id = user.and_then(|user| user.token_id.as_deref());
        let Event { method, path, source, issuer, .. } = event;
        match &event.outcome {
            Outcome::Passed { status, impersonated } => tracing::info!(
                target: "audit", decision = "passed", status = status.as_u16(), impersonated,
                user = ?name, groups = ?groups, token_id = ?token_id, issuer, ?method, ?path, %source
            ),
            Outcome::Refused { status, code, detail } => tracing::info!(
                target: "audit", decision = "refused", status = status.as_u16(), code, ?detail,
                user = ?name, groups = ?groups, token_id = ?token_id, issuer, ?method, ?path, %source
            ),
        }
    }
}

impl Observer<inbound::Event> for Log {
    fn observe(&self, event: &inbound::Event) {
        tracing::warn!(?event, "at the listener");
    }
}
