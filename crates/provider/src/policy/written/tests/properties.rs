//! What no policy and no claims can bring about.

use proptest::prelude::*;

use super::*;
use crate::issue::OWN_CLAIMS;

/// Texts that try something, and others.
fn text() -> impl Strategy<Value = String> {
    let hostile = [
        "system:masters",
        "system:node:n1",
        "System:masters",
        " system:masters",
        "platform/infra",
        "true",
        "",
        "CgVhZG1pbhIFbG9jYWw",
        "a\r\nb",
        "a,b",
        "*",
        "prod",
    ];
    prop_oneof![
        3 => proptest::sample::select(hostile.to_vec()).prop_map(str::to_owned),
        1 => "[a-z:/*,@. ]{0,12}",
        1 => ".{0,8}",
    ]
}

fn claims() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => text().prop_map(|t| serde_json::json!(t)),
        1 => proptest::collection::vec(text(), 0..3).prop_map(|t| serde_json::json!(t)),
        1 => any::<i32>().prop_map(|n| serde_json::json!(n)),
        1 => any::<bool>().prop_map(|b| serde_json::json!(b)),
        1 => Just(serde_json::Value::Null),
        1 => text().prop_map(|t| serde_json::json!({ "b": t })),
    ];
    proptest::collection::btree_map(proptest::sample::select(vec!["a", "b", "c", "d"]), value, 0..4)
        .prop_map(|claims| serde_json::json!(claims).to_string())
}

fn expression() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "claims.a",
        "claims.b",
        "claims.a.b",
        "string(claims.c)",
        "claims.a + claims.b",
        "\"system:\" + claims.a",
        "\"x:\" + claims.b",
        "identity.user_id",
        "client",
        "claims.d",
        "claims[\"b\"]",
    ])
    .prop_map(str::to_owned)
}

fn matching() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        (proptest::sample::select(vec!["claims.a", "claims.b", "claims.a.b", "identity.user_id"]), text())
            .prop_map(|(path, text)| format!(
                "{path} == {}",
                serde_json::json!(text.replace(|c: char| !c.is_ascii_graphic(), ""))
            ),),
        Just("claims.a != \"true\"".to_owned()),
        Just("has(claims.c)".to_owned()),
        Just("claims.d == true".to_owned()),
        Just("\"prod\" in audience".to_owned()),
        Just("true".to_owned()),
    ];
    proptest::collection::vec(atom, 1..4).prop_map(|atoms| atoms.join(" && "))
}

#[derive(Debug, Clone)]
struct Made {
    deny: bool,
    matching: String,
    /// `subject.claims`; empty: not written.
    patterns: std::collections::BTreeMap<&'static str, serde_json::Value>,
    clients: Vec<&'static str>,
    audiences: Vec<&'static str>,
    issue: serde_json::Value,
}

fn patterns() -> impl Strategy<Value = std::collections::BTreeMap<&'static str, serde_json::Value>> {
    let one = proptest::sample::select(vec![
        "platform/*",
        "system:*",
        "true",
        "a,b",
        "*",
        "prod",
        "platform/infra",
    ]);
    let several = proptest::collection::vec(one.clone(), 1..3).prop_map(|all| serde_json::json!(all));
    let value = prop_oneof![one.prop_map(|text| serde_json::json!(text)), several];
    let some = proptest::collection::btree_map(proptest::sample::select(vec!["a", "b", "/a/b"]), value, 1..3);
    prop_oneof![2 => Just(std::collections::BTreeMap::new()), 1 => some]
}

