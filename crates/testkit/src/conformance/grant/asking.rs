//! Who asks, and what.

use provider::error::Error;
use provider::grants::{Demands, Grant, REPEATABLE};
use wire::form::{BadForm, Form};

use super::{APP_SECRET, Stage, ask, ask_as_app, basic, grants, sample, with_client};
use crate::stage::every_grant;

pub(super) async fn good_requests_are_granted(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    for header in [true, false] {
        let form = sample(&stage, grant, "app").await.form;
        let outcome = if header {
            ask_as_app(&stage, &form).await
        } else {
            ask(&stage, None, &with_client(&form, "app")).await
        };
        assert!(outcome.unwrap().expires_in > 0);
    }
}

/// A refused request spends nothing: after all of them the good one is still granted.
pub(super) async fn bad_clients_are_refused(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = sample(&stage, grant, "app").await.form;
    let before = grants(&stage);
    let good = basic("app", APP_SECRET);
    let secret = format!("client_secret={APP_SECRET}");
    let wrong = [
        (None, String::new(), "invalid_client"),
        (None, "client_id=app".into(), "invalid_client"),
        (None, "client_id=app&client_secret=".into(), "invalid_client"),
        (None, "client_id=app&client_secret=canary-secret-of-apq".into(), "invalid_client"),
        (None, format!("client_id=nobody&{secret}"), "invalid_client"),
        (None, format!("client_id=other&{secret}"), "invalid_client"),
        (None, format!("client_id=APP&{secret}"), "invalid_client"),
        (None, secret.clone(), "invalid_client"),
        (None, "client_id=app&client_assertion=x&client_assertion_type=y".into(), "invalid_client"),
        (Some(basic("app", "wrong")), String::new(), "invalid_client"),
        (Some(basic("app", "")), String::new(), "invalid_client"),
        (Some(good.clone()), secret, "invalid_request"),
        (Some(good.clone()), "client_secret=".into(), "invalid_request"),
        (Some(good.clone()), "client_id=other".into(), "invalid_request"),
        (Some(good.clone()), "client_assertion=x".into(), "invalid_request"),
        (Some("Basic".into()), String::new(), "invalid_request"),
        (Some("Basic !".into()), String::new(), "invalid_request"),
        (Some(good.replace("Basic", "Bearer")), String::new(), "invalid_request"),
    ];
    for (header, more, code) in wrong {
        match ask(&stage, header.as_deref(), &format!("{form}&{more}")).await {
            Err(Error::Refusal(refusal)) => {
                assert_eq!(refusal.code.as_str(), code, "{header:?} {more}");
                assert_eq!(refusal.challenge, code == "invalid_client", "{header:?} {more}");
            }
            other => panic!("{header:?} {more}: {other:?}"),
        }
    }
    assert_eq!(grants(&stage), before);
    ask_as_app(&stage, &form).await.unwrap();
}

pub(super) async fn what_the_client_must_be(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = with_client(&sample(&stage, grant, "native").await.form, "native");
    match (grant.demands(), ask(&stage, None, &form).await) {
        (Demands::AnyClient, outcome) => drop(outcome.unwrap()),
        (Demands::ConfidentialClient, Err(Error::Refusal(refusal))) => {
            assert_eq!(refusal.code.as_str(), "unauthorized_client");
        }
        (Demands::ConfidentialClient, other) => panic!("{other:?}"),
    }
}

pub(super) async fn repeated_parameters_are_refused(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = sample(&stage, grant, "app").await.form;
    for pair in form.split('&') {
        let name = pair.split('=').next().unwrap();
        let twice = format!("{form}&{pair}");
        let refused = matches!(Form::parse(&twice, &REPEATABLE), Err(BadForm::Repeated(_)));
        assert_eq!(refused, !REPEATABLE.contains(&name), "{name}");
    }
}

pub(super) async fn unknown_parameters_do_no_harm(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = sample(&stage, grant, "app").await.form;
    ask_as_app(&stage, &format!("{form}&x-unknown=1&display=page&=&empty=")).await.unwrap();
}

/// Never a fault, never a panic, and what was sent is not sent back.
pub(super) async fn garbage_is_refused(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let long = "a".repeat(100_000);
    let garbage = [
        "",
        "%00",
        "%F0%9F%92%A5",
        "%22%3E%3Cscript%3Ealert(1)",
        "..%2F..%2Fetc",
        "a.b",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.e30.",
        "Cg",
        "CgF4EgF5",
        "%27%20OR%201=1--",
        &long,
    ];
    let names: Vec<String> = sample(&stage, grant, "app").await.form.split('&').map(first).collect();
    for name in &names {
        for text in garbage {
            garbage_in(&stage, grant, name, text).await;
        }
    }
}

async fn garbage_in(stage: &Stage, grant: &dyn Grant, name: &str, text: &str) {
    // So that nobody is held up for having been wrong before.
    stage.clock.advance(std::time::Duration::from_secs(3600));
    let form = sample(stage, grant, "app").await.form;
    let old = form.split('&').find(|pair| first(pair) == name).unwrap();
    let form = form.replacen(old, &format!("{name}={text}"), 1);
    match ask_as_app(stage, &form).await {
        Ok(_) => {
            let optional = ["scope", "nonce", "audience", "connector_id", "requested_token_type"];
            assert!(optional.contains(&name) && (text.is_empty() || name == "nonce"), "{form}");
        }
        Err(Error::Refusal(refusal)) => {
            let echoed = text.len() > 3 && refusal.told.contains(text);
            assert!(!echoed && refusal.told.len() < 200, "{}", refusal.told);
        }
        Err(Error::Fault(fault)) => panic!("{name}={text}: {fault}"),
    }
}

pub(super) async fn switched_off_is_unsupported(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = sample(&stage, grant, "app").await.form;
    let kind = grant.kind();
    let config = every_grant();
    let without =
        config.replace(&format!("'{kind}'"), "implicit").replace(&format!(" {kind},"), " implicit,");
    let without = without.replace(&format!("[{kind}"), "[implicit");
    assert_ne!(config, without);
    stage.reload(&without, stage.connectors());
    for header in [None, Some(basic("app", APP_SECRET))] {
        match ask(&stage, header.as_deref(), &form).await {
            Err(Error::Refusal(refusal)) => assert_eq!(refusal.code.as_str(), "unsupported_grant_type"),
            other => panic!("{other:?}"),
        }
    }
    stage.reload(&every_grant(), stage.connectors());
    ask_as_app(&stage, &form).await.unwrap();
}

pub(super) async fn removed_is_dead_at_next_use(grant: &dyn Grant) {
    let stage = Stage::with_every_grant().await;
    let form = sample(&stage, grant, "app").await.form;
    stage.reload(&every_grant().replace("id: app,", "id: gone,"), stage.connectors());
    match ask_as_app(&stage, &form).await {
        Err(Error::Refusal(refusal)) => assert_eq!(refusal.code.as_str(), "invalid_client"),
        other => panic!("{other:?}"),
    }
    stage.reload(&every_grant(), vec![stage.upstream.opened("different", &[])]);
    let before = grants(&stage);
    match ask_as_app(&stage, &form).await {
        Ok(_) => assert_eq!(grant.demands(), Demands::ConfidentialClient, "it needs no connector"),
        Err(Error::Refusal(_)) => assert_eq!(grants(&stage), before),
        Err(Error::Fault(fault)) => panic!("{fault}"),
    }
    stage.reload(&every_grant(), stage.connectors());
    ask_as_app(&stage, &form).await.unwrap();
}

fn first(pair: &str) -> String {
    pair.split('=').next().unwrap().to_owned()
}
