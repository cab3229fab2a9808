//! Signing in: whose attempt it is, where errors go, what is written.

use std::time::Duration;

use ambient::Secret;
use provider::login::{Answer, Ask, Reply, Stop};
use provider::store::Kind;
use testkit::stage::{CONFIG, ISSUER, Stage, authorization, held, location, parameter, peer};
use testkit::upstream::{Door, Mood, NAME, PASSWORD, Upstream};
use testkit::{Fault, Verb};
use wire::form::Form;

const GRANT: Kind = Kind("grant");
const ATTEMPT: Kind = Kind("attempt");

async fn authorize(stage: &Stage, query: &str) -> Result<Reply, Stop> {
    stage.provider.authorize(&peer(), query, &Form::parse(query, &[]).unwrap()).await
}

async fn begin(stage: &Stage, query: &str) -> Result<Reply, Stop> {
    stage.provider.begin_login(&peer(), "up", &Form::parse(query, &[]).unwrap(), None).await
}

async fn decide(stage: &Stage, attempt: &str, agreed: bool, cookie: Option<&str>) -> Result<Reply, Stop> {
    stage.provider.submit_consent(&peer(), attempt, agreed, cookie).await
}

/// The consent page's attempt after a good sign-in, and the cookie that opens it.
async fn signed_in(stage: &Stage, cookie: &str, state: &str) -> (String, String) {
    let reply = stage.callback(&format!("state={state}&code=good"), Some(cookie)).await.unwrap();
    (parameter(&location(&reply), "req").unwrap(), held(&reply))
}

#[track_caller]
fn page(outcome: Result<Reply, Stop>) -> u16 {
    match outcome {
        Err(Stop::Page { status, .. }) => status,
        other => panic!("no page but {other:?}"),
    }
}

/// Where the client is told an error.
#[track_caller]
fn back(outcome: Result<Reply, Stop>) -> String {
    match outcome {
        Err(Stop::Back { way, code, told }) => match way.error(ISSUER, code, &told) {
            Some(Answer::Redirect(to)) => to,
            other => panic!("no redirect but {other:?}"),
        },
        other => panic!("not back at the client but {other:?}"),
    }
}

#[tokio::test]
async fn dex_l7_attack_21_an_attempt_belongs_to_one_browser() {
    let stage = Stage::new().await;
    let request = authorization("app", "openid");
    let (mine, my_state) = stage.depart(&request).await;
    let (theirs, their_state) = stage.depart(&request).await;
    let renamed = format!("obol_attempt_{their_state}={}", mine.split_once('=').unwrap().1);
    for (state, cookie) in [
        (&their_state, None),
        (&their_state, Some(mine.as_str())),
        (&their_state, Some(&*renamed)),
        (&my_state, Some(theirs.as_str())),
        (&my_state, Some("obol_attempt_x=y; =; ;")),
        (&my_state, mine.get(..mine.len() - 2)),
    ] {
        let back = format!("state={state}&code=good");
        assert_eq!(page(stage.callback(&back, cookie).await), 400, "{cookie:?}");
    }
    for query in ["code=good", "state=&code=good", "state=..%2F&code=good"] {
        assert_eq!(page(stage.callback(query, Some(&mine)).await), 400);
    }
    assert!(stage.memory.is_empty());
    // Consent too is the browser's that signed in: the cookie from before, which somebody may have planted, opens nothing.
    let (attempt, now_mine) = signed_in(&stage, &mine, &my_state).await;
    for cookie in [None, Some(theirs.as_str()), Some(mine.as_str())] {
        assert_eq!(page(decide(&stage, &attempt, true, cookie).await), 400);
        assert_eq!(page(stage.provider.consent_page(&peer(), &attempt, cookie).await), 400);
    }
    assert_eq!(page(decide(&stage, &their_state, true, Some(&theirs)).await), 400, "nobody signed in there");
    assert!(stage.memory.all(GRANT).is_empty());
    decide(&stage, &attempt, true, Some(&format!("{theirs}; {now_mine}"))).await.unwrap();
}

