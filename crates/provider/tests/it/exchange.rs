//! RFC 8693 under the policy of a Dex configuration that has none.

use std::sync::Arc;

use ambient::{Clock as _, Time};
use provider::connector::{Opened, SubjectAudiences};
use provider::error::{Error, Fault};
use serde_json::{Value, json};
use testkit::stage::{CONFIG, ISSUER, Stage, app, basic, claims, header, payload};
use testkit::upstream::Mood;
use wire::oauth::ErrorCode;

pub(crate) const EXCHANGE: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:token-type:";

/// A form with a token of Alice's that is meant for us.
fn form(stage: &Stage, more: &str) -> String {
    with(stage, json!({}), more)
}

fn with(stage: &Stage, other: Value, more: &str) -> String {
    let mut all = json!({
        "sub": "1234", "aud": ISSUER, "name": "Alice", "preferred_username": "alice",
        "email": "alice@example.com", "email_verified": true, "groups": ["dev", "ops"], "jti": "up-jti",
    });
    let Value::Object(other) = other else { panic!("claims are an object") };
    for (name, value) in other {
        all[name] = value;
    }
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let subject = stage.upstream.token(stage.clock.now(), all).sign();
    asking(&subject, "id_token", more)
}

pub(crate) fn asking(subject: &str, kind: &str, more: &str) -> String {
    format!("{EXCHANGE}&subject_token={subject}&subject_token_type={TYPE}{kind}&{more}")
}

#[tokio::test]
async fn claims_stand_as_dex_writes_them() {
    let stage = Stage::new().await;
    let scope = "openid email groups profile federated:id";
    let tokens = stage.granted(&form(&stage, &format!("scope={}", scope.replace(' ', "+")))).await;
    let (now, token) = (stage.clock.now().unix(), &tokens.access_token);
    let (id, hash) = (claims(token)["jti"].clone(), claims(token)["at_hash"].clone());
    let sub = "CgQxMjM0EgJ1cA"; // 1234 at up
    let expected = format!(
        r#"{{"iss":"{ISSUER}","sub":"{sub}","aud":"app","exp":{},"iat":{now},"jti":{id},"at_hash":{hash},"email":"alice@example.com","email_verified":true,"groups":["dev","ops"],"name":"Alice","preferred_username":"alice","federated_claims":{{"connector_id":"up","user_id":"1234"}},"client_id":"app","scope":"{scope}"}}"#,
        now + 86400
    );
    assert_eq!(payload(token), expected);
    assert_eq!(id.as_str().unwrap().len(), 36);
    assert_eq!(hash.as_str().unwrap().len(), 22);
    assert_eq!((tokens.expires_in, tokens.scope.as_deref()), (86400, Some(scope)));
    assert_eq!((tokens.refresh_token, tokens.id_token), (None, None));
    let told = stage.decisions().remove(0);
    assert_eq!(told.policy.as_deref(), Some("implicit"));
    assert_eq!(told.issuer.as_deref(), Some("https://up.example"));
    assert_eq!(told.upstream_subject.as_deref(), Some("1234"));
    assert_eq!(told.upstream_token_id.as_deref(), Some("up-jti"));
    assert_eq!((told.subject.as_deref(), told.token_id.as_deref()), (Some(sub), id.as_str()));
    assert_eq!((told.reason, told.connector.as_deref()), (None, Some("up")));
}

#[tokio::test]
async fn only_what_is_asked_for_is_said() {
    let stage = Stage::new().await;
    let token = stage.granted(&form(&stage, "")).await.access_token;
    let claims = claims(&token);
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["at_hash", "aud", "client_id", "exp", "iat", "iss", "jti", "sub"]);
    let email =
        stage.granted(&with(&stage, json!({"email": null, "email_verified": null}), "scope=email")).await;
    assert_eq!(testkit::stage::claims(&email.access_token)["email_verified"], false);
}

/// T4: honoured or refused; T5: a 400, not a 500.
#[tokio::test]
async fn dex_t4_dex_t5_audiences_are_honoured_or_refused() {
    let stage = Stage::new().await;
    let peer = "scope=openid+audience:server:client_id:peer";
    for (more, aud, azp) in [
        ("", json!("app"), Value::Null),
        (peer, json!(["peer", "app"]), json!("app")),
        ("audience=peer", json!("peer"), Value::Null),
        ("audience=app", json!("app"), Value::Null),
        ("audience=peer&audience=app&audience=peer", json!(["peer", "app"]), json!("app")),
    ] {
        let token = claims(&stage.granted(&form(&stage, more)).await.access_token);
        assert_eq!(
            (&token["aud"], &token["azp"], &token["client_id"]),
            (&aud, &azp, &json!("app")),
            "{more}"
        );
    }
    let many: String = (0..9).map(|n| format!("audience=a{n}&")).collect();
    for (more, code) in [
        ("scope=audience:server:client_id:other", "invalid_scope"),
        ("scope=audience:server:client_id:nobody", "invalid_scope"),
        ("scope=audience:server:client_id:", "invalid_scope"),
        ("scope=openid+admin", "invalid_scope"),
        ("scope=OpenID", "invalid_scope"),
        ("audience=other", "invalid_target"),
        ("audience=nobody", "invalid_target"),
        ("audience=peer&audience=other", "invalid_target"),
        (&format!("audience=peer&{peer}"), "invalid_target"),
        (&many, "invalid_target"),
        ("resource=https://api.example/", "invalid_target"),
        ("resource=relative", "invalid_target"),
        ("resource=https://api.example/%23part", "invalid_target"),
        ("actor_token=x", "invalid_request"),
        ("actor_token=", "invalid_request"),
        ("actor_token_type=x", "invalid_request"),
    ] {
        assert_eq!(stage.refused(&form(&stage, more)).await.0, code, "{more}");
    }
}