fn made() -> impl Strategy<Value = Made> {
    let names = |all: [&'static str; 3]| proptest::sample::subsequence(all.to_vec(), 1..=3);
    let issue = (
        proptest::option::of(expression()),
        proptest::option::of(expression()),
        proptest::option::of(expression()),
        proptest::collection::btree_map("[x-z]", expression(), 0..3),
        1_u64..100_000,
        any::<bool>(),
    )
        .prop_map(|(subject, name, groups, claims, lifetime, within)| {
            let mut issue = serde_json::json!({
                "claims": claims, "lifetime": format!("{lifetime}s"), "withinSubject": within,
                "allowSystem": ["system:node:*"],
            });
            for (key, value) in [("subject", subject), ("name", name), ("groups", groups)] {
                if let Some(value) = value {
                    issue[key] = value.into();
                }
            }
            issue
        });
    (
        proptest::bool::weighted(0.2),
        (matching(), patterns()),
        names(["prod", "web", "ci"]),
        names(["prod", "stage", "dev"]),
        issue,
    )
        .prop_map(|(deny, (matching, patterns), clients, audiences, issue)| Made {
            deny,
            matching,
            patterns,
            clients,
            audiences,
            issue,
        })
}

fn yaml(all: &[Made]) -> String {
    let one = |(n, made): (usize, &Made)| {
        let mut policy = serde_json::json!({
            "name": format!("p{n}"), "deny": made.deny, "clients": made.clients, "audiences": made.audiences,
            "subject": { "connector": "gitlab", "match": made.matching },
        });
        if !made.patterns.is_empty() {
            policy["subject"]["claims"] = serde_json::json!(made.patterns);
        }
        if !made.deny {
            policy["issue"] = made.issue.clone();
        }
        policy
    };
    serde_json::json!({ "policies": all.iter().enumerate().map(one).collect::<Vec<_>>() }).to_string()
}

fn ask(claims: &str, asked: &str) -> Ask {
    Ask { form: asked.to_owned(), ..Ask::with(claims) }
}

fn asked() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "",
        "audience=prod",
        "audience=stage",
        "audience=prod&audience=dev",
        "audience=no",
    ])
}