#[tokio::test]
async fn consent_sent_twice_gives_one_code() {
    let stage = Stage::new().await;
    let (cookie, state) = stage.depart(&authorization("app", "openid")).await;
    let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
    for verb in [Verb::Get, Verb::Get, Verb::Remove, Verb::Remove] {
        stage.store.plan(verb, Fault::Yield);
    }
    let send = || decide(&stage, &attempt, true, Some(&cookie));
    let (first, second) = tokio::join!(send(), send());
    assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|ok| **ok).count(), 1);
    assert_eq!(page(send().await), 400);
    assert_eq!((stage.memory.all(GRANT).len(), stage.memory.all(ATTEMPT).len()), (1, 0));
}

#[tokio::test]
async fn dex_p8_a_refusal_goes_back_to_the_client() {
    let stage = Stage::new().await;
    let (cookie, state) = stage.depart(&authorization("app", "openid")).await;
    let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
    stage.decisions();
    let to = back(decide(&stage, &attempt, false, Some(&cookie)).await);
    assert!(to.starts_with("https://app.example/cb?error=access_denied&"), "{to}");
    assert_eq!(
        (parameter(&to, "state").as_deref(), parameter(&to, "iss").as_deref()),
        (Some("xyz"), Some(ISSUER))
    );
    assert!(stage.memory.is_empty());
    assert_eq!(page(decide(&stage, &attempt, true, Some(&cookie)).await), 400, "no second thoughts");
    let told = stage.decisions().remove(0);
    assert_eq!((told.allowed, told.reason.as_deref()), (false, Some("the person did not agree")));
}

#[tokio::test]
async fn a_code_comes_with_state_and_issuer() {
    let stage = Stage::new().await;
    let (cookie, state) = stage.depart(&authorization("app", "openid groups offline_access")).await;
    let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
    let shown = stage.provider.consent_page(&peer(), &attempt, Some(&cookie)).await.unwrap();
    let Answer::Consent(shown) = shown.answer else { panic!() };
    assert_eq!((&*shown.client, &*shown.person), ("App", NAME));
    assert_eq!(shown.asks, [Ask::Groups, Ask::Offline]);
    let done = decide(&stage, &attempt, true, Some(&cookie)).await.unwrap();
    let to = location(&done);
    assert!(to.starts_with("https://app.example/cb?code="), "{to}");
    assert_eq!(
        (parameter(&to, "state").as_deref(), parameter(&to, "iss").as_deref()),
        (Some("xyz"), Some(ISSUER))
    );
    let forgotten = done.cookie.unwrap();
    assert!(forgotten.value.is_none() && cookie.starts_with(&forgotten.name));
}

/// RFC 6749 section 4.1.2.1: a page until client and redirect URI are good, back to the client afterwards.
#[tokio::test]
async fn attack_21_errors_go_only_where_they_may() {
    let stage = Stage::new().await;
    let good = authorization("app", "openid");
    for (query, of_auth, of_connector) in [
        (good.replace("client_id=app", "client_id=nobody"), 400, 404),
        (good.replace("client_id=app", "x=y"), 400, 400),
    ] {
        assert_eq!(page(authorize(&stage, &query).await), of_auth);
        assert_eq!(page(begin(&stage, &query).await), of_connector);
    }
    for uri in ["", "https://evil.example/cb", "https://app.example/cb%23f", "javascript:alert(1)"] {
        let query = good.replace("https://app.example/cb", uri);
        assert_eq!(page(begin(&stage, &query).await), 400, "{uri}");
    }
    let native = authorization("native", "openid");
    for (query, code) in [
        (good.replace("scope=openid", "scope=email"), "invalid_scope"),
        (good.replace("scope=openid", "scope=openid+root"), "invalid_scope"),
        (good.replace("scope=openid", "scope=openid+audience:server:client_id:other"), "invalid_scope"),
        (good.replace("response_type=code", "response_type=code+none"), "unsupported_response_type"),
        (good.replace("response_type=code", ""), "invalid_request"),
        (format!("{good}&request=x"), "request_not_supported"),
        (format!("{good}&request_uri=x"), "request_uri_not_supported"),
        (format!("{good}&registration=%7B%7D"), "registration_not_supported"),
        (format!("{good}&prompt=loud"), "invalid_request"),
        (format!("{good}&prompt=none+login"), "invalid_request"),
        (format!("{good}&max_age=-1"), "invalid_request"),
        (format!("{good}&code_challenge=short&code_challenge_method=S256"), "invalid_request"),
        (format!("{good}&code_challenge_method=S256"), "invalid_request"),
        (native.replace("_method=S256", "_method=plain"), "invalid_request"),
        (native.replace("&code_challenge_method=S256", ""), "invalid_request"),
        (native.replace("&code_challenge=", "&x="), "invalid_request"),
        (authorization("native", "openid").replace("code_challenge", "x"), "invalid_request"),
    ] {
        let to = back(begin(&stage, &query).await);
        assert_eq!(parameter(&to, "error").as_deref(), Some(code), "{query}");
        assert_eq!(parameter(&to, "state").as_deref(), Some("xyz"), "{query}");
        assert_eq!(parameter(&to, "iss").as_deref(), Some(ISSUER), "{query}");
    }
    assert!(stage.memory.is_empty());
}