#[tokio::test]
async fn dex_t6_requested_types() {
    let stage = Stage::new().await;
    for (requested, typ, name, hash) in [
        ("", "at+jwt", "bearer", true),
        ("access_token", "at+jwt", "bearer", true),
        ("id_token", "JWT", "N_A", false),
        ("jwt", "JWT", "N_A", true),
    ] {
        let more = if requested.is_empty() {
            String::new()
        } else {
            format!("requested_token_type={TYPE}{requested}")
        };
        let tokens = stage.granted(&form(&stage, &more)).await;
        let issued = format!("{TYPE}{}", if requested.is_empty() { "access_token" } else { requested });
        assert_eq!(tokens.issued_token_type, Some(issued.as_str()));
        assert_eq!(tokens.token_type, name, "{requested}");
        assert_eq!(header(&tokens.access_token)["typ"], typ, "{requested}");
        assert_eq!(claims(&tokens.access_token)["at_hash"].is_string(), hash, "{requested}");
    }
    for unknown in ["refresh_token", "saml2", "", "id_token2"] {
        let more = format!("requested_token_type={TYPE}{unknown}");
        assert_eq!(stage.refused(&form(&stage, &more)).await.0, "invalid_request", "{unknown}");
    }
}

/// RFC 8693 section 2.2.2, and what Dex says instead.
#[tokio::test]
async fn dex_t9_errors_are_the_specifications() {
    let stage = Stage::new().await;
    stage.reload(
        &CONFIG.replace("name: App,", "name: App, allowedConnectors: [elsewhere, up],"),
        vec![stage.upstream.opened("up", &[]), stage.upstream.opened("forbidden", &[])],
    );
    let denied = Some((ErrorCode::AccessDenied, 401));
    let unknown = Some((ErrorCode::RequestNotSupported, 400));
    let good = form(&stage, "");
    let forged = stage
        .upstream
        .token(stage.clock.now(), json!({"aud": ISSUER, "sub": "x"}))
        .signature(&[1; 64])
        .sign();
    for (body, dex) in [
        (asking(&forged, "id_token", "connector_id=up"), denied),
        (asking("a.b.c", "id_token", "connector_id=up"), denied),
        (with(&stage, json!({"iss": "https://evil.example"}), ""), denied),
        (with(&stage, json!({"exp": 1}), ""), denied),
        (with(&stage, json!({"aud": "someone-else"}), ""), denied),
        (good.replace("type:id_token", "type:saml2"), unknown),
        (format!("{good}&requested_token_type=urn:x"), unknown),
        (format!("{good}&connector_id=forbidden"), Some((ErrorCode::InvalidGrant, 400))),
        (format!("{good}&connector_id=nowhere"), None),
        (good.replace("subject_token=", "x="), None),
        (good.replace("subject_token_type=", "x="), None),
    ] {
        match stage.token(Some(&app()), &body).await {
            Err(Error::Refusal(refusal)) => {
                assert_eq!(refusal.code, ErrorCode::InvalidRequest, "{body}");
                assert_eq!(refusal.dex.map(|dex| (dex.code, dex.status)), dex, "{body}");
            }
            other => panic!("{other:?} for {body}"),
        }
    }
}

/// T1: a token for another application of the same issuer; attack 7.
#[tokio::test]
async fn dex_t1_attack_07_a_subject_token_must_be_meant_for_us() {
    let stage = Stage::with(CONFIG, |up| vec![up.opened("up", &["our-client", "alias"])]).await;
    let (others, party) = (
        "the subject token is meant for others too and names no authorized party (azp)",
        "the subject token was issued to somebody else (azp)",
    );
    for (aud, azp, reason) in [
        (json!("our-client"), json!(null), None),
        (json!(["our-client", "alias"]), json!(null), None),
        (json!(["x", "alias"]), json!("alias"), None),
        (json!(["x", "alias"]), json!(null), Some(others)),
        (json!(["x", "alias"]), json!("x"), Some(party)),
        (json!("alias"), json!("x"), Some(party)),
        (json!(ISSUER), json!(null), None),
        (json!("app"), json!(null), Some("the subject token is meant for somebody else")),
        (json!(["x", "OUR-CLIENT"]), json!(null), Some("the subject token is meant for somebody else")),
        (json!(format!("{ISSUER}/")), json!(null), Some("the subject token is meant for somebody else")),
        (json!(null), json!(null), Some("the subject token names no audience")),
    ] {
        let body = with(&stage, json!({"aud": aud, "azp": azp}), "");
        match reason {
            None => drop(stage.granted(&body).await),
            Some(reason) => {
                assert_eq!(stage.refused(&body).await, ("invalid_request", reason.into()), "{aud}");
            }
        }
    }
}

