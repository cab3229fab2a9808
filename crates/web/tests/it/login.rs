//! The way through a browser: cookies, pages, redirects.

use testkit::stage::{CONFIG, Stage, authorization, parameter};
use testkit::upstream::{Door, NAME, PASSWORD, Upstream};

use crate::site::{Answer, Site};

async fn site(config: &str) -> Site {
    let passwords = Upstream::new("https://passwords.example", Door::Password);
    let connectors = |up: &std::sync::Arc<Upstream>| {
        let mut local = passwords.opened("lo cal", &[]);
        local.name = "<Local> & \"friends\"".into();
        vec![up.opened("up", &[]), local]
    };
    Site::on(Stage::with(config, connectors).await, config)
}

/// Name and value, as the browser sends them back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// From the choice of a connector to the password form.
async fn to_the_form(site: &Site) -> (String, String) {
    let begun = site.get(&format!("/dex/auth/lo%20cal?{}", authorization("app", "openid"))).await;
    assert_eq!(begun.status, 303);
    (cookie(&begun), begun.header("location").to_owned())
}

#[tokio::test]
async fn a_person_signs_in_with_a_password() {
    let site = site(CONFIG).await;
    let request = authorization("app", "openid email");
    let choose = site.get(&format!("/dex/auth?{request}")).await;
    assert_eq!(choose.status, 200);
    assert!(choose.body.contains("&lt;Local&gt; &amp; &quot;friends&quot;"), "{}", choose.body);
    assert!(choose.body.contains("/dex/auth/lo%20cal?client_id=app"), "{}", choose.body);
    let (cookie, form) = to_the_form(&site).await;
    assert!(form.starts_with("/dex/auth/lo%20cal/login?state="), "{form}");
    let page = site.ask("GET", &form, &[("cookie", &cookie)], "").await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-store"));
    assert!(page.body.contains("Sign in another way</a>"), "{}", page.body);
    assert!(page.body.contains("autocomplete=\"current-password\"") && !page.body.contains("<script"));

    let evil = "login=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&password=canary-wrong";
    let wrong = site.post(&form, &[("cookie", &cookie), ("sec-fetch-site", "same-origin")], evil).await;
    assert_eq!(wrong.status, 401);
    assert!(!wrong.body.contains("<script>") && !wrong.body.contains("canary-wrong"), "{}", wrong.body);
    let right = format!("login={NAME}&password={PASSWORD}");
    let signed_in = site.post(&form, &[("cookie", &cookie)], &right).await;
    assert_eq!(signed_in.status, 303, "never 307, which would send the password on");
    let consent = signed_in.header("location").to_owned();
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let page = site.ask("GET", &consent, &[("cookie", &cookie)], "").await;
    assert!(page.status == 200 && page.body.contains("App") && page.body.contains(NAME));
    let decision = format!("req={}&approval=approve", parameter(&consent, "req").unwrap());
    let done = site.post("/dex/approval", &[("cookie", &cookie)], &decision).await;
    assert_eq!(done.status, 303);
    assert!(done.header("location").starts_with("https://app.example/cb?code="));
    assert!(done.header("set-cookie").contains("Max-Age=0"), "{}", done.header("set-cookie"));
    assert_eq!(done.header("cache-control"), "no-store");
}