#[tokio::test]
async fn dex_p9_prompt_none_asks_nobody_anything() {
    let both = |up: &std::sync::Arc<Upstream>| vec![up.opened("up", &[]), up.opened("twin", &[])];
    let stage = Stage::with(CONFIG, both).await;
    let query = format!("{}&prompt=none", authorization("app", "openid"));
    for to in [back(authorize(&stage, &query).await), back(begin(&stage, &query).await)] {
        assert_eq!(parameter(&to, "error").as_deref(), Some("login_required"));
    }
    let evil = query.replace("https://app.example/cb", "https://evil.example/");
    assert_eq!(page(authorize(&stage, &evil).await), 400);
}

/// Dex weakness L6: strangers cannot fill the store.
#[tokio::test]
async fn dex_l6_attack_25_nothing_is_written_before_somebody_signed_in() {
    let passwords = Upstream::new("https://passwords.example", Door::Password);
    let stage = Stage::with(CONFIG, |up| vec![up.opened("up", &[]), passwords.opened("local", &[])]).await;
    let request = authorization("app", "openid");
    authorize(&stage, &request).await.unwrap();
    let (cookie, state) = stage.depart(&request).await;
    page(stage.callback(&format!("state={state}&code=bad"), Some(&cookie)).await);
    stage.upstream.turns(Mood::Denies);
    assert_eq!(page(stage.callback(&format!("state={state}&code=good"), Some(&cookie)).await), 403);
    let (cookie, state) = begin_password(&stage, &request).await;
    let wrong = password(&stage, &state, &cookie, "wrong").await.unwrap();
    assert!(matches!(wrong.answer, Answer::Password(form) if form.wrong && form.name == NAME));
    passwords.turns(Mood::Down);
    assert_eq!(page(password(&stage, &state, &cookie, PASSWORD).await), 503);
    assert!(stage.memory.is_empty());
    assert_eq!(stage.decisions().iter().filter(|told| !told.allowed).count(), 4, "each try is told of");
    passwords.turns(Mood::Well);
    password(&stage, &state, &cookie, PASSWORD).await.unwrap();
    assert_eq!(stage.memory.len(), 1);
}

async fn begin_password(stage: &Stage, request: &str) -> (String, String) {
    let form = Form::parse(request, &[]).unwrap();
    let reply = stage.provider.begin_login(&peer(), "local", &form, None).await.unwrap();
    let cookie = reply.cookie.as_ref().unwrap();
    let held = format!("{}={}", cookie.name, cookie.value.as_deref().unwrap());
    (held, parameter(&location(&reply), "state").unwrap())
}

async fn password(stage: &Stage, state: &str, cookie: &str, password: &str) -> Result<Reply, Stop> {
    let password = Secret::from(password);
    stage.provider.submit_password(&peer(), "local", state, Some(cookie), NAME, &password).await
}

/// The consent page must not speak of, nor the code be for, who was there before.
#[tokio::test]
async fn a_second_sign_in_takes_the_place_of_the_first() {
    let stage = Stage::new().await;
    let (cookie, state) = stage.depart(&authorization("app", "openid federated:id")).await;
    signed_in(&stage, &cookie, &state).await;
    stage.upstream.turns(Mood::SomebodyElse);
    let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
    let done = decide(&stage, &attempt, true, Some(&cookie)).await.unwrap();
    let code = parameter(&location(&done), "code").unwrap();
    let token = stage.granted(&crate::code::redeem(&code)).await.access_token;
    assert_eq!(testkit::stage::claims(&token)["federated_claims"]["user_id"], "mallory");
}

