use std::sync::Arc;
use std::time::Duration;

use ambient::Secret;
use client::{Lookup, Note, Wanted, Way};
use serde_json::json;

use super::stage::{Stage, back, parameter};

fn password() -> Way {
    Way::Password { username: Some("ana".into()), password: Some(Secret::from("canary-password")) }
}

#[tokio::test]
async fn a_session_is_renewed_and_the_new_refresh_token_kept() {
    let stage = Stage::start().await;
    let ask = stage.ask(password());
    let mut sent = Vec::new();
    for (nth, refresh) in [("1", Some("refresh-1")), ("2", Some("refresh-2")), ("3", None), ("4", None)] {
        stage.answer(&stage.id_token(json!({"jti": nth})), refresh);
        let issued =
            stage.exchanger().sign_in(&ask, &*stage.person, Some(&stage.cache()), Lookup::Replace).await;
        issued.unwrap();
        sent.push(stage.last_form("/token"));
    }
    assert!(sent[0].contains("grant_type=password") && sent[0].contains("scope=openid+offline_access"));
    assert!(sent[1].contains("grant_type=refresh_token") && sent[1].contains("refresh_token=refresh-1"));
    assert!(sent[2].contains("refresh_token=refresh-2"));
    assert!(sent[3].contains("refresh_token=refresh-2"), "who rotates none sends none: {}", sent[3]);
    assert!(sent[1].contains("client_id=kubectl") && !sent[1].contains("canary-password"));
}

#[tokio::test]
async fn attack_20_a_renewed_token_of_somebody_else_is_refused() {
    let stage = Stage::start().await;
    let ask = stage.ask(password());
    stage.answer(&stage.id_token(json!({})), Some("refresh-1"));
    stage.sign_in(&ask).await.unwrap();
    stage.answer(&stage.id_token(json!({"sub": "mallory"})), Some("refresh-2"));
    let again = Way::Password { username: Some("ana".into()), password: None };
    let again = client::SignIn { way: again, ..ask };
    let outcome =
        stage.exchanger().sign_in(&again, &*stage.person, Some(&stage.cache()), Lookup::Replace).await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "nobody is there",
        "the session is not believed, a person is asked for"
    );
    let notes = stage.notes.all();
    assert!(
        notes
            .iter()
            .any(|note| matches!(note, Note::SessionOver { reason } if reason.contains("somebody else's"))),
        "{notes:?}"
    );
}

#[tokio::test]
async fn a_session_that_is_over_asks_the_person_and_an_outage_does_not() {
    let stage = Stage::start().await;
    let ask = stage.ask(password());
    stage.answer(&stage.id_token(json!({})), Some("refresh-1"));
    stage.sign_in(&ask).await.unwrap();
    let renew =
        async || stage.exchanger().sign_in(&ask, &*stage.person, Some(&stage.cache()), Lookup::Replace).await;
    stage.issuer.set_answer("/token", 503, json!({}));
    assert!(renew().await.unwrap_err().to_string().contains("503"));
    assert!(stage.last_form("/token").contains("refresh-1"), "it was not taken for the end of the session");
    stage.issuer.set_answer("/token", 400, json!({"error": "invalid_grant"}));
    assert!(renew().await.unwrap_err().to_string().contains("invalid_grant"));
    assert!(stage.last_form("/token").contains("grant_type=password"), "the password was tried");
    stage.answer(&stage.id_token(json!({})), None);
    renew().await.unwrap();
    assert!(
        stage.last_form("/token").contains("grant_type=password"),
        "the dead refresh token is not shown again"
    );
}

