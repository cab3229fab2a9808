//! What is issued, and what is not.

use std::time::Duration;

use token::Alg;
use wire::json::Value;

use super::*;

#[test]
fn the_default_is_a_pair_and_nothing_else() {
    let granted = one("true", "").granted_default();
    assert_eq!(granted.subject, wire::dex::Pair::new("project_path:platform/infra", "gitlab").encode());
    assert_eq!(granted.profile, crate::issue::Profile::default());
    assert!(granted.free.is_empty() && granted.alg.is_none() && granted.not_after.is_none());
    assert_eq!(granted.lifetime, Duration::from_secs(900));
}

impl Policies {
    fn granted_default(&self) -> Granted {
        Ask::default().granted(self)
    }
}

#[test]
fn every_field_is_issued() {
    let granted = one(
        "true",
        r#"subject: '"gitlab:" + claims.project_path'
name: '"CI of " + claims.project_path'
preferredUsername: claims.project_path
email: '"ci@example.com"'
emailVerified: claims.ref_protected == "true"
groups: '["deployers", "of:" + client]'
claims: {project: claims.project_path, from: connector, for: audience, absent: 'null', n: '1'}
withinSubject: true
algorithm: ES256
"#,
    )
    .granted_default();
    assert_eq!(granted.subject, "gitlab:platform/infra");
    let profile = granted.profile;
    assert_eq!(profile.name.as_deref(), Some("CI of platform/infra"));
    assert_eq!(profile.preferred_username.as_deref(), Some("platform/infra"));
    assert_eq!((profile.email.as_deref(), profile.email_verified), (Some("ci@example.com"), Some(true)));
    assert_eq!(profile.groups, ["deployers", "of:prod"]);
    let text = |s: &str| Value::Str(s.into());
    let free = [
        ("for", Value::List(vec![text("prod")])),
        ("from", text("gitlab")),
        ("n", Value::Int(1)),
        ("project", text("platform/infra")),
    ];
    assert_eq!(granted.free, free.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!(granted.not_after, Some(Time::from_unix(NOW + 3600)));
    assert_eq!(granted.alg, Some(Alg::Es256));
}

/// The audit log says which claim it is and what is wrong with it.
#[test]
fn a_value_that_json_cannot_say_is_refused_by_name() {
    for (value, told) in [
        ("timestamp(0)", "holds a value of type google.protobuf.Timestamp, which JSON does not have"),
        ("[duration(\"1s\")]", "holds a value of type google.protobuf.Duration"),
        ("b'x'", "holds a value of type bytes"),
        ("{\"a\": type(1)}", "holds a value of type type"),
        ("optional.of(1)", "holds a value of type optional_type"),
        ("{1: 2}", "holds a map with a key of type int; JSON's are strings"),
        ("1.0 / 0.0", "holds a number that JSON cannot say"),
        ("18446744073709551615u", "holds a number that JSON cannot say"),
    ] {
        let issue = format!("claims: {{odd: {}}}", serde_json::json!(value));
        let (code, reason) = Ask::default().refused(&one("true", &issue));
        assert_eq!(code, "invalid_request");
        assert!(reason.starts_with(&format!("p: issue.claims.odd {told}")), "{value}: {reason}");
    }
}

#[test]
fn an_address_is_unverified_unless_the_policy_says_otherwise() {
    let granted = one("true", "email: '\"ci@example.com\"'").granted_default();
    assert_eq!(granted.profile.email_verified, Some(false), "absent would read as verified in Kubernetes");
}

#[test]
fn a_value_that_cannot_be_issued_is_a_refusal_and_no_wider_policy_is_asked() {
    let wider = "- {name: wide, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}\n";
    for issue in [
        "subject: claims.absent",
        "subject: claims.number",
        "subject: '\"\"'",
        "name: claims.absent",
        "groups: claims.number",
        "groups: '[\"\"]'",
        "email: '\"nobody\"'",
        "email: '\"a@b,c@d\"'",
        "claims: {a: claims.absent}",
    ] {
        let policies = load(&format!("{}{wider}", policy("narrow", "true", issue)));
        let denied = Ask::with(r#"{"number":1}"#).decide(&policies).outcome.unwrap_err();
        assert_eq!(denied.policy.as_deref(), Some("narrow"), "{issue}");
        assert!(denied.refusal.reason.starts_with("narrow: issue."), "{}", denied.refusal.reason);
        assert_eq!(denied.refusal.told, "the exchange is not allowed");
    }
}

#[test]
fn attack_18_scopes_are_listed_or_refused() {
    let none = one("true", "");
    let some = one("true", "scopes: [openid, groups]");
    let ask = |policies, scopes| {
        Ask { scopes, ..Ask::default() }.decide(policies).outcome.map(|g| g.scopes.to_text())
    };
    assert_eq!(ask(&none, "openid"), Ok(Some("openid".into())));
    assert_eq!(ask(&some, "openid groups"), Ok(Some("openid groups".into())));
    for (policies, scopes) in
        [(&none, "groups"), (&some, "email"), (&some, "offline_access"), (&none, "federated:id")]
    {
        assert_eq!(ask(policies, scopes).unwrap_err().refusal.code.as_str(), "invalid_scope", "{scopes}");
    }
}

#[test]
fn attack_18_within_the_subject_token_or_not_at_all() {
    let policies = one("true", "withinSubject: true");
    let ask = |expires| Ask { expires, ..Ask::default() }.decide(&policies).outcome.map(|g| g.not_after);
    assert_eq!(ask(Some(NOW + 5)), Ok(Some(Time::from_unix(NOW + 5))));
    assert!(ask(Some(NOW)).is_err() && ask(Some(NOW - 1)).is_err() && ask(None).is_err());
}