#[tokio::test]
async fn an_attempt_ends() {
    let config = format!("{CONFIG}expiry: {{authRequests: 5m}}\n");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let (cookie, state) = stage.depart(&authorization("app", "openid")).await;
    stage.clock.advance(Duration::from_secs(299));
    let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(page(decide(&stage, &attempt, true, Some(&cookie)).await), 400);
    assert_eq!(page(stage.callback(&format!("state={state}&code=good"), Some(&cookie)).await), 400);
    stage.provider.sweep().await.unwrap();
    assert!(stage.memory.is_empty());
}

#[tokio::test]
async fn what_does_not_fit_into_a_cookie_is_refused_at_once() {
    let stage = Stage::new().await;
    let request = format!("{}{}", authorization("app", "openid"), "&x=y");
    assert!(begin(&stage, &request).await.is_ok());
    let long = request.replace("state=xyz", &format!("state={}", "z".repeat(4000)));
    assert_eq!(page(begin(&stage, &long).await), 400);
}

#[tokio::test]
async fn the_request_goes_along_to_the_connector_fit_for_a_url() {
    let stage = Stage::new().await;
    let request = format!("{}&connector_id=up&login_hint=é\r\n #\"<x>", authorization("app", "openid"));
    let to = location(&authorize(&stage, &request).await.unwrap());
    assert!(to.starts_with("/dex/auth/up?client_id=app&"), "{to}");
    assert!(to.ends_with("&login_hint=%C3%A9%0D%0A%20%23%22%3Cx%3E"), "{to}");
    assert!(!to.contains("connector_id"), "{to}");
    assert_eq!(page(authorize(&stage, &request.replace("connector_id=up", "connector_id=down")).await), 400);
}

#[tokio::test]
async fn consent_may_be_switched_off_and_asked_for_all_the_same() {
    let config = CONFIG.replace("oauth2:", "oauth2:\n  skipApprovalScreen: true");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    for (more, consent) in [("", false), ("&prompt=consent", true), ("&approval_prompt=force", true)] {
        let (cookie, state) = stage.depart(&format!("{}{more}", authorization("app", "openid"))).await;
        let reply = stage.callback(&format!("state={state}&code=good"), Some(&cookie)).await.unwrap();
        assert_eq!(location(&reply).starts_with("/dex/approval?req="), consent, "{more}");
        assert_eq!(parameter(&location(&reply), "code").is_some(), !consent, "{more}");
    }
}

/// What was checked at the beginning is checked at each step: the configuration may be another one by now.
#[tokio::test]
async fn an_attempt_is_judged_by_the_living_configuration() {
    for (from, to) in [
        ("id: app,", "id: gone,"),
        ("redirectURIs: ['https://app.example/cb']", "redirectURIs: ['https://new.example/cb']"),
        ("name: App,", "name: App, allowedConnectors: [other],"),
    ] {
        let stage = Stage::new().await;
        let (cookie, state) = stage.depart(&authorization("app", "openid")).await;
        let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
        stage.reload(&CONFIG.replace(from, to), vec![stage.upstream.opened("up", &[])]);
        assert_eq!(page(decide(&stage, &attempt, true, Some(&cookie)).await), 400, "{to}");
        assert_eq!(page(stage.callback(&format!("state={state}&code=good"), Some(&cookie)).await), 400);
        assert!(stage.memory.all(GRANT).is_empty());
        stage.reload(CONFIG, vec![stage.upstream.opened("up", &[])]);
        decide(&stage, &attempt, true, Some(&cookie)).await.unwrap();
    }
}

