//! What holds for every answer.

use testkit::stage::CONFIG;

use crate::site::Site;

/// Every route: the methods that it takes, and whether scripts of other origins may call it.
const ROUTES: [(&str, &str, bool); 18] = [
    ("/dex/.well-known/openid-configuration", "GET,HEAD", true),
    ("/dex/.well-known/oauth-authorization-server", "GET,HEAD", true),
    ("/.well-known/oauth-authorization-server/dex", "GET,HEAD", true),
    ("/dex/keys", "GET,HEAD", true),
    ("/dex/token", "POST", true),
    ("/dex/userinfo", "GET,HEAD,POST", true),
    ("/dex", "GET,HEAD", true),
    ("/dex/auth", "GET,HEAD,POST", false),
    ("/dex/auth/up", "GET,HEAD", false),
    ("/dex/auth/up/login", "GET,HEAD,POST", false),
    ("/dex/callback", "GET,HEAD", false),
    ("/dex/approval", "GET,HEAD,POST", false),
    ("/dex/token/introspect", "POST", false),
    ("/dex/token/revoke", "POST", false),
    ("/dex/device", "GET,HEAD", false),
    ("/dex/device/code", "POST", false),
    ("/dex/device/auth/verify_code", "POST", false),
    ("/dex/healthz", "GET,HEAD", false),
];

#[tokio::test]
async fn the_routes_are_these() {
    let site = Site::new().await;
    for (path, methods, _) in ROUTES {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"] {
            let status = site.ask(method, path, &[], "").await.status.as_u16();
            assert_eq!(
                status != 405,
                methods.split(',').any(|known| known == method),
                "{method} {path}: {status}"
            );
            assert_ne!(status, 404, "{method} {path}");
            assert!(status < 500, "{method} {path}: {status}");
        }
    }
    let health = site.get("/dex/healthz").await;
    assert_eq!((health.status.as_u16(), &*health.body), (200, "Health check passed"));
    let style = site.get("/dex/static/obol.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(
        site.get("/dex").await.body.contains("https://obol.example/dex/.well-known/openid-configuration")
    );
}

#[tokio::test]
async fn everything_else_is_404() {
    let site = Site::new().await;
    let long = format!("/dex/{}", "a".repeat(60_000));
    for path in [
        "/",
        "/dex/",
        "/token",
        "/keys",
        "/dex/keys/",
        "/dex//keys",
        "/DEX/keys",
        "/dex/auth/",
        "/dex/auth/up/",
        "/dex/static/",
        "/dex/static/../keys",
        "/dex/static/%2e%2e/keys",
        "/dex%2fkeys",
        "/dex/introspect",
        &long,
    ] {
        assert_eq!(site.get(path).await.status, 404, "{path:.60}");
    }
}

