//! What does not load, and what is said of it.

use std::time::Duration;

use super::*;

/// Every fault, one a line, without positions.
fn faults_of(yaml: &str) -> Vec<String> {
    let (policies, faults) = read(yaml);
    if faults.has_errors() {
        assert!(Ask::default().decide(&policies).outcome.is_err(), "what is at fault is not in force");
    }
    faults.all().iter().map(|f| format!("{}: {}: {}; {}", f.severity, f.path, f.what, f.instead)).collect()
}

#[test]
fn all_faults_at_once_with_their_paths() {
    let found = faults_of(
        r#"
policies:
- name: two words
  subject: {connector: "", match: claims.a = 1}
  clients: []
  audience: [prod]
  issue: {subject: clams.sub, lifetime: 0s, scopes: [nonsense], claims: {sub: claims.sub, Grou\u0070s: '1'}, algorithm: HS256, emailVerified: 'true', allowSystem: ['system:*']}
- subject: {connector: gitlab}
  deny: true
  issue: {}
  clients: [""]
"#,
    );
    for (path, what) in [
        ("policies[0].name", "cannot be used as it is"),
        ("policies[0].subject.connector", "is empty"),
        ("policies[0].subject.match", "is no such expression: at 1:10"),
        ("policies[0].clients", "none means nobody"),
        ("policies[0].audiences", "is missing"),
        ("policies[0].audience", "is not a known key; did you mean audiences?"),
        ("policies[0].issue.subject", "did you mean `claims`?"),
        ("policies[0].issue.lifetime", "at least 1s"),
        ("policies[0].issue.scopes", "write some of openid"),
        ("policies[0].issue.claims.sub", "could be taken for, sub"),
        ("policies[0].issue.algorithm", "write one of"),
        ("policies[0].issue.email", "write both or neither"),
        ("policies[0].issue.allowSystem", "write what follows system: in full"),
        ("policies[1].name", "is missing"),
        ("policies[1].issue", "stands in a deny rule"),
        ("policies[1].clients", "list at least one, or remove it"),
    ] {
        let hit = found.iter().any(|f| f.starts_with(&format!("error: {path}: ")) && f.contains(what));
        assert!(hit, "{path}: {what}\n{found:#?}");
    }
}

#[test]
fn a_key_with_nothing_behind_it_is_a_fault() {
    let whole = "policies:\n- name: p\n  subject:\n    connector: gitlab\n    match: 'true'\n  deny: false\n  shadow: false\n  clients: [prod]\n  audiences: [prod]\n  issue:\n    withinSubject: true\n";
    assert!(!read(whole).1.has_errors());
    for (from, to) in [
        ("match: 'true'", "match:"),
        ("deny: false", "deny:"),
        ("shadow: false", "shadow:"),
        ("withinSubject: true", "withinSubject: ~"),
        ("clients: [prod]", "clients:"),
        ("audiences: [prod]", "audiences:"),
    ] {
        assert!(read(&whole.replace(from, to)).1.has_errors(), "{to}");
    }
}

#[test]
fn attack_16_free_claims_hold_nothing_that_obol_emits() {
    let twins =
        ["SUB", "\u{17f}ub", "Groups", "emai\u{fb02}", "_claim_names", "_Claim_Sources", "", "a\u{200b}"];
    for name in crate::issue::OWN_CLAIMS.iter().chain(&twins).filter(|name| **name != "emai\u{fb02}") {
        let issue = format!("claims: {{{}: '1'}}", serde_json::json!(name));
        let found = faults_of(&policy("p", "true", &issue));
        assert!(found.iter().any(|f| f.starts_with("error: policies[0].issue.claims")), "{name}: {found:?}");
    }
    one("true", "claims: {project: '1', \"https://example.com/sub\": '1'}");
}

#[test]
fn names_are_unique() {
    let one = "- {name: p, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}\n";
    let found = faults_of(&format!("policies:\n{one}{one}"));
    assert!(found.iter().any(|f| f.contains("policies[1]: has the name of policies[0]")), "{found:?}");
}

