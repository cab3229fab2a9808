//! A token that was issued, and how long it may be used.

use std::borrow::Cow;
use std::time::Duration;

use ambient::{Secret, Time};
use serde::{Deserialize, Serialize};

/// What came out of an exchange.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: Secret<String>,
    /// The URI of what it is (RFC 8693 section 3).
    pub issued_token_type: String,
    /// `Bearer`, or `N_A` for what is no access token.
    pub token_type: String,
    /// What was granted, if that differs from what was asked for.
    pub scope: Option<String>,
    /// When it ends: the earlier of the server's `expires_in` and the token's own `exp`.
    pub expires: Option<Time>,
    /// Until when it is handed out: a little before its end, so that it still works when it arrives.
    pub fresh_until: Option<Time>,
}

/// As it is kept on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    issued_token_type: String,
    token_type: String,
    scope: Option<String>,
    expires: String,
    fresh_until: String,
}

impl Issued {
    /// Until when a token that was issued at `now` and ends at `expires` is handed out.
    pub(crate) fn fresh_until(now: Time, expires: Time) -> Time {
        expires - (expires.since(now) / 10).min(MARGIN)
    }

    /// Whether it may still be handed out.
    pub(crate) fn is_fresh(&self, now: Time) -> bool {
        self.fresh_until.is_some_and(|until| now < until)
    }

    /// For the cache; `None` for a token that does not say when it ends.
    pub(crate) fn to_kept(&self) -> Option<String> {
        let kept = Kept {
            token: Cow::Borrowed(self.token.expose()),
            issued_token_type: self.issued_token_type.clone(),
            token_type: self.token_type.clone(),
            scope: self.scope.clone(),
            expires: self.expires?.rfc3339(),
            fresh_until: self.fresh_until?.rfc3339(),
        };
        serde_json::to_string(&kept).ok()
    }

    /// From the cache; `None` for anything that this version did not write.
    pub(crate) fn from_kept(text: &[u8]) -> Option<Self> {
        let kept: Kept<'_> = serde_json::from_slice(text).ok()?;
        if !is_printable(&kept.token) {
            return None;
        }
        Some(Self {
            expires: Some(Time::parse_rfc3339(&kept.expires)?),
            fresh_until: Some(Time::parse_rfc3339(&kept.fresh_until)?),
            token: Secret::from(&*kept.token),
            issued_token_type: kept.issued_token_type,
            token_type: kept.token_type,
            scope: kept.scope,
        })
    }
}

/// Whether a text can be a bearer token (RFC 6750 section 2.1): nothing that could break a header or a line.
pub(crate) fn is_printable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}

/// A token of ten minutes or more is renewed a minute early, a shorter one after nine tenths of its life.
const MARGIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tokens_are_renewed_a_minute_early_and_short_ones_in_proportion() {
        for (life, fresh) in [(900, 840), (600, 540), (100, 90), (0, 0), (-5, -5)] {
            let until = Issued::fresh_until(Time::from_unix(0), Time::from_unix(life));
            assert_eq!(until, Time::from_unix(fresh), "{life}");
        }
    }

    #[test]
    fn the_cache_reads_what_it_wrote_and_nothing_else() {
        let issued = Issued {
            token: Secret::from("t.o.k"),
            issued_token_type: "urn:x".into(),
            token_type: "N_A".into(),
            scope: None,
            expires: Some(Time::from_unix(900)),
            fresh_until: Some(Time::from_unix(840)),
        };
        let kept = issued.to_kept().unwrap();
        let again = Issued::from_kept(kept.as_bytes()).unwrap();
        assert_eq!(again.token.expose(), "t.o.k");
        assert!(again.is_fresh(Time::from_unix(839)) && !again.is_fresh(Time::from_unix(840)));
        assert!(Issued { expires: None, ..issued }.to_kept().is_none());
        for bad in [
            "",
            "{}",
            "null",
            &kept.replace("t.o.k", "t o\\nk"),
            &kept.replace("1970", "never"),
            &kept.replace('{', ""),
        ] {
            assert!(Issued::from_kept(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
