//! What `obol check` says of policies together.

use super::*;

fn warnings(yaml: &str) -> Vec<String> {
    let policies = load(yaml);
    let faults = Faults::new();
    policies.compare(&faults);
    faults.all().iter().map(|fault| format!("{}: {}", fault.path, fault.what)).collect()
}

fn allow(name: &str, subject: &str, rest: &str) -> String {
    let rest = if rest.is_empty() { "clients: [prod], audiences: [prod]" } else { rest };
    format!("- {{name: {name}, subject: {{connector: gitlab, {subject}}}, {rest}}}\n")
}

#[test]
fn a_policy_behind_a_wider_one_is_never_reached() {
    let narrow = "claims: {a: x}, match: 'claims.b == \"y\"'";
    for wide in ["match: 'true'", "claims: {a: x}", "match: 'claims.b == \"y\"'", narrow] {
        let found =
            warnings(&format!("policies:\n{}{}", allow("wide", wide, ""), allow("narrow", narrow, "")));
        assert_eq!(found.len(), 1, "{wide} {found:?}");
        assert!(found[0].starts_with("policies[1]: never decides: wide"), "{wide} {found:?}");
        let other = "clients: [prod, ci], audiences: [prod]";
        let found =
            warnings(&format!("policies:\n{}{}", allow("wide", wide, ""), allow("narrow", narrow, other)));
        assert!(found[0].contains("may match what wide matches"), "{wide} {found:?}");
    }
    let deny = "- {name: closed, deny: true, subject: {connector: gitlab, claims: {a: x}}}\n";
    let found = warnings(&format!("policies:\n{}{deny}", allow("narrow", narrow, "")));
    assert_eq!(found, ["policies[0]: never grants: the deny rule closed stops all that it matches"]);
}

#[test]
fn policies_that_cannot_meet_are_not_mentioned() {
    for (one, other, rest) in [
        ("claims: {a: x}", "claims: {a: z}", ""),
        ("claims: {a: x}", "match: 'claims.a == \"z\"'", ""),
        ("claims: {a: 'org/*'}", "claims: {a: team}", ""),
        ("claims: {a: team}", "patterns: {a: 'org/.+'}", ""),
        ("claims: {a: x}", "claims: {b: z}", "clients: [ci], audiences: [prod]"),
        ("claims: {a: x}", "claims: {b: z}", "clients: [prod], audiences: [stage]"),
        ("audiences: [v], claims: {a: x}", "audiences: [w], claims: {b: z}", ""),
    ] {
        let found = warnings(&format!("policies:\n{}{}", allow("one", one, ""), allow("other", other, rest)));
        assert!(found.is_empty(), "{one} {other} {found:?}");
    }
    let shadow = allow("wide", "match: 'true'", "clients: [prod], audiences: [prod], shadow: true");
    assert!(warnings(&format!("policies:\n{shadow}{}", allow("narrow", "claims: {a: x}", ""))).is_empty());
    let both =
        format!("policies:\n{}{}", allow("one", "claims: {a: x}", ""), allow("other", "claims: {b: z}", ""));
    assert!(warnings(&both)[0].contains("policies[1]: may match what one matches"));
}

#[test]
fn an_issuer_that_serves_everybody_wants_to_be_told_whose_tokens_are_meant() {
    let tenants = |subject: &str, issuer: &str| {
        let policies = load(&format!("policies:\n{}", allow("p", subject, "")));
        let faults = Faults::new();
        policies.check_tenants(|id| (id == "gitlab").then(|| issuer.to_owned()), &faults);
        faults.to_string()
    };
    for (subject, issuer, told) in [
        ("claims: {ref: refs/heads/main}", "https://gitlab.com", true),
        ("match: 'claims.ref_protected == \"true\"'", "https://gitlab.com/", true),
        ("match: 'claims.ref == \"refs/heads/main\"'", "https://token.actions.githubusercontent.com", true),
        ("claims: {ref: refs/heads/main}", "https://gitlab.example.com", false),
        ("claims: {project_id: '7'}", "https://gitlab.com", false),
        (
            "match: 'claims.repository_owner_id == \"7\"'",
            "https://token.actions.githubusercontent.com",
            false,
        ),
        ("match: 'identity.user_id == \"7\"'", "https://accounts.google.com", false),
    ] {
        assert_eq!(!tenants(subject, issuer).is_empty(), told, "{subject} {issuer}");
    }
    assert!(tenants("claims: {ref: a}", "https://gitlab.com").contains("look at one of project_id"));
}
