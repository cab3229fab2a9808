//! `subject.claims` and `subject.patterns`.

use super::*;

fn with(subject: &str, deny: bool) -> String {
    let issue = if deny { "deny: true" } else { "clients: [prod], audiences: [prod]" };
    format!("policies:\n- {{name: p, subject: {{connector: gitlab, {subject}}}, {issue}}}\n")
}

fn fits(subject: &str, claims: &str) -> bool {
    Ask::with(claims).decide(&load(&with(subject, false))).outcome.is_ok()
}

#[test]
fn attack_15_a_star_stops_at_slash_and_colon() {
    for (pattern, claim, allowed) in [
        ("org/*", "org/x", true),
        ("org/*", "org/x/y", false),
        ("org/*", "org-evil/x", false),
        ("org/*", "org/", false),
        ("org/*", "Org/x", false),
        ("repo:org/*:ref:refs/heads/main", "repo:org/app:ref:refs/heads/main", true),
        ("repo:org/*:ref:refs/heads/main", "repo:org/app:ref:refs/heads/main\\n", false),
        ("repo:org/*:ref:refs/heads/main", "repo:org/app:pull_request:ref:refs/heads/main", false),
        ("repo:org@1/*@2:ref:*/*/main", "repo:org@1/app@2:ref:refs/heads/main", true),
        ("*", "", false),
        ("*", "a:b", false),
        ("a.c", "abc", false),
        ("org/\u{430}pp", "org/app", false),
    ] {
        let claims = format!(r#"{{"x":"{claim}"}}"#);
        assert_eq!(fits(&format!("claims: {{x: '{pattern}'}}"), &claims), allowed, "{pattern} {claim}");
    }
    assert!(fits("claims: {x: [a, 'b/*']}", r#"{"x":"b/c"}"#));
    assert!(fits("claims: {/a.b/c: d, x: e}", r#"{"a.b":{"c":"d"},"x":"e"}"#));
    assert!(!fits("claims: {/a.b/c: d, x: e}", r#"{"a.b":{"c":"d"},"x":"f"}"#));
}

#[test]
fn attack_15_a_regular_expression_is_anchored_whatever_it_says() {
    for (pattern, claim, allowed) in [
        ("a|b", "a", true),
        ("a|b", "b.evil", false),
        ("a|b", "evil.a", false),
        ("alice@x[.]com|.*@y[.]com", "alice@x.com.evil", false),
        ("(?m)a$", "a\\nb", false),
        ("a", "a\\n", false),
        ("refs/tags/v[0-9]+", "refs/tags/v12", true),
    ] {
        let claims = format!(r#"{{"x":"{claim}"}}"#);
        assert_eq!(fits(&format!("patterns: {{x: '{pattern}'}}"), &claims), allowed, "{pattern} {claim}");
    }
}

#[test]
fn attack_15_what_is_no_text_fits_nothing_and_speaks_for_a_deny_rule() {
    for subject in ["claims: {x: a}", "patterns: {x: a}", "claims: {/y/z: a}"] {
        for claims in
            ["{}", r#"{"x":null}"#, r#"{"x":["a"]}"#, r#"{"x":1}"#, r#"{"y":{"z":true}}"#, r#"{"y":"a"}"#]
        {
            assert!(!fits(subject, claims), "{subject} {claims}");
            let denied = Ask::with(claims).decide(&load(&with(subject, true))).outcome.unwrap_err();
            assert_eq!(denied.policy.as_deref(), Some("p"), "{subject} {claims}");
        }
    }
    let beside = "claims: {x: a, y: b}, match: 'claims.z == \"c\"'";
    for (claims, denied) in [
        (r#"{"x":"z"}"#, false),
        (r#"{"y":"z"}"#, false),
        (r#"{"z":"z"}"#, false),
        (r#"{"z":"c"}"#, true),
        ("{}", true),
    ] {
        let by = Ask::with(claims).decide(&load(&with(beside, true))).outcome.unwrap_err().policy;
        assert_eq!(by.is_some(), denied, "what is false decides, whatever is missing beside it: {claims}");
    }
    let passes = Ask::with(r#"{"x":"b"}"#).decide(&load(&with("claims: {x: a}", true))).outcome;
    assert_eq!(passes.unwrap_err().policy, None);
}

#[test]
fn patterns_that_are_none_do_not_load() {
    for subject in [
        "claims: {}",
        "claims: {x: []}",
        "claims: {x: ''}",
        "claims: {x: 'a/**'}",
        "claims: {x: {y: z}}",
        "claims: {'': a}",
        "claims: {/x/: a}",
        "patterns: {x: '('}",
        "patterns: {x: 'a)|(b'}",
        "patterns: {x: ''}",
        "claims: [x]",
        "claims:",
    ] {
        let (_, faults) = read(&with(subject, false));
        assert!(faults.has_errors(), "{subject}");
    }
}

#[test]
fn what_does_not_fit_is_named_in_the_reason() {
    let policies = load(&with("claims: {x: 'org/*'}", false));
    let (code, reason) = Ask::with(r#"{"x":"canary/x"}"#).refused(&policies);
    assert_eq!(code, "invalid_request");
    assert!(reason.ends_with(r#"p: the claim "x" does not fit"#), "{reason}");
}
