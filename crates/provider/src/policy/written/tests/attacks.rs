//! Attack list 15 and 16: what claims may try.

use super::*;

#[test]
fn attack_15_half_anchoring() {
    let policies = one(
        r#"claims.p.matches("^(?:a|b)$") || claims.p == "repo:org/x" || claims.p.startsWith("repo:org2/")"#,
        "",
    );
    for (p, allowed) in [
        ("a", true),
        ("b", true),
        ("repo:org/x", true),
        ("repo:org2/y", true),
        ("ab", false),
        ("a.evil", false),
        ("x\\nb", false),
        ("a\\n", false),
        ("repo:org-evil/x", false),
        ("repo:org/x2", false),
        ("Repo:org/x", false),
        ("repo:org2-evil/y", false),
        ("rep\u{43e}:org/x", false),
    ] {
        let ask = Ask::with(&format!(r#"{{"p":"{p}"}}"#));
        assert_eq!(ask.decide(&policies).outcome.is_ok(), allowed, "{p}");
    }
}

#[test]
fn attack_15_kinds_are_not_mixed_up() {
    let policies = one(r#"claims.p == "true" || claims.n == 1 || claims.l == ["a"]"#, "");
    for (claims, allowed) in [
        (r#"{"p":"true"}"#, true),
        (r#"{"n":1}"#, true),
        (r#"{"l":["a"]}"#, true),
        (r#"{"p":true}"#, false),
        (r#"{"p":"True"}"#, false),
        (r#"{"n":"1"}"#, false),
        (r#"{"n":1.4}"#, false),
        (r#"{"n":true}"#, false),
        (r#"{"l":"a"}"#, false),
        (r#"{"l":["a","b"]}"#, false),
        (r#"{"p":null}"#, false),
        (r#"{"p":["true"]}"#, false),
        (r#"{}"#, false),
    ] {
        assert_eq!(Ask::with(claims).decide(&policies).outcome.is_ok(), allowed, "{claims}");
    }
}

/// Every place a claim can flow to.
const PLACES: [&str; 7] = [
    "subject: claims.x",
    "name: claims.x",
    "preferredUsername: claims.x",
    "groups: claims.x",
    "groups: '[\"ok\", string(claims.x)]'",
    "claims: {username: claims.x}",
    "claims: {roles: '[claims.x]', deep: '{\"a\": [claims.x]}'}",
];

fn issues(place: &str, x: &str, allow: &str) -> bool {
    let policies = one("true", &format!("{place}\n{allow}"));
    let claims = serde_json::json!({ "x": x }).to_string();
    Ask::with(&claims).decide(&policies).outcome.is_ok()
}

#[test]
fn attack_16_system_names_only_where_a_policy_names_them() {
    for place in PLACES {
        for x in ["system:masters", "system:", "system:serviceaccount:kube-system:x", "System:masters"] {
            assert!(!issues(place, x, ""), "{place} {x}");
        }
        let allow = "allowSystem: ['system:serviceaccount:argocd:*', 'system:node:n1']";
        assert!(issues(place, "system:serviceaccount:argocd:controller", allow), "{place}");
        assert!(issues(place, "system:node:n1", allow), "{place}");
        for x in [
            "system:masters",
            "system:node:n12",
            "system:serviceaccount:argocd:",
            "system:serviceaccount:argocd:a:b",
            "system:serviceaccount:argocd:a/b",
            "system:serviceaccount:argocd-evil:a",
            "system:serviceaccounts",
            "SYSTEM:node:n1",
        ] {
            assert!(!issues(place, x, allow), "{place} {x}");
        }
        assert!(issues(place, "systems:x", ""), "{place}");
    }
    for x in [" system:masters", "ｓｙｓｔｅｍ:masters", "\u{455}ystem:masters", "system\u{ff1a}masters"]
    {
        assert!(!issues("groups: claims.x", x, ""), "{x}");
        assert!(!issues("claims: {a: claims.x}", x, ""), "{x}");
    }
}

#[test]
fn attack_16_unseen_characters_and_long_names() {
    let long = "x".repeat(256);
    for place in &PLACES[..4] {
        for x in
            ["a\r\nb", "a\0", "a\tb", "", " a", "a ", "a\u{200b}b", "\u{202e}a", "a\u{85}", long.as_str()]
        {
            assert!(!issues(place, x, ""), "{place} {x:?}");
        }
        assert!(issues(place, &"x".repeat(255), ""), "{place}");
        assert!(issues(place, "cn=a,ou=b/*", ""), "{place}: taken literally, never split");
    }
    assert!(!issues("subject: claims.x", "é", "") && issues("groups: claims.x", "équipe:é", ""));
    assert!(!issues("claims: {a: claims.x}", &"x".repeat(5000), ""));
    assert!(!issues("groups: claims.x.split(\",\")", &"a,".repeat(400), ""));
}

/// Whoever reads a free claim for a name is shown no other than it is.
#[test]
fn attack_16_free_claims_hold_no_unseen_characters_either() {
    let shapes = [
        "claims: {a: claims.x}",
        "claims: {a: '[\"y\", claims.x]'}",
        "claims: {a: '{\"y\": {\"z\": [claims.x]}}'}",
        "claims: {a: '{claims.x: \"y\"}'}",
        "claims: {a: '[{claims.x: 1}]'}",
    ];
    for shape in shapes {
        for x in [
            "a\nb",
            "a\r\nb",
            "a\0",
            "a\u{1b}[2J",
            "a\u{7f}",
            "a\u{85}",
            "a\u{200b}b",
            "\u{202e}a",
            "a\u{feff}",
            "a\u{2028}b",
            "\u{34f}system:masters",
            "a\u{3164}",
            "a\u{e0041}",
            "a\u{ad}",
        ] {
            assert!(!issues(shape, x, ""), "{shape} {x:?}");
        }
        for x in ["a b", "équipe:é", "a,b/*", "❤️", ""] {
            assert!(issues(shape, x, ""), "{shape} {x:?}");
        }
    }
    // A name that is written down is looked at when it is read.
    for shape in &shapes[3..] {
        assert!(
            !issues(shape, "system:masters", "")
                && issues(shape, "system:node:n1", "allowSystem: ['system:node:n1']")
        );
    }
    for name in ["a\u{200b}", "\u{202e}a", "a\nb", "a\u{34f}"] {
        let (_, faults) =
            read(&policy("p", "true", &format!("claims: {{{}: '1'}}", serde_json::json!(name))));
        assert!(faults.has_errors(), "{name:?}");
    }
}

#[test]
fn attack_16_no_subject_of_another_connector() {
    let pair = |user: &str, connector: &str| wire::dex::Pair::new(user, connector).encode();
    let user = "project_path:platform/infra";
    let place = "subject: claims.x";
    assert!(issues(place, &pair(user, "gitlab"), ""), "its own");
    assert!(!issues(place, &pair("admin", "gitlab"), ""), "somebody else there");
    assert!(!issues(place, &pair(user, "github"), "") && !issues(place, &pair("admin", "local"), ""));
    assert!(!issues(place, &pair("admin", ""), "") && !issues(place, &pair("", "local"), ""));
}

#[test]
fn attack_17_a_costly_expression_stops() {
    let costly = r#"claims.x.split("").join("").split("").join("") != """#;
    let allow = one(costly, "");
    let deny = load(
        r#"
policies:
- {name: a, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}
- name: d
  deny: true
  subject: {connector: gitlab, match: 'claims.x.split("").join("").split("").join("") == ""'}
"#,
    );
    let claims = serde_json::json!({ "x": "y".repeat(200_000) }).to_string();
    for (policies, policy) in [(allow, None), (deny, Some("d"))] {
        let denied = Ask::with(&claims).decide(&policies).outcome.unwrap_err();
        assert_eq!(denied.policy.as_deref(), policy);
        assert!(denied.refusal.reason.contains("costs too much"), "{}", denied.refusal.reason);
    }
}
