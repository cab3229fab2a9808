//! `expiry` (dex.md 2.2, 1.14).

use std::time::Duration;

use config::Fields;

use crate::records::grant::RefreshRules;

/// Lifetimes.
#[derive(Debug, Clone, Copy)]
pub struct Expiry {
    /// ID and access tokens; an exchange under written policies has its own.
    pub id_tokens: Duration,
    /// How long a sign-in may take.
    pub auth_requests: Duration,
    /// How long a code may wait for its client.
    pub codes: Duration,
    /// `deviceRequests`: how long a device may wait for its person.
    pub devices: Duration,
    /// Refresh tokens.
    pub refresh: RefreshRules,
    /// `signingKeys`: the rotation period where there is no `signer`.
    pub signing_keys: Duration,
}

impl Expiry {
    pub(super) fn read(root: &mut Fields<'_>) -> Self {
        let mut fields = root.group("expiry");
        let expiry = Self {
            id_tokens: positive(&mut fields, "idTokens", hours(24)),
            auth_requests: positive(&mut fields, "authRequests", hours(24)),
            codes: positive(&mut fields, "authCodes", Duration::from_secs(60)),
            devices: positive(&mut fields, "deviceRequests", Duration::from_secs(300)),
            refresh: refresh(fields.group("refreshTokens")),
            signing_keys: positive(&mut fields, "signingKeys", hours(6)),
        };
        fields.finish();
        expiry
    }
}

fn refresh(mut fields: Fields<'_>) -> RefreshRules {
    let rules = RefreshRules {
        disable_rotation: fields.or_default("disableRotation"),
        reuse_interval: span(&mut fields, "reuseInterval"),
        absolute_lifetime: span(&mut fields, "absoluteLifetime"),
        valid_if_not_used_for: span(&mut fields, "validIfNotUsedFor"),
    };
    fields.finish();
    rules
}

/// Dex takes an empty string for "none"; here that is no lifetime at all, not the default.
fn span(fields: &mut Fields<'_>, key: &str) -> Duration {
    let empty = fields.take(key).map(|field| (field.string().is_some_and(|text| text.is_empty()), field));
    match empty {
        Some((false, field)) => <Duration as config::Read>::read(&field).unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

fn positive(fields: &mut Fields<'_>, key: &str, default: Duration) -> Duration {
    let span: Duration = fields.or(key, default);
    if span < Duration::from_secs(1) {
        fields.unfit(key, "write a duration of at least 1s");
        return default;
    }
    span
}

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}
