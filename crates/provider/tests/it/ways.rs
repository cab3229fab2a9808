//! The ways by which somebody signs in, and where each comes back to.

use ambient::Secret;
use http::HeaderMap;
use provider::login::{Reply, Stop};
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
