//! A subject token that could be used once, and was: attack list 10. Only a hash of what names it is kept, and as long
//! as the token could still pass.

use std::time::Duration;

use ambient::Time;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use wire::b64;

use super::Record;
use crate::store::Kind;

/// See the module. That it exists is all there is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    until: i64,
}

/// The record that a use makes: its key and itself. The first to create it was the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The hash of connector and `jti`: two issuers may use the same.
    pub key: String,
    /// The record.
    pub used: Used,
}

impl Once {
    /// Of a token that ends then.
    pub fn of(connector: &str, token_id: &str, expires: Time) -> Self {
        let named = [connector.as_bytes(), b"\0", token_id.as_bytes()].concat();
        let until = (expires + LATE).unix();
        Self { key: b64::encode(digest(&SHA256, &named).as_ref()), used: Used { until } }
    }
}

impl Record for Used {
    const KIND: Kind = Kind("used");
    const SEALED: bool = false;

    fn due(&self) -> Option<Time> {
        Some(Time::from_unix(self.until))
    }
}

/// A record stays longer than any check is lenient, and than clocks of replicas or a clock that is set back differ.
const LATE: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connector_and_token_are_both_in_the_key_and_neither_can_be_read() {
        let key = |connector: &str, id: &str| Once::of(connector, id, Time::from_unix(0)).key;
        assert_eq!(key("a", "b"), key("a", "b"));
        assert!(key("a", "b") != key("ab", "") && key("a", "b") != key("b", "a"));
        assert!(!key("gitlab", "canary").contains("canary"));
    }
}