fn strings(value: &wire::json::Value, all: &mut Vec<String>) {
    match value {
        wire::json::Value::Str(text) => all.push(text.clone()),
        wire::json::Value::List(items) => items.iter().for_each(|item| strings(item, all)),
        wire::json::Value::Object(members) => members.iter().for_each(|(_, value)| strings(value, all)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_granted_is_narrow(all in proptest::collection::vec(made(), 1..5), claims in claims(), asked in asked()) {
        let policies = load(&yaml(&all));
        let Ok(granted) = ask(&claims, asked).decide(&policies).outcome else { return Ok(()) };
        let policy = &all[granted.policy.trim_start_matches('p').parse::<usize>().unwrap()];
        prop_assert!(!policy.deny && policy.clients.contains(&"prod"));
        prop_assert!(!granted.audience.is_empty());
        prop_assert!(granted.audience.iter().all(|name| policy.audiences.contains(&&**name)));
        prop_assert_eq!(format!("{}s", granted.lifetime.as_secs()), policy.issue["lifetime"].as_str().unwrap());
        prop_assert_eq!(granted.not_after.is_some(), policy.issue["withinSubject"].as_bool().unwrap());
        prop_assert!(granted.not_after.is_none_or(|end| end.unix() <= NOW + 3600));
        prop_assert!(granted.free.iter().all(|(name, _)| !OWN_CLAIMS.contains(&name.as_str())));
        prop_assert_eq!(granted.profile.email, None);
        let own = wire::dex::Pair::new("project_path:platform/infra", "gitlab").encode();
        prop_assert!(wire::dex::Pair::decode(&granted.subject).is_none() || granted.subject == own);
        let mut names = granted.profile.groups;
        names.push(granted.subject);
        names.extend(granted.profile.name);
        granted.free.iter().for_each(|(_, value)| strings(value, &mut names));
        for name in names {
            let system = name.trim().to_lowercase().starts_with("system:");
            prop_assert!(!system || name.strip_prefix("system:node:").is_some_and(|rest| !rest.contains([':', '/'])), "{}", name);
        }
    }

    #[test]
    fn no_free_claim_is_taken_for_one_of_obols(own in proptest::sample::select(OWN_CLAIMS.to_vec()), upper in any::<u32>(), extra in "[ \\u{200b}s\\u{17f}_]{0,2}", at in 0_usize..8) {
        let mut name: String = own.char_indices().map(|(n, c)| if upper >> (n % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c }).collect();
        name.insert_str(at.min(name.len()), &extra);
        let issue = format!("claims: {{{}: '1'}}", serde_json::json!(name));
        let (policies, faults) = read(&policy("p", "true", &issue));
        match Ask::default().decide(&policies).outcome {
            Ok(granted) => {
                prop_assert!(!faults.has_errors());
                let plain = |text: &str| text.to_uppercase().to_lowercase();
                prop_assert!(granted.free.iter().all(|(free, _)| !OWN_CLAIMS.contains(&plain(free).as_str())), "{name:?}");
            }
            Err(_) => prop_assert!(faults.has_errors(), "{name:?} is refused without a word"),
        }
    }

    #[test]
    fn no_policy_makes_another_connector_s_subject(user in "[a-z:/]{0,6}", connector in "[a-z]{0,6}") {
        let pair = wire::dex::Pair::new(&*user, &*connector).encode();
        let policies = one("true", "subject: claims.x");
        let asked = Ask::with(&serde_json::json!({ "x": pair }).to_string());
        let own = user == "project_path:platform/infra" && connector == "gitlab";
        let named = wire::dex::Pair::decode(&pair).is_some();
        prop_assert!(asked.decide(&policies).outcome.is_err() || own || !named, "{user} {connector}");
    }

    #[test]
    fn deny_always_wins(all in proptest::collection::vec(made(), 1..5), deny in matching(), at in 0_usize..5, claims in claims(), asked in asked()) {
        let by_audience = deny.contains("audience");
        let rule = Made { deny: true, matching: deny, patterns: std::collections::BTreeMap::new(), clients: vec!["prod"], audiences: vec!["prod", "stage", "dev"], issue: serde_json::Value::Null };
        let alone = load(&yaml(std::slice::from_ref(&rule)));
        let would = ask(&claims, asked).decide(&alone).outcome.unwrap_err().policy.is_some();
        let mut with = all.clone();
        with.insert(at.min(all.len()), rule);
        let decided = ask(&claims, asked).decide(&load(&yaml(&with))).outcome;
        // Without an audience in the request, a rule about audiences speaks of the one that a policy would give.
        if would && !(asked.is_empty() && by_audience) {
            prop_assert!(decided.is_err());
        }
        // And a deny rule never opens what was closed.
        let before = ask(&claims, asked).decide(&load(&yaml(&all))).outcome;
        prop_assert!(before.is_ok() || decided.is_err());
    }

    #[test]
    fn a_policy_that_cannot_match_changes_nothing(all in proptest::collection::vec(made(), 0..4), mut other in made(), claims in claims(), asked in asked()) {
        let before = ask(&claims, asked).decide(&load(&yaml(&all))).outcome;
        // Last, so that the names of the others stay.
        other.deny = false;
        other.matching = format!("claims.b == \"never \" && ({})", other.matching);
        let mut with = all;
        with.push(other);
        let after = ask(&claims, asked).decide(&load(&yaml(&with))).outcome;
        match (before, after) {
            (Ok(before), Ok(after)) => prop_assert_eq!(before, after),
            (Err(before), Err(after)) => prop_assert_eq!(before.policy, after.policy),
            (before, after) => prop_assert!(false, "{:?} {:?}", before, after),
        }
    }

    #[test]
    fn the_index_gives_the_answer_of_looking_at_all(all in proptest::collection::vec(made(), 1..6), claims in claims(), asked in asked()) {
        let plain: Vec<_> = all
            .iter()
            .map(|made| Made { matching: format!("{} || false", paren(&made.matching)), patterns: twice(&made.patterns), ..made.clone() })
            .collect();
        // The same expressions, in a form that gives the index no conjunct to go by.
        let indexed = ask(&claims, asked).decide(&load(&yaml(&all))).outcome;
        let looked_at = ask(&claims, asked).decide(&load(&yaml(&plain))).outcome;
        prop_assert_eq!(indexed.as_ref().ok(), looked_at.as_ref().ok());
        let by = |outcome: &Result<Granted, crate::policy::Denied>| outcome.as_ref().err().map(|d| (d.policy.clone(), d.refusal.code));
        prop_assert_eq!(by(&indexed), by(&looked_at));
    }
}

/// Each plain text as a list of twins, which the index cannot use.
fn twice(
    patterns: &std::collections::BTreeMap<&'static str, serde_json::Value>,
) -> std::collections::BTreeMap<&'static str, serde_json::Value> {
    let twin = |value: &serde_json::Value| match value {
        serde_json::Value::Array(all) => serde_json::json!([all.clone(), all.clone()].concat()),
        one => serde_json::json!([one, one]),
    };
    patterns.iter().map(|(name, value)| (*name, twin(value))).collect()
}

fn paren(text: &str) -> String {
    format!("({text})")
}