/// The page of a client with an image may load that, and nothing else from there or elsewhere.
#[tokio::test]
async fn a_client_s_image_is_shown_where_it_asks() {
    let policies = async |logo: &str| {
        let config = CONFIG.replace("name: App,", &format!("name: App, logoURL: '{logo}',"));
        let site = site(&config).await;
        let (before, form) = to_the_form(&site).await;
        let page = site.ask("GET", &form, &[("cookie", &before)], "").await;
        let right = format!("login={NAME}&password={PASSWORD}");
        let signed_in = site.post(&form, &[("cookie", &before)], &right).await;
        let consent =
            site.ask("GET", signed_in.header("location"), &[("cookie", &cookie(&signed_in))], "").await;
        let policy = |answer: &Answer| answer.header("content-security-policy").to_owned();
        (policy(&page), policy(&consent), consent.body)
    };
    let (before, consent, body) = policies("https://app.example/a/logo.png?v=1").await;
    assert!(body.contains(r#"<img class="logo" src="https://app.example/a/logo.png?v=1" alt="">"#), "{body}");
    assert!(before.contains("img-src 'self';"), "{before}");
    assert_eq!(consent, before.replace("img-src 'self'", "img-src 'self' https://app.example"));
    for none in ["", "http://app.example/logo.png", "javascript:alert(1)", "data:image/png,x", "logo.png"] {
        let (before, consent, body) = policies(none).await;
        assert!(before == consent && !body.contains("<img"), "{none}: {consent}");
    }
}

#[tokio::test]
async fn attack_21_the_cookie_is_bound() {
    for (config, secure, path) in [
        (CONFIG.to_owned(), true, "/dex"),
        (CONFIG.replace("https://obol.example/dex", "http://127.0.0.1:5556"), false, "/"),
    ] {
        let site = site(&config).await;
        let begun = site
            .get(&format!("{}/auth/up?{}", if secure { "/dex" } else { "" }, authorization("app", "openid")))
            .await;
        let flags: Vec<_> = begun.header("set-cookie").split("; ").skip(1).collect();
        let mut expected =
            vec![format!("Path={path}"), "Max-Age=86400".into(), "HttpOnly".into(), "SameSite=Lax".into()];
        if secure {
            expected.push("Secure".into());
        }
        assert_eq!(flags, expected);
        assert!(begun.header("set-cookie").starts_with("obol_attempt_"));
    }
}

#[tokio::test]
async fn attack_21_a_form_from_another_site_is_refused() {
    let site = site(CONFIG).await;
    let (cookie, form) = to_the_form(&site).await;
    let right = format!("login={NAME}&password={PASSWORD}");
    for from in ["cross-site", "same-site", "evil"] {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", from)];
        assert_eq!(site.post(&form, &headers, &right).await.status, 403, "{from}");
        for path in ["/dex/approval", "/dex/device/auth/verify_code"] {
            assert_eq!(site.post(path, &headers, "approval=approve").await.status, 403, "{from} {path}");
        }
    }
    assert_eq!(site.post(&form, &[], &right).await.status, 400, "without the cookie it is nobody's");
    assert!(site.stage.memory.is_empty());
}

#[tokio::test]
async fn bad_requests_are_pages_or_go_back() {
    let site = site(CONFIG).await;
    let good = authorization("app", "openid");
    let twice = format!("{good}&state=again");
    for (path, status) in [
        (format!("/dex/auth?{}", good.replace("=app", "=nobody")), 400),
        (format!("/dex/auth/up?{}", good.replace("=app", "=nobody")), 404),
        (format!("/dex/auth/up?{}", good.replace("app.example", "evil.example")), 400),
        (format!("/dex/auth/nowhere?{good}"), 400),
        (format!("/dex/auth/self?{good}"), 400),
        (format!("/dex/auth/up?{twice}"), 400),
        (format!("/dex/auth/up?{good}&x=%zz"), 400),
        ("/dex/auth/up".into(), 400),
        ("/dex/auth/%ff".into(), 400),
        ("/dex/auth/up/login".into(), 400),
        ("/dex/callback".into(), 400),
        ("/dex/callback?state=%3Cscript%3E".into(), 400),
        ("/dex/approval".into(), 400),
        ("/dex/approval?req=a&req=b".into(), 400),
    ] {
        let answer = site.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (status, ""), "{path}");
        assert!(answer.headers.get("set-cookie").is_none() && !answer.body.contains("<script>"), "{path}");
    }
    let back = site.get(&format!("/dex/auth/up?{good}&prompt=none")).await;
    assert_eq!(back.status, 303);
    assert!(back.header("location").starts_with("https://app.example/cb?error=login_required&"));
    let raw = format!("{good}&connector_id=up&login_hint=\u{e9} \"<x>\r\nSet-Cookie: a=b");
    let by_post = site.post("/dex/auth", &[], &raw).await;
    assert_eq!(by_post.status, 303, "{}", by_post.body);
    assert!(by_post.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn frontend_issuer_is_the_title_of_every_page() {
    let named = site(&format!("{CONFIG}frontend: {{issuer: Example & Sons}}\n")).await;
    let choose = named.get(&format!("/dex/auth?{}", authorization("app", "openid"))).await;
    let error = named.get("/dex/auth?client_id=nobody").await;
    for page in [&choose, &error, &named.get("/dex").await] {
        assert!(page.body.contains("Example &amp; Sons</title>"), "{}", page.body);
    }
    assert!(site(CONFIG).await.get("/dex").await.body.contains("Obol</title>"));
}

/// OAuth 2.0 Form Post Response Mode: a page that sends itself, by a script of our own and by nothing else.
#[tokio::test]
async fn attack_21_a_form_post_runs_one_script_of_our_own() {
    let config = CONFIG.replace("oauth2:", "oauth2:\n  skipApprovalScreen: true");
    let own = config.replace("web: {", "web: {headers: {Content-Security-Policy: \"default-src 'none'\"}, ");
    for (config, policy) in [(&config, "script-src 'self'"), (&own, "default-src 'none'")] {
        let site = site(config).await;
        let request = format!(
            "{}&response_mode=form_post",
            authorization("app", "openid").replace("xyz", "%22%3E%3Cscript%3E")
        );
        let begun = site.get(&format!("/dex/auth/up?{request}")).await;
        let cookie = cookie(&begun);
        let state = parameter(begun.header("location"), "state").unwrap();
        let page = site
            .ask("GET", &format!("/dex/callback?state={state}&code=good"), &[("cookie", &cookie)], "")
            .await;
        assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, "no-store"), "{}", page.body);
        let csp = page.header("content-security-policy");
        assert!(csp.ends_with(policy) && !csp.contains("unsafe"), "{csp}");
        assert!(page.body.contains(r#"<form method="post" action="https://app.example/cb" id="submit">"#));
        assert!(
            page.body.contains(r#"name="code" value=""#) && page.body.contains("<button type=\"submit\"")
        );
        assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
        assert!(page.body.contains(r#"<script src="/dex/static/submit.js" defer></script>"#));
        assert!(page.header("set-cookie").contains("Max-Age=0"));
    }
    let site = site(&config).await;
    let script = site.get("/dex/static/submit.js").await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    let elsewhere = site.get("/dex").await;
    assert!(!elsewhere.header("content-security-policy").contains("script-src"));
}
