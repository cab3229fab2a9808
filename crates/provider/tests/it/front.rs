//! Answers of the authorization endpoint itself: hybrid and implicit flows, and the modes they come back in (OpenID
//! Connect Core sections 3.2 and 3.3, OAuth 2.0 Multiple Response Types, OAuth 2.0 Form Post Response Mode).

use std::collections::BTreeMap;

use provider::login::{Answer, Reply, Stop};
use provider::store::Kind;
use serde_json::json;
use testkit::stage::{
    CONFIG, ISSUER, Stage, VERIFIER, authorization, claims, header, held, location, parameter, peer,
};
use wire::form::Form;

use crate::code::redeem;

type Fields = BTreeMap<String, String>;

async fn stage(types: &str) -> Stage {
    let config = CONFIG.replace("oauth2:", &format!("oauth2:\n  responseTypes: {types}"));
    let config = config.replace("[authorization_code,", "[authorization_code, implicit,");
    Stage::with(&config, |up| vec![up.opened("up", &[])]).await
}

fn asking(client: &str, kind: &str) -> String {
    authorization(client, "openid email offline_access")
        .replace("response_type=code", &format!("response_type={}", kind.replace(' ', "+")))
}

/// From the request to the answer.
async fn answer(stage: &Stage, request: &str) -> Answer {
    let (cookie, state) = stage.depart(request).await;
    let arrived = stage.callback(&format!("state={state}&code=good"), Some(&cookie)).await.unwrap();
    let (attempt, cookie) = (parameter(&location(&arrived), "req").unwrap(), held(&arrived));
    stage.provider.submit_consent(&peer(), &attempt, true, Some(&cookie)).await.unwrap().answer
}

