//! Which policy decides, for whom and for what.

use super::*;

const TWO: &str = r#"
policies:
- name: first
  subject: {connector: gitlab, match: 'claims.project_path == "platform/infra"'}
  clients: [prod, other]
  audiences: [prod]
  issue: {subject: '"first"'}
- name: second
  subject: {connector: gitlab, match: 'claims.project_path.startsWith("platform/")'}
  clients: [prod]
  audiences: [prod, staging]
  issue: {subject: '"second"'}
- name: frozen
  deny: true
  subject: {connector: gitlab, match: 'claims.frozen == true'}
"#;

fn claims(path: &str) -> String {
    format!(r#"{{"project_path":"{path}","frozen":false}}"#)
}

#[test]
fn the_first_that_matches_decides() {
    let policies = load(TWO);
    let granted = Ask::with(&claims("platform/infra")).granted(&policies);
    assert_eq!((&*granted.policy, granted.subject.as_str()), ("first", "first"));
    assert_eq!(granted.audience, [Arc::from("prod")]);
    let granted =
        Ask { form: "audience=staging".into(), ..Ask::with(&claims("platform/infra")) }.granted(&policies);
    assert_eq!(granted.subject, "second", "the first does not offer this audience");
    let granted =
        Ask { form: "audience=prod".into(), ..Ask::with(&claims("platform/web")) }.granted(&policies);
    assert_eq!(granted.subject, "second");
}

#[test]
fn attack_17_deny_wins_wherever_it_stands_and_when_it_fails() {
    let policies = load(TWO);
    for claims in [
        r#"{"project_path":"platform/infra","frozen":true}"#,
        r#"{"project_path":"platform/infra"}"#,
        r#"{"project_path":"platform/infra","frozen":"true","x":1}"#,
    ] {
        let refused = Ask::with(claims).decide(&policies).outcome;
        let by = refused.as_ref().err().and_then(|denied| denied.policy.as_deref());
        let wanted = (!claims.contains("\"true\"")).then_some("frozen");
        assert_eq!(by, wanted, "{claims}");
    }
}

#[test]
fn attack_17_an_error_in_an_allow_policy_is_no_match() {
    let policies = load(TWO);
    let (code, reason) = Ask::with(r#"{"frozen":false}"#).refused(&policies);
    assert_eq!(code, "invalid_request");
    assert!(reason.contains("second") && reason.contains("there is no `project_path`"), "{reason}");
}

#[test]
fn attack_17_no_policy_is_a_refusal() {
    for yaml in ["policies: []", "{}", "policies:"] {
        let (policies, faults) = read(yaml);
        assert_eq!(Ask::default().refused(&policies), ("invalid_request", "no policy matches".into()));
        assert!(
            faults.warnings().iter().any(|fault| fault.what.contains("every exchange is refused")),
            "{faults}"
        );
    }
    let policies = load(TWO);
    assert_eq!(Ask { connector: "other", ..Ask::default() }.refused(&policies).0, "invalid_request");
    assert_eq!(Ask { client: "else", ..Ask::default() }.refused(&policies).0, "invalid_request");
    let (code, reason) = Ask::with(&claims("evil/infra")).refused(&policies);
    assert_eq!(code, "invalid_request");
    assert!(reason.ends_with("second: its match is false"), "{reason}");
}

#[test]
fn attack_18_audiences_are_offered_or_refused() {
    let policies = load(TWO);
    for (form, scopes, code) in [
        ("audience=elsewhere", "", "invalid_target"),
        ("audience=prod&audience=elsewhere", "", "invalid_target"),
        ("resource=https://prod.example.com", "", "invalid_target"),
        ("", "openid audience:server:client_id:elsewhere", "invalid_target"),
        ("audience=prod", "audience:server:client_id:elsewhere", "invalid_target"),
    ] {
        let ask = Ask { form: form.into(), scopes, ..Ask::with(&claims("platform/infra")) };
        assert_eq!(ask.refused(&policies).0, code, "{form} {scopes}");
    }
    let ask = Ask {
        form: "audience=staging&audience=staging".into(),
        scopes: "audience:server:client_id:prod",
        ..Ask::with(&claims("platform/web"))
    };
    assert_eq!(ask.granted(&policies).audience, [Arc::from("staging"), Arc::from("prod")]);
}

#[test]
fn attack_18_the_code_depends_on_what_is_asked_for_and_never_on_the_claims() {
    let policies = load(TWO);
    for path in ["platform/infra", "platform/web", "evil/infra"] {
        let ask = Ask { form: "audience=elsewhere".into(), ..Ask::with(&claims(path)) };
        assert_eq!(ask.refused(&policies).0, "invalid_target");
    }
}

#[test]
fn without_an_audience_the_policy_has_one_or_the_client_is_it() {
    let two = "policies:\n- {name: p, subject: {connector: gitlab}, clients: [a, c], audiences: [a, b]}\n";
    let policies = load(two);
    assert_eq!(Ask { client: "a", ..Ask::default() }.granted(&policies).audience, [Arc::from("a")]);
    assert_eq!(Ask { client: "c", ..Ask::default() }.refused(&policies).0, "invalid_target");
}

#[test]
fn leaving_the_audience_out_leads_past_no_deny_rule() {
    let yaml = r#"
policies:
- {name: p, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}
- {name: closed, deny: true, subject: {connector: gitlab}, audiences: [prod]}
"#;
    let by_list = load(yaml);
    let by_match = load(&yaml.replace(
        "{connector: gitlab}, audiences: [prod]}",
        "{connector: gitlab, match: '\"prod\" in audience'}}",
    ));
    for policies in [by_list, by_match] {
        for form in ["", "audience=prod"] {
            let decided = Ask { form: form.into(), ..Ask::default() }.decide(&policies);
            assert_eq!(decided.outcome.unwrap_err().policy.as_deref(), Some("closed"), "{form:?}");
        }
    }
}

#[test]
fn attack_07_every_audience_of_the_subject_token_is_accepted_or_it_is_not() {
    let in_token = |names: &[&str]| SubjectAudience::InToken(names.iter().map(|&name| name.into()).collect());
    let ours = one("true", "");
    let theirs = load(
        "policies:\n- {name: p, subject: {connector: gitlab, audiences: [vault, ci]}, clients: [prod], audiences: [prod]}\n",
    );
    for (audience, by_ours, by_theirs) in [
        (in_token(&[ISSUER]), true, false),
        (in_token(&[ISSUER, "vault"]), false, false),
        (in_token(&["vault"]), false, true),
        (in_token(&["vault", "ci"]), false, true),
        (in_token(&["vault", "other"]), false, false),
        (in_token(&["https://obol.example.com/"]), false, false),
        (in_token(&[]), false, false),
        (SubjectAudience::Introspected(vec![ISSUER.into()]), true, false),
        (SubjectAudience::Unknown, false, false),
    ] {
        let allowed =
            |policies| Ask { audience: audience.clone(), ..Ask::default() }.decide(policies).outcome.is_ok();
        assert_eq!((allowed(&ours), allowed(&theirs)), (by_ours, by_theirs), "{audience:?}");
    }
}

#[test]
fn deny_rules_narrowed_to_audiences_of_the_subject_token() {
    let policies = load(
        r#"
policies:
- {name: p, subject: {connector: gitlab, audiences: [a, b]}, clients: [prod], audiences: [prod]}
- {name: closed, deny: true, subject: {connector: gitlab, audiences: [b]}, clients: [prod]}
"#,
    );
    let ask = |names: &[&str]| {
        let audience = SubjectAudience::InToken(names.iter().map(|&name| name.into()).collect());
        Ask { audience, ..Ask::default() }.decide(&policies).outcome.is_ok()
    };
    assert!(ask(&["a"]) && !ask(&["b"]) && !ask(&["a", "b"]));
}

#[test]
fn shadow_policies_are_told_and_change_nothing() {
    let live = "- {name: p, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}\n";
    let shadows = r#"
- {name: would-deny, deny: true, shadow: true, subject: {connector: gitlab, match: '"prod" in audience'}}
- {name: would-not, deny: true, shadow: true, subject: {connector: gitlab, match: 'claims.project_path == "x"'}}
- {name: would-allow, shadow: true, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}
- {name: would-fail, shadow: true, subject: {connector: gitlab}, clients: [prod], audiences: [prod], issue: {subject: claims.nothing}}
"#;
    let alone = load(&format!("policies:\n{live}"));
    let both = load(&format!("policies:\n{live}{shadows}"));
    let only = load(&format!("policies:\n{shadows}"));
    let decided = Ask::default().decide(&both);
    assert_eq!(decided.outcome, Ask::default().decide(&alone).outcome);
    let told: Vec<_> = decided.shadows.iter().map(|s| (&*s.policy, s.allowed)).collect();
    assert_eq!(told, [("would-deny", false), ("would-allow", true), ("would-fail", false)]);
    assert_eq!(Ask::default().refused(&only).0, "invalid_request", "a shadow opens nothing");
}

#[test]
fn own_tokens_are_narrowed_and_keep_their_subject() {
    let policies = load(
        "policies:\n- {name: narrow, subject: {connector: self}, clients: [prod], audiences: [small], issue: {lifetime: 1h, scopes: [groups]}}\n",
    );
    let own = |scope: &str, scopes| Ask {
        connector: "self",
        claims: format!(
            r#"{{"sub":"CgcyMzQyNzQ5EgZnaXRodWI","aud":"prod","client_id":"prod","scope":"{scope}"}}"#
        ),
        identity: Identity { user_id: "CgcyMzQyNzQ5EgZnaXRodWI".into(), ..Identity::default() },
        audience: SubjectAudience::InToken(vec!["prod".into()]),
        expires: Some(NOW + 60),
        scopes,
        ..Ask::default()
    };
    let granted = own("openid groups", "groups").granted(&policies);
    assert_eq!(granted.subject, "CgcyMzQyNzQ5EgZnaXRodWI");
    assert_eq!(granted.not_after, Some(Time::from_unix(NOW + 60)));
    assert_eq!(own("openid", "groups").refused(&policies).0, "invalid_scope");
    let foreign = Ask { audience: SubjectAudience::InToken(vec!["other".into()]), ..own("openid", "") };
    assert_eq!(foreign.refused(&policies).0, "invalid_request");
}