/// On errors and on what is not there too.
#[tokio::test]
async fn attack_21_security_headers_are_everywhere() {
    let site = Site::with(&CONFIG.replace("web: {", "web: {allowedOrigins: ['https://spa.example'], ")).await;
    let mut paths: Vec<_> = ROUTES.iter().map(|route| route.0).collect();
    paths.extend(["/nowhere", "/dex/static/obol.css", "/dex/robots.txt", "/dex/auth/%ff/login"]);
    for path in paths {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let answer = site.ask(method, path, &[], "").await;
            let csp = answer.header("content-security-policy");
            assert!(
                csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
                "{method} {path}"
            );
            assert!(!csp.contains("unsafe"), "{csp}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{method} {path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn headers_are_the_configurations_to_change() {
    let own = "web: {headers: {Strict-Transport-Security: max-age=31536000, X-Frame-Options: SAMEORIGIN}, ";
    let answer = Site::with(&CONFIG.replace("web: {", own)).await.get("/dex").await;
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn attack_22_a_request_has_an_id_of_ours() {
    let site = Site::new().await;
    let mut seen = std::collections::HashSet::new();
    for path in ["/dex/keys", "/dex/keys", "/nowhere", "/dex/token"] {
        let answer = site.ask("GET", path, &[("x-request-id", "forged\tline")], "").await;
        let id = answer.header("x-request-id").to_owned();
        assert_eq!((id.len(), id.bytes().all(|b| b.is_ascii_hexdigit())), (16, true), "{id}");
        assert!(seen.insert(id));
    }
    site.stage.decisions();
    let answer = site.token("grant_type=client_credentials").await;
    assert_eq!(*site.stage.decisions().remove(0).request_id, *answer.header("x-request-id"));
}

/// RFC 9700 section 2.1 (18): never at the authorization endpoint.
#[tokio::test]
async fn cross_origin_calls_reach_only_documents_and_tokens() {
    let origins = |list: &str| CONFIG.replace("web: {", &format!("web: {{allowedOrigins: [{list}], "));
    let preflight = [("origin", "https://spa.example"), ("access-control-request-method", "POST")];
    let (named, any, none) = (
        Site::with(&origins("'https://spa.example'")).await,
        Site::with(&origins("'*'")).await,
        Site::new().await,
    );
    for (path, _, allowed) in ROUTES {
        for method in ["OPTIONS", "GET"] {
            let origin =
                |answer: crate::site::Answer| answer.header("access-control-allow-origin").to_owned();
            let said = named.ask(method, path, &preflight, "").await;
            assert!(said.headers.get("access-control-allow-credentials").is_none());
            assert_eq!(origin(said), if allowed { "https://spa.example" } else { "" }, "{method} {path}");
            let said = origin(any.ask(method, path, &preflight, "").await);
            assert_eq!(said, if allowed { "*" } else { "" }, "{method} {path}");
            assert_eq!(origin(none.ask(method, path, &preflight, "").await), "", "{method} {path}");
            let evil = [("origin", "https://spa.example.evil"), preflight[1]];
            assert_eq!(origin(named.ask(method, path, &evil, "").await), "", "{method} {path}");
        }
    }
    let headers = named.ask("OPTIONS", "/dex/token", &preflight, "").await;
    assert!(headers.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(named.get("/dex/nowhere").await.headers.get("access-control-allow-origin"), None);
}

/// What stands in the way of an endless request is the deadline, in the clock's time.
#[tokio::test]
async fn a_request_does_not_take_for_ever() {
    let site = Site::new().await;
    let gate = testkit::Gate::closed();
    let code = site.stage.sign_in("app", "openid").await;
    site.stage.store.plan(testkit::Verb::Get, testkit::Fault::HoldBefore(gate.clone()));
    let body = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    let waiting = site.token(&body);
    let late = async {
        gate.reached().await;
        site.stage.clock.until_sleeping(1).await;
        site.stage.clock.advance(std::time::Duration::from_secs(60));
    };
    let (answer, ()) = tokio::join!(waiting, late);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("x-frame-options"), "DENY");
}

/// What an answer says of us is the configuration's to say, whatever a caller claims to have asked.
#[tokio::test]
async fn attack_22_no_header_names_us() {
    let site = Site::with(&testkit::stage::every_grant()).await;
    let forged = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x_forwarded_host", "evil.example"),
        ("forwarded", "for=192.0.2.1;host=evil.example;proto=http"),
        ("x-original-url", "https://evil.example/"),
        ("x-remote-user", "admin"),
        ("x-client-cert", "evil"),
    ];
    let request = testkit::stage::authorization("app", "openid");
    for path in ["/dex/.well-known/openid-configuration", "/dex", "/dex/device", "/dex/auth?client_id=x"] {
        let (plain, with) = (site.get(path).await, site.ask("GET", path, &forged, "").await);
        let same = |answer: &crate::site::Answer| answer.body.replace(answer.header("x-request-id"), "");
        assert_eq!(same(&plain), same(&with), "{path}");
    }
    let begun = site.ask("GET", &format!("/dex/auth/up?{request}"), &forged, "").await;
    assert!(begun.header("location").contains("redirect_uri=https%3A%2F%2Fobol.example%2Fdex%2Fcallback"));
    assert!(begun.header("set-cookie").contains("; Secure"));
    let (app, form) = (testkit::stage::app(), crate::site::FORM);
    let with = [&forged[..], &[("authorization", &*app), form]].concat();
    let codes = site.ask("POST", "/dex/device/code", &with, "scope=openid").await.json();
    assert_eq!(codes["verification_uri"], "https://obol.example/dex/device");
    let tokens = site.ask("POST", "/dex/token", &with, "grant_type=client_credentials").await.json();
    let said = testkit::stage::claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(said["iss"], "https://obol.example/dex");
}