/// Every refusal and every consent is told once; pages that only ask are not.
#[tokio::test]
async fn attack_26_each_step_of_a_sign_in_is_told() {
    let stage = Stage::new().await;
    let told = |stage: &Stage| -> Vec<_> {
        let told = stage.decisions().into_iter();
        told.map(|decision| (decision.action.to_string(), decision.allowed, decision.error)).collect()
    };
    let good = authorization("app", "openid");
    let one = |action: &str, allowed, error| vec![(action.to_owned(), allowed, error)];
    let _ = authorize(&stage, &good.replace("client_id=app", "client_id=nobody")).await;
    assert_eq!(told(&stage), one("authorize", false, Some("invalid_request")));
    let _ = begin(&stage, &good.replace("scope=openid", "scope=nonsense")).await;
    assert_eq!(told(&stage), one("login", false, Some("invalid_scope")));
    let (cookie, state) = stage.depart(&good).await;
    assert_eq!(told(&stage), [], "nothing is decided yet");
    let _ = stage.callback(&format!("state={state}&code=good"), None).await;
    assert_eq!(told(&stage), one("login", false, Some("invalid_request")));
    let _ = stage.callback(&format!("state={state}&code=bad"), Some(&cookie)).await;
    assert_eq!(told(&stage), one("login", false, Some("access_denied")));
    let (attempt, cookie) = signed_in(&stage, &cookie, &state).await;
    assert_eq!(told(&stage), one("login", true, None));
    stage.provider.consent_page(&peer(), &attempt, Some(&cookie)).await.unwrap();
    assert_eq!(told(&stage), []);
    let _ = decide(&stage, &attempt, true, None).await;
    assert_eq!(told(&stage), one("consent", false, Some("invalid_request")));
    decide(&stage, &attempt, true, Some(&cookie)).await.unwrap();
    assert_eq!(told(&stage), one("consent", true, None));
}

/// Attempts that are begun and left do not fill the head of every request.
#[tokio::test]
async fn attack_25_of_the_attempts_of_one_browser_few_stay() {
    let stage = Stage::new().await;
    let query = authorization("app", "openid");
    let form = Form::parse(&query, &[]).unwrap();
    let mut jar: Vec<(String, String)> =
        vec![("obol_attempt_abcdefghijklmnopqrstuvwxy".into(), "junk".into())];
    for begun in 0..12 {
        stage.clock.advance(Duration::from_secs(1));
        let header: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = stage.provider.begin_login(&peer(), "up", &form, Some(&header.join("; "))).await.unwrap();
        assert!(reply.others.iter().all(|change| change.value.is_none()));
        jar.retain(|(name, _)| reply.others.iter().all(|change| change.name != *name));
        let cookie = reply.cookie.unwrap();
        jar.push((cookie.name, cookie.value.unwrap()));
        assert!(jar.len() <= 5, "{begun}: {}", jar.len());
    }
    let (name, value) = jar.first().unwrap();
    let back = format!("state={}&code=good", name.strip_prefix("obol_attempt_").unwrap());
    stage.callback(&back, Some(&format!("{name}={value}"))).await.unwrap();
}

#[tokio::test]
async fn dex_p6_pkce_is_enforced_as_configured() {
    let bare =
        |client: &str| authorization(client, "openid").split("&code_challenge").next().unwrap().to_owned();
    for (pkce, of_app, of_native) in
        [("", false, true), ("enforce: true", true, true), ("enforce: false", false, false)]
    {
        let config = CONFIG.replace("oauth2:", &format!("oauth2:\n  pkce: {{{pkce}}}"));
        let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
        for (client, demanded) in [("app", of_app), ("native", of_native)] {
            let begun = begin(&stage, &bare(client)).await;
            assert_eq!(begun.is_err(), demanded, "{pkce}: {client}");
            if demanded {
                assert!(back(begun).contains("error=invalid_request"), "{pkce}: {client}");
            }
        }
    }
}

#[tokio::test]
async fn one_connector_is_gone_to_at_once_unless_the_choice_is_always_shown() {
    let request = authorization("app", "openid");
    let stage = Stage::new().await;
    assert!(location(&authorize(&stage, &request).await.unwrap()).starts_with("/dex/auth/up?"));
    let config = CONFIG.replace("oauth2:", "oauth2:\n  alwaysShowLoginScreen: true");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let Answer::Choose(choices) = authorize(&stage, &request).await.unwrap().answer else {
        panic!("no choice")
    };
    assert_eq!(choices.len(), 1);
}

#[tokio::test]
async fn a_return_address_must_be_registered() {
    let stage = Stage::new().await;
    let request = authorization("app", "openid");
    assert!(begin(&stage, &request).await.is_ok());
    let elsewhere = request.replace("app.example/cb", "app.example/cb2");
    assert_eq!(page(begin(&stage, &elsewhere).await), 400);
    let config =
        CONFIG.replacen("'https://app.example/cb'", "'https://app.example/cb', 'https://app.example/cb2'", 1);
    stage.reload(&config, vec![stage.upstream.opened("up", &[])]);
    assert!(begin(&stage, &elsewhere).await.is_ok());
}
