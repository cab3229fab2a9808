//! Names that Kubernetes keeps for itself. Where no policy was written, what an upstream says may not become one: an API
//! server that adds no prefix would take its bearer for a component of the cluster, or for its master.

use crate::connector::Opened;
use crate::issue::Profile;

/// What [`withhold`] left out, for the audit log.
pub(crate) const WITHHELD: &str = "system: names of the upstream are withheld";

/// Takes names and groups away that begin with `system:`. Whether there were any.
///
/// What the configuration itself says of its people stays: an operator named it. So does a service account's own name,
/// which machines come with and API servers are told to prefix.
pub(crate) fn withhold(profile: &mut Profile, connector: &Opened) -> bool {
    if connector.connector.is_written_down() {
        return false;
    }
    let groups = profile.groups.len();
    profile.groups.retain(|group| !is_reserved(group));
    let mut withheld = profile.groups.len() < groups;
    for name in [&mut profile.name, &mut profile.preferred_username, &mut profile.email] {
        let taken = name.take_if(|name| is_reserved(name) && !is_service_account(name));
        withheld |= taken.is_some();
    }
    if profile.email.is_none() && profile.email_verified == Some(true) {
        profile.email_verified = Some(false);
    }
    withheld
}

/// Kubernetes compares bytes; whoever reads the same token with less care is protected too.
fn is_reserved(name: &str) -> bool {
    let start = name.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    start.get(..SYSTEM.len()).is_some_and(|start| start.eq_ignore_ascii_case(SYSTEM))
}

/// `system:serviceaccount:<namespace>:<name>`, spelled as the API server spells it.
fn is_service_account(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    };
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    account.is_some_and(|(namespace, name)| plain(namespace) && plain(name))
}

const SYSTEM: &str = "system:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_in_every_dress() {
        for reserved in
            ["system:masters", "system:", "System:masters", " system:x", "\tsystem:x", "\u{feff}system:x"]
        {
            assert!(is_reserved(reserved), "{reserved:?}");
        }
        for free in [
            "systems:x",
            "system",
            "oidc:system:masters",
            "dev",
            "",
            "\u{433}\u{440}\u{443}\u{43f}\u{43f}\u{430}:x",
        ] {
            assert!(!is_reserved(free), "{free:?}");
        }
    }

    #[test]
    fn service_accounts_have_one_spelling() {
        assert!(is_service_account("system:serviceaccount:argocd:argocd-application-controller"));
        for other in [
            "system:serviceaccount:argocd:",
            "system:serviceaccount::a",
            "system:serviceaccount:a:b:c",
            "system:serviceaccount:a",
            "system:serviceaccounts:a:b",
            "System:serviceaccount:a:b",
            " system:serviceaccount:a:b",
            "system:serviceaccount:a:b\n",
            "system:serviceaccount:a/b:c",
        ] {
            assert!(!is_service_account(other), "{other:?}");
        }
    }
}