#[test]
fn a_policy_that_fails_its_own_tests_does_not_load() {
    let with = |test: &str| {
        format!("{}  tests:\n  - {test}\n", policy("p", r#"claims.a == "1""#, "subject: '\"s:\" + claims.a'"))
    };
    for (test, told) in [
        (r#"{claims: {a: "1"}, expect: deny}"#, r#"expects a deny, and p grants "s:1""#),
        (r#"{claims: {a: "2"}, expect: {subject: "s:2"}}"#, "expects to be granted, and is refused"),
        (r#"{claims: {a: "1"}, expect: {subject: "s:2"}}"#, r#"expects the subject "s:2", and it is "s:1""#),
        (r#"{claims: {a: "1"}, expect: {groups: [x]}}"#, "expects the groups"),
        (r#"{claims: {a: "1"}, expect: {claims: {x: 1}}}"#, "expects the claims"),
        (r#"{claims: {a: "1", aud: other}, expect: {}}"#, "is refused"),
        (r#"{claims: {a: "1"}, client: other, expect: {}}"#, "is refused"),
        (r#"{claims: {a: "1"}, audience: [other], expect: {}}"#, "is refused"),
        (r#"{claims: {a: "1", exp: soon}, expect: {}}"#, "has claims that no token can have"),
    ] {
        let found = faults_of(&with(test));
        let hit = found.iter().any(|f| f.starts_with("error: policies[0].tests[0]: ") && f.contains(told));
        assert!(hit, "{test}\n{found:?}");
    }
    load(&with(
        r#"{claims: {a: "1"}, client: prod, audience: [prod], expect: {subject: "s:1", groups: [], email: "", audience: [prod]}}"#,
    ));
    load(&with(r#"{claims: {a: "2"}, expect: deny}"#));
}

/// One test that says everything, and what is told of it once any part of it is something else.
#[test]
fn every_key_of_a_test_counts() {
    let whole = serde_json::json!({
        "claims": {"a": "1"},
        "identity": {
            "user_id": "u", "username": "n", "preferred_username": "p", "email": "e@example.com",
            "email_verified": true, "groups": ["g"],
        },
        "client": "ci", "audience": ["stage"], "scopes": ["email"],
        "expect": {
            "subject": "u", "name": "n", "preferredUsername": "p", "email": "e@example.com", "emailVerified": true,
            "groups": ["g"], "audience": ["stage"], "claims": {"client": "ci", "a": "1"},
        },
    });
    let with = |test: &serde_json::Value| {
        let policy = serde_json::json!({"policies": [{
            "name": "p", "subject": {"connector": "gitlab"}, "clients": ["prod", "ci"], "audiences": ["prod", "stage"],
            "issue": {
                "subject": "identity.user_id", "name": "identity.username", "email": "identity.email",
                "preferredUsername": "identity.preferred_username", "emailVerified": "identity.email_verified",
                "groups": "identity.groups", "claims": {"client": "client", "a": "claims.a"}, "scopes": ["email"],
            },
            "tests": [test],
        }]});
        policy.to_string()
    };
    load(&with(&whole));
    for (path, value, told) in [
        ("/claims/a", "2", "expects the claims"),
        ("/identity/user_id", "v", r#"expects the subject "u", and it is "v""#),
        ("/identity/username", "v", r#"expects the name "n", and it is "v""#),
        ("/identity/preferred_username", "v", r#"expects the preferredUsername "p", and it is "v""#),
        (
            "/identity/email",
            "f@example.com",
            r#"expects the email "e@example.com", and it is "f@example.com""#,
        ),
        ("/identity/email_verified", "false", "expects the emailVerified true, and it is false"),
        ("/identity/groups", "[h]", r#"expects the groups ["g"], and it is ["h"]"#),
        ("/client", "prod", "expects the claims"),
        ("/client", "nobody", "expects to be granted, and is refused"),
        ("/audience", "[prod]", r#"expects the audience ["stage"], and it is ["prod"]"#),
        ("/audience", "[nobody]", "expects to be granted, and is refused"),
        ("/scopes", "[profile]", "expects to be granted, and is refused: p: a scope is asked for"),
        ("/expect/subject", "v", "expects the subject"),
        ("/expect/name", "v", "expects the name"),
        ("/expect/preferredUsername", "v", "expects the preferredUsername"),
        ("/expect/email", "f@example.com", "expects the email"),
        ("/expect/emailVerified", "false", "expects the emailVerified"),
        ("/expect/groups", "[h]", "expects the groups"),
        ("/expect/audience", "[prod]", "expects the audience"),
        ("/expect/claims/client", "prod", "expects the claims"),
    ] {
        let mut test = whole.clone();
        *test.pointer_mut(path).unwrap() = match value {
            "false" => false.into(),
            list if list.starts_with('[') => vec![list.trim_matches(['[', ']'])].into(),
            text => text.into(),
        };
        let found = faults_of(&with(&test));
        assert!(
            found.iter().any(|f| f.contains("policies[0].tests[0]: ") && f.contains(told)),
            "{path}: {found:?}"
        );
    }
    for key in ["claims", "expect"] {
        let mut test = whole.clone();
        test.as_object_mut().unwrap().remove(key);
        let told = format!("error: policies[0].tests[0].{key}: is missing");
        assert!(faults_of(&with(&test)).iter().any(|f| f.starts_with(&told)), "{key}");
    }
    // What is there and wrong is not called missing.
    let mut test = whole;
    (test["claims"], test["scopes"]) = ("text".into(), vec!["nonsense"].into());
    let found = faults_of(&with(&test));
    for key in ["claims", "scopes"] {
        let told = format!("error: policies[0].tests[0].{key}: cannot be used as it is");
        assert!(found.iter().any(|f| f.starts_with(&told)), "{found:?}");
    }
}

#[test]
fn tests_ask_the_whole_set_in_its_order() {
    let yaml = r#"
policies:
- {name: all, subject: {connector: gitlab}, clients: [prod], audiences: [prod]}
- name: some
  subject: {connector: gitlab, match: 'claims.a == "1"'}
  clients: [prod]
  audiences: [prod]
  tests: [{claims: {a: "1"}, expect: {}}]
"#;
    let found = faults_of(yaml);
    assert!(found.iter().any(|f| f.contains("is granted by all, which stands before")), "{found:?}");
    load(&yaml.replace("{name: all,", "{name: all, shadow: true,"));
    let deny = "policies:\n- name: d\n  deny: true\n  subject: {connector: gitlab, match: 'claims.a == 1'}\n  tests: [{claims: {a: 1}, expect: deny}, {claims: {}, expect: deny}, {claims: {a: 2}, expect: pass}]\n";
    load(deny);
    assert_eq!(faults_of(&deny.replace("a: 2}", "a: 1}")).len(), 1);
    assert_eq!(faults_of(&deny.replace("{a: 1}", "{a: 3}")).len(), 1);
}

#[test]
fn warnings_for_what_is_seldom_meant() {
    for (matching, told) in [
        ("true", "lets in every token"),
        (r#"claims.a.matches("^a|b$")"#, "fits anywhere in the text, or at one end only"),
        (r#"claims.a.startsWith("repo:org")"#, "goes on in the same word"),
        (r#"claims.a.endsWith("example.com")"#, "merely begins otherwise"),
        (r#"claims.a.contains("x")"#, "fits anywhere"),
    ] {
        let (_, faults) = read(&policy("p", matching, ""));
        assert!(!faults.has_errors() && faults.to_string().contains(told), "{matching}: {faults}");
    }
    let (_, faults) =
        read(&policy("p", r#"claims.a.matches("^(?:a|b)$") && claims.b.startsWith("repo:org/")"#, ""));
    assert_eq!(faults.to_string(), "");
}

#[test]
fn connectors_must_be_configured() {
    let policies = load(
        "policies:\n- {name: p, subject: {connector: gitlap}, clients: [prod], audiences: [prod]}\n- {name: o, subject: {connector: self}, clients: [prod], audiences: [prod]}\n",
    );
    let faults = Faults::new();
    policies.check_connectors(&["gitlab"], &faults);
    let told = faults.to_string();
    assert!(
        told.contains("policies[0].subject.connector: names no configured connector; did you mean gitlab?"),
        "{told}"
    );
    assert_eq!(faults.errors().len(), 1);
}

#[test]
fn the_longest_lifetime() {
    let policies = load(&format!(
        "{}{}",
        policy("a", "true", "").replace("15m", "20m"),
        policy("b", "true", "").replace("policies:\n", "")
    ));
    assert_eq!(policies.longest_lifetime(), Duration::from_secs(1200));
    assert_eq!(load("{}").longest_lifetime(), Duration::ZERO);
}

#[test]
fn every_key_is_known_to_the_reference() {
    let faults = Faults::rehearsal();
    Policies::read(&config::Section::empty("tokenExchange"), &faults);
    let known: Vec<_> = faults.known_keys().into_iter().map(|key| key.pattern).collect();
    for key in [
        "name",
        "deny",
        "subject.match",
        "issue.claims",
        "issue.allowSystem",
        "tests[].claims",
        "tests[].expect.subject",
    ] {
        let pattern = format!("tokenExchange.policies[].{key}");
        assert!(known.contains(&pattern), "{pattern}: {known:?}");
    }
}
