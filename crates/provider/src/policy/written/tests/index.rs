//! The index leaves out only what cannot match, and leaves it out.

use super::*;
use crate::policy::written::case::Case;

fn candidates(policies: &Policies, claims: &str, asked: &[String]) -> (Vec<usize>, Vec<usize>) {
    let claims = Claims::parse(claims.as_bytes()).unwrap();
    let (identity, scopes) = (Identity { user_id: "u".into(), ..Identity::default() }, Scopes::default());
    let meant_for = vec![ISSUER.to_owned()];
    let case = Case {
        connector: "gitlab",
        client: "prod",
        claims: &claims,
        identity: &identity,
        meant_for: Some(&meant_for),
        expires: None,
        asked,
        scopes: &scopes,
        issuer: ISSUER,
        now: Time::from_unix(NOW),
    };
    (policies.live.allowing(&case).collect(), policies.live.denying(&case).collect())
}

#[test]
fn a_thousand_policies_and_few_candidates() {
    let mut yaml = String::from("policies:\n");
    for n in 0..1000 {
        let (client, audience) = if n % 100 == 0 { ("prod", "open") } else { ("prod", "prod") };
        let matching = match n % 100 {
            0 => "claims.n != 0".to_owned(),
            50 => format!("identity.user_id == \"u{n}\""),
            _ => format!("claims.protected == \"true\" && claims.deep.n == \"{n}\""),
        };
        let deny = if n % 10 == 3 { "  deny: true\n" } else { "" };
        yaml += &format!(
            "- name: p{n}\n{deny}  subject: {{connector: gitlab, match: '{matching}'}}\n  clients: [{client}]\n  audiences: [{audience}]\n"
        );
    }
    yaml += "- {name: elsewhere, subject: {connector: other}, clients: [prod], audiences: [prod]}\n";
    yaml += "- {name: not-mine, subject: {connector: gitlab}, clients: [other], audiences: [prod]}\n";
    let policies = load(&yaml);
    let claims = |n: &str| format!(r#"{{"protected":"true","deep":{{"n":{n}}}}}"#);
    let prod = ["prod".to_owned()];
    assert_eq!(candidates(&policies, &claims("\"777\""), &prod), (vec![777], vec![]));
    assert_eq!(candidates(&policies, &claims("\"773\""), &prod), (vec![], vec![773]));
    let open = [0, 100, 200, 300, 400, 500, 600, 700, 777, 800, 900];
    assert_eq!(candidates(&policies, &claims("\"777\""), &["open".to_owned()]).0, open);
    assert_eq!(candidates(&policies, &claims("\"777\""), &[]).0, open);
    assert_eq!(
        candidates(&policies, &claims("777"), &prod),
        (vec![], (0..1000).filter(|n| n % 10 == 3).collect()),
        "a number is no text, and an error"
    );
    let (allowing, denying) = candidates(&policies, "{}", &prod);
    assert!(allowing.is_empty());
    assert_eq!(denying.len(), 100, "a deny rule whose claim is missing fails, and so denies");
}
