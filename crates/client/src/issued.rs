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
    /// What it can be renewed by, if somebody signed in for it.
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    session: Option<KeptSession<'a>>,
}

/// What outlives a token: how to get the next one without asking anybody.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// Whose it is: the next token must be theirs too (OpenID Connect Core section 12.2).
    pub(crate) subject: Option<String>,
    pub(crate) refresh_token: Secret<String>,
    /// Whom the sign-in believed (PEM), for signing out; `None` for the machine's authorities.
    pub(crate) authorities: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptSession<'a> {
    issuer: String,
    client_id: String,
    subject: Option<String>,
    #[serde(borrow)]
    refresh_token: Cow<'a, str>,
    authorities: Option<String>,
}

/// What one entry of the cache holds.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) issued: Issued,
    pub(crate) session: Option<Session>,
}

impl Entry {
    /// For the cache; `None` for a token that does not say when it ends.
    pub(crate) fn to_kept(&self) -> Option<String> {
        let issued = &self.issued;
        let kept = Kept {
            token: Cow::Borrowed(issued.token.expose()),
            issued_token_type: issued.issued_token_type.clone(),
            token_type: issued.token_type.clone(),
            scope: issued.scope.clone(),
            expires: issued.expires?.rfc3339(),
            fresh_until: issued.fresh_until?.rfc3339(),
            session: self.session.as_ref().map(|session| KeptSession {
                issuer: session.issuer.clone(),
                client_id: session.client_id.clone(),
                subject: session.subject.clone(),
                refresh_token: Cow::Borrowed(session.refresh_token.expose()),
                authorities: session.authorities.clone(),
            }),
        };
        serde_json::to_string(&kept).ok()
    }

    /// From the cache; `None` for anything that this version did not write.
    pub(crate) fn from_kept(text: &[u8]) -> Option<Self> {
        let kept: Kept<'_> = serde_json::from_slice(text).ok()?;
        if !is_printable(&kept.token) {
            return None;
        }
        let issued = Issued {
            expires: Some(Time::parse_rfc3339(&kept.expires)?),
            fresh_until: Some(Time::parse_rfc3339(&kept.fresh_until)?),
            token: Secret::from(&*kept.token),
            issued_token_type: kept.issued_token_type,
            token_type: kept.token_type,
            scope: kept.scope,
        };
        let session = kept.session.map(|session| Session {
            issuer: session.issuer,
            client_id: session.client_id,
            subject: session.subject,
            refresh_token: Secret::from(&*session.refresh_token),
            authorities: session.authorities,
        });
        Some(Self { issued, session })
    }

    /// Whether nothing in it is good for anything any more. A session that nobody used for so long is over nearly
    /// everywhere.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        let span = if self.session.is_some() { SESSION_KEPT } else { Duration::ZERO };
        self.issued.expires.is_some_and(|expires| expires + span < now)
    }
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
}

/// Whether a text can be a bearer token (RFC 6750 section 2.1): nothing that could break a header or a line.
pub(crate) fn is_printable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())
}

/// A token of ten minutes or more is renewed a minute early, a shorter one after nine tenths of its life.
const MARGIN: Duration = Duration::from_secs(60);

const SESSION_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

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
        let session = Session {
            issuer: "https://o.example".into(),
            client_id: "c".into(),
            subject: None,
            refresh_token: Secret::from("r"),
            authorities: None,
        };
        let entry = Entry { issued: issued.clone(), session: Some(session) };
        let kept = entry.to_kept().unwrap();
        let again = Entry::from_kept(kept.as_bytes()).unwrap();
        assert_eq!(again.session.unwrap().refresh_token.expose(), "r");
        let again = again.issued;
        assert_eq!(again.token.expose(), "t.o.k");
        assert!(again.is_fresh(Time::from_unix(839)) && !again.is_fresh(Time::from_unix(840)));
        assert!(!entry.is_over(Time::from_unix(901)));
        let alone = Entry { session: None, ..entry };
        assert!(alone.is_over(Time::from_unix(901)) && !alone.is_over(Time::from_unix(900)));
        assert!(Entry { issued: Issued { expires: None, ..issued }, session: None }.to_kept().is_none());
        for bad in [
            "",
            "{}",
            "null",
            &kept.replace("t.o.k", "t o\\nk"),
            &kept.replace("1970", "never"),
            &kept.replace('{', ""),
        ] {
            assert!(Entry::from_kept(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