#[tokio::test]
async fn an_unrestricted_connector_is_audited_as_such() {
    let any = |opened: Opened| Opened { audiences: SubjectAudiences::Unrestricted, ..opened };
    let stage = Stage::with(CONFIG, |up| vec![any(up.opened("up", &[]))]).await;
    stage.granted(&with(&stage, json!({"aud": "whoever"}), "")).await;
    let told = stage.decisions().remove(0);
    assert_eq!((told.allowed, told.reason.as_deref()), (true, Some("unrestricted")));
}

#[tokio::test]
async fn a_bound_token_needs_a_proof_that_nobody_can_give_yet() {
    let stage = Stage::new().await;
    let bound = with(&stage, json!({"cnf": {"jkt": "x"}}), "");
    assert!(stage.refused(&bound).await.1.contains("bound to a key"));
}

/// Trust is keyed by the connector: two clusters may call themselves the same.
#[tokio::test]
async fn a_token_finds_its_connector() {
    let both = |up: &Arc<testkit::Upstream>| vec![up.opened("up", &[]), up.opened("twin", &[])];
    let stage = Stage::with(CONFIG, both).await;
    assert!(stage.refused(&form(&stage, "")).await.1.starts_with("several connectors"));
    for id in ["up", "twin"] {
        let token = stage.granted(&form(&stage, &format!("connector_id={id}&scope=federated:id"))).await;
        assert_eq!(claims(&token.access_token)["federated_claims"]["connector_id"], id);
    }
    // A client that may use one of them needs to name none.
    let only = CONFIG.replace("name: App,", "name: App, allowedConnectors: [twin],");
    stage.reload(&only, both(&stage.upstream));
    stage.granted(&form(&stage, "")).await;
    assert_eq!(stage.decisions().pop().unwrap().connector.as_deref(), Some("twin"));
    let exchanges =
        |opened: Opened, kind: &str| Opened { grant_types: Arc::from([kind.to_owned()]), ..opened };
    let up = stage.upstream.opened("up", &[]);
    stage.reload(CONFIG, vec![exchanges(up.clone(), "refresh_token")]);
    for more in ["", "connector_id=up"] {
        assert_eq!(stage.refused(&form(&stage, more)).await.0, "invalid_request", "{more}");
    }
    stage.reload(CONFIG, vec![exchanges(up, "urn:ietf:params:oauth:grant-type:token-exchange")]);
    stage.granted(&form(&stage, "")).await;
}

#[tokio::test]
async fn an_issuer_out_of_reach_is_no_verdict_about_the_token() {
    let stage = Stage::new().await;
    stage.upstream.turns(Mood::Down);
    let outcome = stage.token(Some(&app()), &form(&stage, "")).await;
    assert!(matches!(outcome, Err(Error::Fault(Fault::Upstream(_)))), "{outcome:?}");
    stage.upstream.turns(Mood::Well);
    stage.granted(&form(&stage, "")).await;
}

#[tokio::test]
async fn a_client_chooses_its_algorithm() {
    let config = CONFIG.replace("name: Other,", "name: Other, idTokenSignedResponseAlg: RS256,");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let header_of = |authorization: String, body: String| {
        let stage = &stage;
        async move { header(&stage.token(Some(&authorization), &body).await.unwrap().access_token) }
    };
    let es = header_of(app(), form(&stage, "")).await;
    let rs = header_of(basic("other", "canary-secret-of-other"), form(&stage, "")).await;
    assert_eq!((&es["alg"], &rs["alg"]), (&json!("ES256"), &json!("RS256")));
    let jwks: Value = serde_json::from_slice(&stage.provider.ring().jwks().unwrap()).unwrap();
    let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&es["kid"]) && kids.contains(&&rs["kid"]), "{kids:?}");
}

#[tokio::test]
async fn lifetimes_are_the_configurations() {
    let config = format!("{CONFIG}expiry: {{idTokens: 10m}}\n");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let tokens = stage.granted(&form(&stage, "")).await;
    assert_eq!(tokens.expires_in, 600);
    let until = Time::from_unix(claims(&tokens.access_token)["exp"].as_i64().unwrap());
    assert_eq!(until.since(stage.clock.now()).as_secs(), 600);
}