#[tokio::test]
async fn names_passwords_and_codes_are_asked_for() {
    let stage = Stage::start().await;
    let ask = stage.ask(Way::Password { username: None, password: None });
    assert_eq!(stage.sign_in(&ask).await.unwrap_err().to_string(), "nobody is there");
    stage.person.types().extend([("name", "ana"), ("password", "typed")]);
    stage.answer(&stage.id_token(json!({})), None);
    stage.sign_in(&ask).await.unwrap();
    let form = stage.last_form("/token");
    assert!(form.contains("username=ana&password=typed"), "{form}");

    let by_hand = stage.ask(Way::Keyboard { redirect_uri: "urn:ietf:wg:oauth:2.0:oob".into() });
    stage.person.types().insert("code", "c0de");
    let told = stage.exchanger().sign_in(&by_hand, &*stage.person, None, Lookup::Use).await.unwrap_err();
    assert!(told.to_string().contains("(nonce)"), "{told}");
    let form = stage.last_form("/token");
    assert!(
        form.contains("code=c0de&redirect_uri=urn%3Aietf%3Awg%3Aoauth%3A2.0%3Aoob&code_verifier="),
        "{form}"
    );
    // Whoever pastes the whole address brings the state along, and then it counts.
    stage.person.types().insert("code", "http://localhost/?code=evil&state=guessed");
    let told = stage.exchanger().sign_in(&by_hand, &*stage.person, None, Lookup::Use).await.unwrap_err();
    assert!(told.to_string().contains("answers another sign-in"), "{told}");
}

#[tokio::test]
async fn a_client_signs_in_as_itself_by_the_method_that_the_server_knows() {
    let stage = Stage::start().await;
    let mut ask = stage.ask(Way::Client);
    ask.client.secret = Some(Secret::from("s3cret"));
    ask.extra = vec![("resource".into(), "https://c.example".into())];
    stage.answer(&stage.id_token(json!({})), None);
    stage.sign_in(&ask).await.unwrap();
    let form = stage.last_form("/token");
    assert!(form.contains("grant_type=client_credentials") && form.contains("resource=https"), "{form}");
    assert!(!form.contains("s3cret") && !form.contains("client_id"), "by header: {form}");
    stage.issuer.set_discovery("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    ask.scope.push("groups".into());
    stage.sign_in(&ask).await.unwrap();
    let form = stage.last_form("/token");
    assert!(form.contains("client_id=kubectl&client_secret=s3cret"), "{form}");
}

#[tokio::test]
async fn an_access_token_is_checked_like_an_id_token() {
    let stage = Stage::start().await;
    let mut ask = stage.ask(password());
    ask.wanted = Wanted::AccessToken;
    let answer = |token: &str| {
        let answer = json!({"access_token": token, "token_type": "bearer", "expires_in": 900});
        stage.issuer.set_answer("/token", 200, answer);
    };
    for bad in ["opaque", &stage.issuer.token(json!({"sub": "ana"})).signature(b"forged").sign()] {
        answer(bad);
        assert!(stage.sign_in(&ask).await.unwrap_err().to_string().contains("does not verify"), "{bad}");
    }
    let good = stage.issuer.mint(json!({"sub": "ana", "aud": "api"}));
    answer(&good);
    assert_eq!(stage.sign_in(&ask).await.unwrap().token.expose(), &good);
    // A client's own may be for its issuer's eyes alone.
    answer("opaque");
    let mut own = stage.ask(Way::Client);
    own.wanted = Wanted::AccessToken;
    assert_eq!(stage.sign_in(&own).await.unwrap().token.expose(), "opaque");
}

/// Many commands at once: one tab; when its sign-in fails, those that waited for it do not open theirs one by one.
#[tokio::test]
async fn of_many_one_asks_and_its_failure_is_everybodys() {
    let stage = Arc::new(Stage::start().await);
    let ask = stage.ask(stage.browser());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (stage, ask) = (Arc::clone(&stage), ask.clone());
        all.spawn(async move { stage.sign_in(&ask).await });
    }
    let url = stage.visited(0).await;
    // Everybody else waits by now.
    while stage.notes.all().iter().filter(|note| matches!(note, Note::Waiting { .. })).count() < 7 {
        tokio::task::yield_now().await;
    }
    let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
    stage.go(&back(&url, &[("error", "access_denied"), ("state", &state), ("iss", &iss)])).await;
    let told = all.join_all().await.into_iter().map(|outcome| outcome.unwrap_err().to_string());
    let told = told.collect::<Vec<_>>();
    assert_eq!(
        told.iter()
            .filter(|told| told.starts_with("another obol tried the same meanwhile: signing in was refused"))
            .count(),
        7,
        "{told:?}"
    );
    assert_eq!(stage.visits(), 1, "one tab");
    // Who comes later tries anew.
    let later = tokio::select! {
        url = stage.visited(1) => url,
        done = stage.sign_in(&ask) => panic!("{done:?}"),
    };
    assert_ne!(parameter(&later, "redirect_uri"), "");
}

