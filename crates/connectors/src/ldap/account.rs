//! Accounts that a directory has closed. A password is refused by the directory itself; at a refresh nobody types one, so
//! what the entry says is read.

use ambient::Time;
use wire::ldap::Entry;

/// The attributes that say it: of Active Directory, of 389 and FreeIPA, of OpenLDAP's password policy.
pub(super) const ATTRIBUTES: [&str; 4] =
    ["userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime"];

/// Why the account is closed, if it is. An attribute that is there and cannot be read closes it.
pub(super) fn closed(entry: &Entry, now: Time) -> Option<&'static str> {
    let text = |name: &str| {
        entry.values(name).first().map(|value| std::str::from_utf8(value).unwrap_or("not a text"))
    };
    if let Some(control) = text("userAccountControl")
        && control.parse::<i64>().map_or(true, |bits| bits & DISABLED != 0)
    {
        return Some("the account is disabled");
    }
    if let Some(expires) = text("accountExpires")
        && expires.parse::<i64>().map_or(true, |at| at != 0 && at != NEVER && at <= file_time(now))
    {
        return Some("the account has expired");
    }
    if text("nsAccountLock").is_some_and(|lock| !lock.eq_ignore_ascii_case("false")) {
        return Some("the account is locked");
    }
    (text("pwdAccountLockedTime") == Some(FOR_GOOD)).then_some("the account is locked")
}

/// Windows counts tenths of microseconds since 1601.
const fn file_time(now: Time) -> i64 {
    now.millis().saturating_add(11_644_473_600_000).saturating_mul(10_000)
}

const DISABLED: i64 = 2;
const NEVER: i64 = i64::MAX;

/// Locked by an administrator, and not for a while after too many wrong passwords: that lock would let a stranger end
/// everybody's sessions.
const FOR_GOOD: &str = "000001010000Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_24_closed_accounts_are_recognized() {
        // 2026-01-01T00:00:00Z
        let now = Time::from_unix(1_767_225_600);
        for (name, value, good) in [
            ("userAccountControl", "512", true),
            ("useraccountcontrol", "514", false),
            ("userAccountControl", "66050", false),
            ("userAccountControl", "?", false),
            ("accountExpires", "0", true),
            ("accountExpires", "9223372036854775807", true),
            ("accountExpires", "134116992000000001", true),
            ("accountExpires", "134116992000000000", false),
            ("accountExpires", "x", false),
            ("nsAccountLock", "TRUE", false),
            ("nsAccountLock", "false", true),
            ("pwdAccountLockedTime", "000001010000Z", false),
            ("pwdAccountLockedTime", "20260101000000Z", true),
            ("cn", "x", true),
        ] {
            let attributes = vec![(name.to_owned(), vec![value.as_bytes().to_vec()])];
            let entry = Entry { dn: "cn=a".into(), attributes };
            assert_eq!(closed(&entry, now).is_none(), good, "{name}: {value}");
        }
    }
}
