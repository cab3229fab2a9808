//! The ways by which somebody signs in, and where each comes back to.

use ambient::Secret;
use http::HeaderMap;
use provider::login::{Answer, Reply, Stop};
use testkit::stage::{Stage, app, authorization, every_grant, held, location, parameter, peer};
use testkit::upstream::{Door, NAME, PASSWORD, Upstream};
use wire::form::Form;

const WAYS: [&str; 4] = ["up", "a b", "proxied", "passwords"];

async fn stage() -> Stage {
    Stage::with(&every_grant(), |up| {
        let door = |id: &str, door| Upstream::new("https://up.example", door).opened(id, &[]);
        vec![
            up.opened("up", &[]),
            door("a b", Door::OwnCallback),
            door("twin", Door::OwnCallback),
            door("proxied", Door::Proxied),
            door("passwords", Door::Password),
        ]
    })
    .await
}

/// Begins: the cookie, and the state.
async fn begin(stage: &Stage, way: &str, request: &str) -> (String, String) {
    let form = Form::parse(request, &[]).unwrap();
    let reply = stage.provider.begin_login(&peer(), way, &form, None).await.unwrap();
    (held(&reply), parameter(&location(&reply), "state").unwrap())
}

/// Comes back as Alice, to this path.
async fn arrive(stage: &Stage, path: &str, state: &str, cookie: &str) -> Result<Reply, Stop> {
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", "alice".parse().unwrap());
    stage.arrive(path, &format!("state={state}&code=good"), Some(cookie), &headers).await
}

fn place(way: &str) -> &'static str {
    match way {
        "up" => "/dex/callback",
        "a b" => "/dex/callback/a%20b",
        "twin" => "/dex/callback/twin",
        "proxied" => "/dex/callback/proxied",
        other => panic!("{other} has none"),
    }
}

async fn sign_in(stage: &Stage, way: &str, state: &str, cookie: &str) -> Reply {
    if way == "passwords" {
        let (peer, password) = (peer(), Secret::from(PASSWORD));
        let typed = stage.provider.submit_password(&peer, way, state, Some(cookie), NAME, &password);
        return typed.await.unwrap();
    }
    arrive(stage, place(way), state, cookie).await.unwrap()
}

#[track_caller]
fn refused(outcome: Result<Reply, Stop>) -> u16 {
    match outcome {
        Err(Stop::Page { status, .. }) => status,
        other => panic!("no page but {other:?}"),
    }
}

/// Somebody may have planted the cookie of an attempt and kept a copy: what is signed in to has another, on every way.
#[tokio::test]
async fn attack_21_the_cookie_from_before_opens_nothing_whichever_way_somebody_signs_in() {
    let stage = stage().await;
    for way in WAYS {
        for for_device in [false, true] {
            let request = match for_device {
                true => format!("user_code={}", stage.device(Some(&app()), "scope=openid").await.1),
                false => authorization("app", "openid"),
            };
            let (planted, state) = begin(&stage, way, &request).await;
            let reply = sign_in(&stage, way, &state, &planted).await;
            let (attempt, own) = (parameter(&location(&reply), "req").unwrap(), held(&reply));
            assert_ne!(attempt, state, "{way}");
            let removed = reply.others.iter().find(|change| change.name.ends_with(&state));
            assert!(removed.is_some_and(|change| change.value.is_none()), "{way}: {reply:?}");
            let value = planted.split_once('=').unwrap().1;
            for cookie in [planted.clone(), format!("obol_attempt_{attempt}={value}")] {
                for named in [&attempt, &state] {
                    let shown = stage.provider.consent_page(&peer(), named, Some(&cookie)).await;
                    assert_eq!(refused(shown), 400, "{way}");
                    let sent = stage.provider.submit_consent(&peer(), named, true, Some(&cookie)).await;
                    assert_eq!(refused(sent), 400, "{way}");
                }
            }
            stage.provider.submit_consent(&peer(), &attempt, true, Some(&own)).await.unwrap();
        }
    }
}

/// RFC 9700 section 4.4: what one upstream had sent to another's place signs nobody in.
#[tokio::test]
async fn attack_21_an_answer_arrives_where_its_connector_was_told_to() {
    let stage = stage().await;
    let request = authorization("app", "openid");
    let ways = ["up", "a b", "twin", "proxied"];
    for (done, way) in ways.into_iter().enumerate() {
        let (cookie, state) = begin(&stage, way, &request).await;
        for other in ways.into_iter().filter(|other| *other != way) {
            assert_eq!(refused(arrive(&stage, place(other), &state, &cookie).await), 400, "{way} at {other}");
        }
        stage.decisions();
        assert_eq!(refused(arrive(&stage, "/callback", &state, &cookie).await), 400);
        let told = stage.decisions().remove(0);
        assert!(told.reason.as_deref().unwrap().contains("another place"), "{told:?}");
        let before = stage.memory.len();
        arrive(&stage, place(way), &state, &cookie).await.unwrap();
        assert_eq!((before, stage.memory.len()), (done, done + 1), "a refusal writes nothing");
    }
    let (cookie, state) = begin(&stage, "passwords", &request).await;
    for path in ["/dex/callback", "/dex/callback/passwords"] {
        assert_eq!(
            refused(arrive(&stage, path, &state, &cookie).await),
            400,
            "a password comes by no callback"
        );
    }
}