#[tokio::test]
async fn sessions_are_kept_apart_by_all_that_matters() {
    let stage = Stage::start().await;
    let ask = stage.ask(password());
    let changes: [fn(&mut client::SignIn); 6] = [
        |ask| ask.client.id = Some("other".into()),
        |ask| ask.scope.push("groups".into()),
        |ask| ask.wanted = Wanted::AccessToken,
        |ask| ask.extra.push(("a".into(), "b".into())),
        |ask| ask.way = Way::Password { username: Some("ben".into()), password: None },
        |ask| drop(ask.headers.insert("origin", "http://localhost".parse().unwrap())),
    ];
    stage.answer(&stage.id_token(json!({"aud": "kubectl"})), None);
    stage.sign_in(&ask).await.unwrap();
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = ask.clone();
        change(&mut other);
        let before = stage.requests("/token");
        let _ = stage.sign_in(&other).await;
        let asked = stage.requests("/token") > before;
        assert!(asked || at == 4, "change {at} shares the session of another");
    }
    assert!(stage.sign_in(&client::SignIn { patience: Duration::from_secs(9), ..ask }).await.is_ok());
}

#[tokio::test]
async fn signing_out_ends_sessions_here_and_there() {
    let stage = Stage::start().await;
    stage.issuer.set_answer("/revoke", 200, json!({}));
    stage.answer(&stage.id_token(json!({})), Some("refresh-1"));
    let ask = stage.ask(password());
    stage.sign_in(&ask).await.unwrap();
    assert_eq!(stage.cache().clear(|session| session.issuer() == "https://other.example").0.len(), 0);
    let (sessions, left) = stage.cache().clear(|session| session.issuer() == stage.issuer.issuer());
    assert!(left.is_none());
    assert_eq!(sessions.len(), 1);
    sessions[0].revoke(&stage.exchanger(), None).await.unwrap();
    let form = stage.last_form("/revoke");
    assert_eq!(form, "token=refresh-1&token_type_hint=refresh_token&client_id=kubectl");
    stage.sign_in(&ask).await.unwrap();
    assert!(stage.last_form("/token").contains("grant_type=password"), "nothing was left");
}

/// A provider that rotates takes the old one for stolen when it comes again, and ends the session.
#[tokio::test]
async fn a_refresh_token_is_not_spent_where_its_answer_could_not_be_checked() {
    let stage = Stage::start().await;
    let ask = stage.ask(password());
    stage.answer(&stage.id_token(json!({})), Some("refresh-1"));
    stage.sign_in(&ask).await.unwrap();
    let before = stage.requests("/token");
    stage.issuer.behave(testkit::issuer::Route::Keys, testkit::issuer::Behaviour::Status(404));
    let renew = || async {
        stage.exchanger().sign_in(&ask, &*stage.person, Some(&stage.cache()), Lookup::Replace).await
    };
    assert!(renew().await.is_err());
    assert_eq!(stage.requests("/token"), before);
    stage.issuer.behave(testkit::issuer::Route::Keys, testkit::issuer::Behaviour::Normal);
    renew().await.unwrap();
    assert!(stage.last_form("/token").contains("refresh_token=refresh-1"));
}
