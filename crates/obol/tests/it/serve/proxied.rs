//! A person whom a proxy has signed in: from the application's request to the code.

use super::{Answer, Plan, Serving};

async fn serving(trusted: &str) -> Serving {
    let plan = Plan::new();
    let config = plan
        .usual("oauth2: {skipApprovalScreen: true}")
        .replace("oauth2: {grantTypes: [client_credentials]}\n", "");
    let connector =
        format!("{{type: authproxy, id: a b, name: Proxy, config: {{trustedProxies: [{trusted}]}}}}");
    let config = config.replace("{type: mockCallback, id: mock, name: Mock}", &connector).replace(
        "secret: canary-secret}",
        "secret: canary-secret, redirectURIs: ['https://app.example/callback']}",
    );
    plan.serve(&config).await
}

/// Begins, and follows to the place that the proxy guards, with these header lines.
fn arrive(serving: &Serving, at: Option<&str>, lines: &str) -> Answer {
    let ask = "/auth/a%20b?client_id=robot&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&response_type=code&scope=openid&state=s";
    let begun = serving.get(ask);
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let to = begun.header("location").unwrap().to_owned();
    assert!(to.starts_with("/callback/a%20b?state="), "{to}");
    let to = at.map_or_else(|| to.clone(), |other| to.replace("a%20b", other));
    serving.wire.get_with(&to, &format!("Cookie: {cookie}\r\n{lines}")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_22_a_person_comes_in_through_a_trusted_proxy_alone() {
    let trusting = serving("127.0.0.0/8").await;
    let arrived = arrive(&trusting, None, "X-Remote-User: ana\r\n");
    let to = arrived.header("location").unwrap_or_else(|| panic!("{arrived:?}"));
    assert!(to.contains("/approval?") || to.starts_with("https://app.example/callback?code="), "{to}");
    assert_eq!(arrive(&trusting, None, "").status, 502, "no header");
    assert_eq!(
        arrive(&trusting, Some("other"), "X-Remote-User: ana\r\n").status,
        400,
        "another connector's place"
    );
    for spelling in ["%61%20b", "a%20%62", "a+b", "A%20b", "a%20b%00"] {
        let answer = arrive(&trusting, Some(spelling), "X-Remote-User: ana\r\n");
        assert_eq!(answer.status, 400, "{spelling}: the proxy guards another path");
    }
    let strict = serving("10.0.0.0/8").await;
    let refused = arrive(&strict, None, "X-Remote-User: ana\r\nX-Forwarded-For: 10.0.0.1\r\n");
    assert_eq!(refused.status, 403, "{refused:?}");
    let log = strict.log_with("trustedProxies").await;
    assert!(log.contains("127.0.0.1 is not among trustedProxies"), "{log}");
}