/// A proxy guards one spelling of the place.
#[tokio::test]
async fn attack_22_no_other_spelling_leads_past_a_proxy() {
    let stage = stage().await;
    for (way, spellings) in [
        (
            "proxied",
            [
                "/dex/callback/%70roxied",
                "/dex/callback/proxie%64",
                "/dex/callback/Proxied",
                "/dex/callback/proxied/",
                "/dex/callback//proxied",
                "/dex/callback/./proxied",
                "/dex/%63allback/proxied",
            ],
        ),
        (
            "a b",
            [
                "/dex/callback/a+b",
                "/dex/callback/a b",
                "/dex/callback/%61%20b",
                "/dex/callback/a%20%62",
                "/dex/callback/a%20b%00",
                "/dex/callback/a%2520b",
                "/dex/callback/a%20b;x",
            ],
        ),
    ] {
        let (cookie, state) = begin(&stage, way, &authorization("app", "openid")).await;
        for spelling in spellings {
            assert_eq!(refused(arrive(&stage, spelling, &state, &cookie).await), 400, "{spelling}");
        }
        arrive(&stage, place(way), &state, &cookie).await.unwrap();
    }
}

/// What the client says of who signs in goes along to upstreams that take it, and to no others.
#[tokio::test]
async fn a_hint_goes_along_to_the_upstream() {
    let stage = stage().await;
    let hint = "ana@example.com&prompt=none";
    let encoded: String = url::form_urlencoded::byte_serialize(hint.as_bytes()).collect();
    for (way, request, told) in [
        ("a b", format!("{}&login_hint={encoded}", authorization("app", "openid")), Some(hint)),
        ("a b", authorization("app", "openid"), None),
        ("up", format!("{}&login_hint={encoded}", authorization("app", "openid")), None),
        ("a b", format!("{}&login_hint={}", authorization("app", "openid"), "x".repeat(300)), None),
    ] {
        let form = Form::parse(&request, &[]).unwrap();
        let to = location(&stage.provider.begin_login(&peer(), way, &form, None).await.unwrap());
        assert_eq!(parameter(&to, "login_hint").as_deref(), told, "{to}");
        assert_eq!(parameter(&to, "prompt"), None, "{to}");
    }
}

/// Whoever took the wrong way goes back to the choice, with the same request.
#[tokio::test]
async fn another_way_is_chosen_with_the_same_request() {
    let stage = stage().await;
    let whole = format!(
        "{}&response_mode=form_post&login_hint=ana&prompt=consent",
        authorization("native", "openid groups").replace("state=xyz", "state=a%26b%3D")
    );
    for request in
        [whole, authorization("app", "openid"), authorization("app", "openid").replace("&state=xyz", "")]
    {
        let back = back(&stage, "passwords", &request).await.unwrap();
        let query = back.strip_prefix("/dex/auth?").unwrap();
        let form = Form::parse(query, &[]).unwrap();
        let Answer::Choose(choices) = stage.provider.authorize(&peer(), query, &form).await.unwrap().answer
        else {
            panic!("no choice")
        };
        assert_eq!(choices.len(), 5);
        assert_eq!(back, self::back(&stage, "passwords", query).await.unwrap(), "nothing is lost on the way");
        for (name, value) in url::form_urlencoded::parse(request.as_bytes()) {
            assert_eq!(form.get(&name), Some(&*value), "{name}");
        }
    }
    let (_, user) = stage.device(Some(&app()), "scope=openid").await;
    let to = back(&stage, "passwords", &format!("user_code={user}")).await.unwrap();
    assert_eq!(to, format!("/dex/auth?user_code={user}"));
    // With one way there is nothing to choose, unless the choice is always shown.
    let only = |config: &str| {
        let passwords = Upstream::new("https://up.example", Door::Password);
        let config = config.to_owned();
        async move { Stage::with(&config, |_| vec![passwords.opened("passwords", &[])]).await }
    };
    let request = authorization("app", "openid");
    assert_eq!(back(&only(&every_grant()).await, "passwords", &request).await, None);
    let always = every_grant().replace("oauth2:", "oauth2:\n  alwaysShowLoginScreen: true");
    assert!(back(&only(&always).await, "passwords", &request).await.is_some());
}

/// Where the password form leads back to.
async fn back(stage: &Stage, way: &str, request: &str) -> Option<String> {
    let (cookie, state) = begin(stage, way, request).await;
    let shown = stage.provider.password_page(&peer(), way, &state, Some(&cookie)).unwrap();
    match shown.answer {
        Answer::Password(page) => page.back,
        other => panic!("no form but {other:?}"),
    }
}
