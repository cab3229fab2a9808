//! An access token that was taken back before its time (RFC 7009). Only a hash of its id is kept, and as long as it could
//! still pass.

use std::time::Duration;

use ambient::Time;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use wire::b64;

use super::Record;
use crate::store::Kind;

/// See the module. That it exists is all there is to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    until: i64,
}

impl Revoked {
    /// Of a token that ends then.
    pub fn until(expires: Time) -> Self {
        Self { until: (expires + LATE).unix() }
    }

    /// The key of a token's record.
    pub fn key(token_id: &str) -> String {
        b64::encode(digest(&SHA256, token_id.as_bytes()).as_ref())
    }
}

impl Record for Revoked {
    const KIND: Kind = Kind("revoked");
    const SEALED: bool = false;

    fn due(&self) -> Option<Time> {
        Some(Time::from_unix(self.until))
    }
}

/// A record stays longer than any check is lenient, and than clocks of replicas differ.
const LATE: Duration = Duration::from_secs(15 * 60);