#[track_caller]
fn fields(answer: Answer) -> Fields {
    match answer {
        Answer::Redirect(to) => {
            let (uri, fragment) = to.split_once('#').expect("a fragment");
            assert!(!uri.contains('?'), "{uri}");
            url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect()
        }
        Answer::FormPost(form) => form.fields.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

async fn begin(stage: &Stage, query: &str) -> Result<Reply, Stop> {
    stage.provider.begin_login(&peer(), "up", &Form::parse(query, &[]).unwrap(), None).await
}

/// What is sent is what is asked for, each part bound to the others.
#[tokio::test]
async fn each_response_type_gives_what_it_names() {
    let stage = stage("[code, token, id_token]").await;
    let hash = |of: &str| token::Alg::Es256.left_half_hash(of);
    for kind in ["code id_token", "code token", "code id_token token", "id_token", "id_token token"] {
        let got = fields(answer(&stage, &asking("app", kind)).await);
        let has = |word: &str| kind.split(' ').any(|known| known == word);
        assert_eq!((got["state"].as_str(), got["iss"].as_str()), ("xyz", ISSUER));
        assert_eq!(got.contains_key("code"), has("code"), "{kind}");
        assert_eq!(got.contains_key("access_token"), has("token"), "{kind}");
        assert_eq!(got.contains_key("id_token"), has("id_token"), "{kind}");
        assert!(!got.contains_key("refresh_token"));
        if let Some(access) = got.get("access_token") {
            assert_eq!((got["token_type"].as_str(), got["expires_in"].as_str()), ("bearer", "86400"));
            assert_eq!(got["scope"], "openid email offline_access");
            assert_eq!(header(access)["typ"], "at+jwt");
            let known = stage.provider.userinfo(&peer(), Some(access)).await.unwrap();
            assert_eq!(known.str("email"), Some("alice@example.com"), "{kind}");
        }
        if let Some(id_token) = got.get("id_token") {
            let said = claims(id_token);
            assert_eq!((&said["nonce"], &said["email"]), (&json!("n-1"), &json!("alice@example.com")));
            let bound = |name: &str| got.get(name).map_or(json!(null), |value| json!(hash(value)));
            assert_eq!(
                (&said["at_hash"], &said["c_hash"]),
                (&bound("access_token"), &bound("code")),
                "{kind}"
            );
        }
        match got.get("code") {
            Some(code) => assert!(stage.granted(&redeem(code)).await.refresh_token.is_some(), "{kind}"),
            None => assert!(stage.memory.all(Kind("attempt")).is_empty()),
        }
    }
}

/// Nothing of this is on unless the configuration says so.
#[tokio::test]
async fn response_types_are_those_that_are_listed_and_served() {
    let everything =
        ["code", "code id_token", "code id_token token", "code token", "id_token", "id_token token"];
    for (listed, named) in [
        ("[code]", vec!["code"]),
        ("[]", vec!["code"]),
        ("['code id_token']", vec!["code id_token"]),
        ("[id_token]", vec!["id_token"]),
        ("[token]", vec![]),
        ("[code, token, id_token]", everything.to_vec()),
    ] {
        let stage = stage(listed).await;
        let metadata = stage.provider.metadata();
        let mut told = metadata.response_types_supported;
        told.sort();
        assert_eq!(told, named, "{listed}");
        let implicit = named.iter().any(|kind| *kind != "code");
        assert_eq!(metadata.grant_types_supported.contains(&String::from("implicit")), implicit, "{listed}");
        for kind in everything {
            let begun = begin(&stage, &asking("app", kind)).await;
            assert_eq!(begun.is_ok(), named.contains(&kind), "{listed}: {kind}");
        }
    }
    // Switched off as a grant type, it is off.
    let config = CONFIG.replace("oauth2:", "oauth2:\n  responseTypes: [code, id_token]");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    assert_eq!(stage.provider.metadata().response_types_supported, ["code"]);
    assert!(begin(&stage, &asking("app", "id_token")).await.is_err());
    // And so it is for a connector that is not for it.
    let stage = self::stage("[code, id_token]").await;
    let mut only = stage.upstream.opened("up", &[]);
    only.grant_types = std::sync::Arc::from([String::from("authorization_code")]);
    let settings = CONFIG.replace("oauth2:", "oauth2:\n  responseTypes: [code, id_token]");
    stage.reload(&settings.replace("[authorization_code,", "[authorization_code, implicit,"), vec![only]);
    assert!(begin(&stage, &asking("app", "id_token")).await.is_err());
    assert!(begin(&stage, &asking("app", "code")).await.is_ok());
}

#[tokio::test]
async fn attack_21_tokens_never_stand_in_a_query() {
    let stage = stage("[code, token, id_token]").await;
    for (kind, mode, error) in [
        ("id_token", "query", "invalid_request"),
        ("code token", "query", "invalid_request"),
        ("code id_token", "web_message", "invalid_request"),
        ("code", "web_message", "invalid_request"),
    ] {
        let query = format!("{}&response_mode={mode}", asking("app", kind));
        let Err(Stop::Back { way, code, told }) = begin(&stage, &query).await else {
            panic!("{kind} {mode}")
        };
        assert_eq!(code.as_str(), error);
        let Some(Answer::Redirect(to)) = way.error(ISSUER, code, &told) else { panic!() };
        assert_eq!(to.contains('#'), kind != "code", "errors stand where the answer would: {to}");
    }
    for kind in ["id_token", "code id_token", "code id_token token"] {
        let query = asking("app", kind).replace("&nonce=n-1", "");
        assert!(matches!(begin(&stage, &query).await, Err(Stop::Back { .. })), "{kind} without nonce");
    }
    let code_token = asking("app", "code token").replace("&nonce=n-1", "");
    assert!(begin(&stage, &code_token).await.is_ok(), "no ID token, no nonce");
    assert!(matches!(begin(&stage, &asking("app", "token")).await, Err(Stop::Back { .. })));
    assert!(matches!(begin(&stage, &asking("app", "code code")).await, Err(Stop::Back { .. })));
}

#[tokio::test]
async fn a_response_mode_is_the_clients_to_choose() {
    let stage = stage("[code, token, id_token]").await;
    for kind in ["code", "code id_token token"] {
        let fragment = format!("{}&response_mode=fragment", asking("app", kind));
        assert!(fields(answer(&stage, &fragment).await).contains_key("code"));
        let post = format!("{}&response_mode=form_post", asking("app", kind));
        let Answer::FormPost(form) = answer(&stage, &post).await else { panic!() };
        assert_eq!(form.action, "https://app.example/cb");
        assert!(form.fields.iter().any(|(name, _)| name == "code"), "{kind}");
        assert!(form.fields.contains(&("iss".into(), ISSUER.into())));
    }
    let refused = format!("{}&response_mode=form_post&prompt=none", asking("app", "code"));
    let Err(Stop::Back { way, code, told }) = begin(&stage, &refused).await else { panic!() };
    assert!(matches!(way.error(ISSUER, code, &told), Some(Answer::FormPost(_))), "errors too");
}

/// A public client's code is under PKCE in every flow that has one; without a code there is nothing to protect.
#[tokio::test]
async fn attack_21_pkce_is_demanded_with_every_code() {
    let stage = stage("[code, token, id_token]").await;
    for kind in ["code", "code id_token", "code token", "id_token"] {
        let bare = asking("native", kind).replace("&code_challenge", "&x");
        assert_eq!(begin(&stage, &bare).await.is_ok(), kind == "id_token", "{kind}");
    }
    let got = fields(answer(&stage, &asking("native", "code id_token")).await);
    let body = |verifier: &str| {
        format!(
            "grant_type=authorization_code&client_id=native&redirect_uri=http://127.0.0.1:1/cb&code={}{verifier}",
            got["code"]
        )
    };
    assert!(stage.token(None, &body("")).await.is_err());
    stage.token(None, &body(&format!("&code_verifier={VERIFIER}"))).await.unwrap();
}

#[tokio::test]
async fn a_code_may_be_carried_over_by_hand() {
    let stage = stage("[code, id_token]").await;
    let oob = "urn:ietf:wg:oauth:2.0:oob";
    let request = asking("native", "code").replace("http://127.0.0.1:1/cb", oob);
    let Answer::ByHand(code) = answer(&stage, &request).await else { panic!() };
    let body = format!(
        "grant_type=authorization_code&client_id=native&redirect_uri={oob}&code={code}&code_verifier={VERIFIER}"
    );
    stage.token(None, &body).await.unwrap();
    // There is nobody to tell an error but the person.
    for (query, status) in [
        (request.replace("scope=openid", "scope=nonsense"), 400),
        (request.replace("response_type=code", "response_type=id_token"), 400),
        (request.replace("client_id=native", "client_id=app"), 400),
    ] {
        match begin(&stage, &query).await {
            Err(Stop::Page { status: shown, .. }) => assert_eq!(shown, status, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    let (cookie, state) = stage.depart(&request).await;
    let arrived = stage.callback(&format!("state={state}&code=good"), Some(&cookie)).await.unwrap();
    let (attempt, cookie) = (parameter(&location(&arrived), "req").unwrap(), held(&arrived));
    let refused = stage.provider.submit_consent(&peer(), &attempt, false, Some(&cookie)).await;
    assert!(matches!(refused, Err(Stop::Page { status: 403, .. })), "{refused:?}");
}
