//! Signing in by redirect, and asking again.

use std::collections::HashMap;

use ambient::Secret;
use aws_lc_rs::digest;
use provider::connector::{Departure, Flow, Hints, Identity, RedirectFlow, SignedIn, UpstreamError};
use serde_json::{Value, json};
use testkit::Line;
use testkit::conformance::connector::Vouching;
use testkit::issuer::Mint;
use url::Url;
use wire::form::Form;

use super::{client, site};
use crate::{OUR_ISSUER, open};

/// A browser on its way.
struct Way {
    departure: Departure,
    query: HashMap<String, String>,
}

fn flow(site: &Vouching) -> &dyn RedirectFlow {
    let Flow::Redirect(flow) = site.opened.connector.flow() else { panic!("no redirect") };
    flow
}

fn callback() -> Url {
    Url::parse(&format!("{OUR_ISSUER}/callback")).unwrap()
}

async fn depart(site: &Vouching, scopes: Hints) -> Way {
    let departure = flow(site).depart(scopes, &callback(), "the-state").await.unwrap();
    let query = departure.to.query_pairs().into_owned().collect();
    Way { departure, query }
}

async fn arrive(site: &Vouching, way: &Way, query: &str) -> Result<SignedIn, UpstreamError> {
    let query = Form::parse(query, &[]).unwrap();
    flow(site).arrive(Hints::default(), &callback(), way.departure.keep.expose(), &query).await
}

/// An ID token as it should be for this attempt.
fn id_token(site: &Vouching, way: &Way) -> Mint {
    site.issuer.token(json!({
        "sub": "ana", "aud": "obol", "nonce": way.query["nonce"], "name": "Ana", "email": "a@example.com", "email_verified": true,
    }))
}

fn grant(site: &Vouching, id_token: &str) {
    let answer =
        json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token, "refresh_token": "rt-1"});
    site.issuer.set_answer("/token", 200, answer);
}

/// The form that the token endpoint was asked with last.
fn asked(site: &Vouching) -> HashMap<String, String> {
    let seen = site.issuer.server().seen();
    let last = seen.iter().rfind(|seen| seen.path == "/token").unwrap();
    url::form_urlencoded::parse(&last.body).into_owned().collect()
}

#[tokio::test]
async fn a_login_goes_there_and_back() {
    let site = site(client(&json!({"scopes": ["email", "groups"], "acrValues": ["a", "b"]}))).await;
    let way = depart(&site, Hints { offline: true, groups: true }).await;
    assert!(way.departure.to.as_str().starts_with(&format!("{}/auth?", site.issuer.issuer())));
    let want = [
        ("client_id", "obol"),
        ("redirect_uri", "https://obol.example/dex/callback"),
        ("response_type", "code"),
        ("scope", "openid email groups"),
        ("state", "the-state"),
        ("acr_values", "a b"),
        ("access_type", "offline"),
        ("prompt", "consent"),
    ];
    for (name, value) in want {
        assert_eq!(way.query.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(way.query["nonce"].len() >= 22);
    grant(&site, &id_token(&site, &way).sign());
    let signed_in = arrive(&site, &way, "code=c%2B1&state=the-state").await.unwrap();
    assert_eq!(signed_in.identity.user_id, "ana");
    assert_eq!(
        (signed_in.identity.email.as_str(), signed_in.identity.email_verified),
        ("a@example.com", true)
    );
    assert_eq!(signed_in.kept.expose(), br#"{"RefreshToken":"cnQtMQ=="}"#, "as Dex stores it");
    let form = asked(&site);
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "c+1"));
    assert_eq!(form["redirect_uri"], "https://obol.example/dex/callback");
    assert!(!form.contains_key("client_secret"), "it is in the header");
    let other = self::site(client(&json!({"promptType": "login"}))).await;
    let offline = Hints { offline: true, groups: false };
    assert_eq!(depart(&other, offline).await.query["prompt"], "login");
    let plain = depart(&site, Hints::default()).await;
    assert!(!plain.query.contains_key("prompt") && !plain.query.contains_key("access_type"));
    assert_ne!(plain.query["nonce"], way.query["nonce"]);
}

#[tokio::test]
async fn dex_k1_the_verifier_never_stands_in_the_browser_s_url() {
    for (config, methods, challenged) in [
        (json!({}), json!(["S256", "plain"]), true),
        (json!({}), json!(["plain"]), false),
        (json!({}), json!(null), false),
        (json!({"pkceChallenge": "S256"}), json!(null), true),
        (json!({"pkceChallenge": "plain"}), json!(["S256", "plain"]), true),
        (json!({"pkceChallenge": "plain"}), json!(["plain"]), false),
    ] {
        let site = site(client(&config)).await;
        site.issuer.set_discovery("code_challenge_methods_supported", methods);
        let way = depart(&site, Hints::default()).await;
        assert!(!way.query.contains_key("code_verifier"));
        assert_eq!(way.query.contains_key("code_challenge"), challenged);
        grant(&site, &id_token(&site, &way).sign());
        arrive(&site, &way, "code=c").await.unwrap();
        let form = asked(&site);
        assert_eq!(form.contains_key("code_verifier"), challenged);
        if challenged {
            assert_eq!(way.query["code_challenge_method"], "S256");
            let hashed = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
            assert_eq!(wire::b64::encode(hashed), way.query["code_challenge"]);
            assert!(!way.departure.to.as_str().contains(&form["code_verifier"]));
        }
    }
}

#[tokio::test]
async fn attack_09_only_the_id_token_of_this_attempt_signs_in() {
    let site = site(client(&json!({}))).await;
    let way = depart(&site, Hints::default()).await;
    let other = depart(&site, Hints::default()).await;
    let good = || id_token(&site, &way);
    for (token, what) in [
        (id_token(&site, &other).sign(), "another attempt's nonce"),
        (good().claim("nonce", json!(null)).sign(), "no nonce"),
        (good().claim("aud", json!("other-app")).sign(), "another application's"),
        (good().claim("aud", json!(["obol", "other-app"])).sign(), "several audiences and no azp"),
        (good().claim("azp", json!("other-app")).sign(), "azp"),
        (good().claim("iss", json!("https://evil.example")).sign(), "another issuer"),
        (good().claim("exp", json!(1)).sign(), "expired"),
        (good().claim("sub", json!(null)).sign(), "no subject"),
        (good().header("typ", json!("at+jwt")).sign(), "an access token"),
        (good().header("typ", json!("logout+jwt")).sign(), "a logout token"),
        (good().header("alg", json!("none")).signature(b"").sign(), "no signature"),
        ("opaque".to_owned(), "no JWT"),
    ] {
        grant(&site, &token);
        let said = arrive(&site, &way, "code=c").await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{what}: {said:?}");
    }
    grant(&site, &good().claim("aud", json!(["obol", "api"])).claim("azp", json!("obol")).sign());
    assert!(arrive(&site, &way, "code=c").await.is_ok());
    site.issuer.set_answer("/token", 200, json!({"access_token": "at"}));
    assert!(matches!(arrive(&site, &way, "code=c").await, Err(UpstreamError::Invalid(_))));
}

/// RFC 9207 section 2.4: who says that they name themselves, does.
#[tokio::test]
async fn attack_21_an_upstream_that_names_itself_is_believed_by_its_name_alone() {
    for (says, bare) in [(json!(null), true), (json!(false), true), (json!(true), false)] {
        let site = site(client(&json!({}))).await;
        site.issuer.set_discovery("authorization_response_iss_parameter_supported", says.clone());
        let issuer: String = url::form_urlencoded::byte_serialize(site.issuer.issuer().as_bytes()).collect();
        for (query, good) in [
            ("code=c".to_owned(), bare),
            ("code=c&iss=".to_owned(), bare),
            (format!("code=c&iss={issuer}"), true),
            (format!("code=c&iss={issuer}%2F"), false),
            ("code=c&iss=https%3A%2F%2Fevil.example".to_owned(), false),
        ] {
            let way = depart(&site, Hints::default()).await;
            grant(&site, &id_token(&site, &way).sign());
            let said = arrive(&site, &way, &query).await;
            assert!(said.is_ok() == good, "{says} {query}: {said:?}");
            assert!(good || matches!(said, Err(UpstreamError::Invalid(_))));
        }
    }
}

#[tokio::test]
async fn what_comes_back_instead_of_a_code_signs_nobody_in() {
    let site = site(client(&json!({}))).await;
    let way = depart(&site, Hints::default()).await;
    grant(&site, &id_token(&site, &way).sign());
    for (query, word) in [
        ("error=access_denied&code=c", "denied"),
        ("error=server_error", "unavailable"),
        ("error=%3Cscript%3E", "invalid"),
        ("state=x", "invalid"),
        ("code=c&iss=https%3A%2F%2Fevil.example", "invalid"),
    ] {
        let said = match arrive(&site, &way, query).await {
            Err(UpstreamError::Denied(_)) => "denied",
            Err(UpstreamError::Unavailable(_)) => "unavailable",
            Err(UpstreamError::Invalid(_)) => "invalid",
            other => panic!("{query}: {other:?}"),
        };
        assert_eq!(said, word, "{query}");
    }
    let foreign = Form::parse("code=c", &[]).unwrap();
    assert!(
        flow(&site).arrive(Hints::default(), &callback(), b"", &foreign).await.is_err(),
        "not begun here"
    );
    for (status, word) in [(400, "denied"), (401, "invalid"), (503, "unavailable")] {
        let error = if status == 400 { "invalid_grant" } else { "invalid_client" };
        site.issuer.set_answer("/token", status, json!({"error": error, "error_description": "at"}));
        let said = match arrive(&site, &way, "code=c").await {
            Err(UpstreamError::Denied(_)) => "denied",
            Err(UpstreamError::Unavailable(_)) => "unavailable",
            Err(UpstreamError::Invalid(_)) => "invalid",
            other => panic!("{status}: {other:?}"),
        };
        assert_eq!(said, word, "{status}");
    }
}

#[tokio::test]
async fn dex_k3_userinfo_must_speak_of_the_same_person() {
    let site = site(client(&json!({"getUserInfo": true}))).await;
    let way = depart(&site, Hints::default()).await;
    grant(&site, &id_token(&site, &way).sign());
    site.issuer
        .set_userinfo("at", json!({"sub": "ana", "name": "Ana from UserInfo", "iss": "x", "aud": "y"}));
    assert_eq!(arrive(&site, &way, "code=c").await.unwrap().identity.username, "Ana from UserInfo");
    for userinfo in [json!({"sub": "bob", "name": "Bob"}), json!({"name": "Nobody"})] {
        site.issuer.set_userinfo("at", userinfo);
        let said = arrive(&site, &way, "code=c").await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{said:?}");
    }
}

#[tokio::test]
async fn attack_24_an_address_is_verified_by_who_names_it() {
    let signed_in = async |more: Value, from_token: Value, mut userinfo: Value| {
        let mut config = json!({"getUserInfo": true});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let site = site(client(&config)).await;
        let way = depart(&site, Hints::default()).await;
        let mut token = id_token(&site, &way);
        for (name, value) in from_token.as_object().unwrap() {
            token = token.claim(name, value.clone());
        }
        grant(&site, &token.sign());
        userinfo["sub"] = json!("ana");
        site.issuer.set_userinfo("at", userinfo);
        let identity = arrive(&site, &way, "code=c").await.ok()?.identity;
        Some((identity.email, identity.email_verified))
    };
    let said = |email: &str, verified| Some((email.to_owned(), verified));
    let plain = || json!({});
    // The ID token says yes to a@example.com unless it is changed.
    assert_eq!(signed_in(plain(), json!({}), json!({"email": "root@example.com"})).await, None);
    let unsure = json!({"email_verified": null});
    let yes = json!({"email_verified": true});
    assert_eq!(signed_in(plain(), unsure.clone(), yes.clone()).await, None);
    let same = json!({"email": "a@example.com"});
    assert_eq!(signed_in(plain(), json!({}), same).await, said("a@example.com", true));
    let whole = json!({"email": "b@example.com", "email_verified": true});
    assert_eq!(signed_in(plain(), json!({}), whole).await, said("b@example.com", true));
    // A no is a no, whoever says it, and the key does not take it for a missing claim.
    let skip = json!({"insecureSkipEmailVerified": true});
    let no = json!({"email_verified": false});
    let other = json!({"email": "root@example.com"});
    assert_eq!(signed_in(skip, no.clone(), other).await, said("root@example.com", false));
    assert_eq!(signed_in(plain(), no, yes).await, said("a@example.com", false));
    // The same for an address under a name of its own.
    let mail = json!({"claimMapping": {"email": "mail"}, "overrideClaimMapping": true});
    let other = json!({"mail": "root@example.com"});
    assert_eq!(signed_in(mail, json!({"mail": "a@example.com"}), other).await, None);
    let stands_in = json!({"claimMapping": {"email": "mail"}});
    let other = json!({"mail": "b@example.com", "email_verified": true});
    assert_eq!(signed_in(stands_in, unsure, other).await, None, "the address in use is the token's");
}

#[tokio::test]
async fn the_secret_goes_where_the_upstream_takes_it() {
    for (config, methods, in_body) in [
        (json!({}), json!(null), false),
        (json!({}), json!(["client_secret_basic", "client_secret_post"]), false),
        (json!({}), json!(["client_secret_post"]), true),
        (json!({"basicAuthUnsupported": true}), json!(["client_secret_basic"]), true),
    ] {
        let site = site(client(&config)).await;
        site.issuer.set_discovery("token_endpoint_auth_methods_supported", methods);
        let way = depart(&site, Hints::default()).await;
        grant(&site, &id_token(&site, &way).sign());
        arrive(&site, &way, "code=c").await.unwrap();
        assert_eq!(asked(&site).get("client_secret").map(String::as_str), in_body.then_some("s&cret"));
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_the_header_is_tried_with_the_body() {
    let site = site(client(&json!({}))).await;
    let way = depart(&site, Hints::default()).await;
    for (methods, requests) in [(json!(["client_secret_basic"]), 1), (json!(null), 2)] {
        site.issuer.set_discovery("token_endpoint_auth_methods_supported", methods);
        site.clock.advance(std::time::Duration::from_secs(3601));
        site.issuer.set_answer("/token", 401, json!({"error": "invalid_client"}));
        let before = site.issuer.server().requests("/token");
        assert!(matches!(arrive(&site, &way, "code=c").await, Err(UpstreamError::Invalid(_))));
        assert_eq!(site.issuer.server().requests("/token") - before, requests);
        assert_eq!(asked(&site).contains_key("client_secret"), requests == 2);
    }
}

#[tokio::test]
async fn a_person_has_what_the_configuration_asks_for() {
    let signed_in = async |config: Value, changed: &str, value: Value| {
        let site = site(client(&config)).await;
        let way = depart(&site, Hints::default()).await;
        grant(&site, &id_token(&site, &way).claim(changed, value).sign());
        arrive(&site, &way, "code=c").await.map(|signed_in| signed_in.identity)
    };
    for missing in ["name", "email", "email_verified"] {
        let said = signed_in(json!({}), missing, json!(null)).await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{missing}: {said:?}");
    }
    let said = signed_in(json!({"scopes": ["profile"]}), "email", json!(null)).await.unwrap();
    assert_eq!((said.email.as_str(), said.email_verified), ("", false));
    let skip = json!({"insecureSkipEmailVerified": true});
    for odd in [json!("false"), json!("true"), json!(1), json!([true])] {
        let refused = signed_in(skip.clone(), "email_verified", odd.clone()).await;
        assert!(refused.is_err(), "attack 5: {odd} is neither true nor false, and not missing either");
    }
    assert!(signed_in(skip.clone(), "email_verified", json!(null)).await.unwrap().email_verified);
    assert!(
        !signed_in(skip, "email_verified", json!(false)).await.unwrap().email_verified,
        "a no stays a no"
    );
    let said = signed_in(json!({"allowedGroups": ["admins"]}), "groups", json!(["users"])).await;
    assert!(matches!(said, Err(UpstreamError::Denied(_))), "{said:?}");
}

#[tokio::test]
async fn overrides_stand_in_for_discovery() {
    let site = site(client(&json!({}))).await;
    let at = |path: &str| format!("{}{path}", site.issuer.issuer());
    let overrides = json!({
        "authURL": at("/auth2"), "tokenURL": at("/token2"), "userInfoURL": at("/userinfo2"), "jwksURL": at("/keys2"),
    });
    let config = json!({
        "issuer": site.issuer.issuer(), "rootCAs": [site.issuer.ca_pem()], "getUserInfo": true,
        "providerDiscoveryOverrides": overrides,
    });
    let site = Vouching { opened: open("oidc", &client(&config), &site.clock), ..site };
    let way = depart(&site, Hints::default()).await;
    assert!(way.departure.to.path() == "/auth2");
    let token = id_token(&site, &way).sign();
    site.issuer.set_answer("/token2", 200, json!({"access_token": "at", "id_token": token}));
    site.issuer.set_answer("/userinfo2", 200, json!({"sub": "ana", "name": "Ana from elsewhere"}));
    site.issuer.set_answer("/keys2", 200, json!({"keys": [site.issuer.signing_key().jwk()]}));
    assert_eq!(arrive(&site, &way, "code=c").await.unwrap().identity.username, "Ana from elsewhere");
    assert_eq!(site.issuer.requests(testkit::issuer::Route::Keys), 0);
}

async fn refresh(site: &Vouching, kept: &Secret<Vec<u8>>) -> Result<SignedIn, UpstreamError> {
    let known = Identity { user_id: "ana".into(), ..Identity::default() };
    site.opened.connector.refresh().unwrap().refresh(Hints::default(), &known, kept.expose()).await
}

#[tokio::test]
async fn a_refresh_asks_the_upstream_again() {
    let site = site(client(&json!({}))).await;
    let kept = Secret::new(br#"{"RefreshToken":"cnQtMQ=="}"#.to_vec());
    let token = |name: &str| {
        let claims: Value = json!({"sub": "ana", "aud": "obol", "name": name, "email": "a@example.com", "email_verified": true});
        site.issuer.mint(claims)
    };
    site.issuer.set_answer("/token", 200, json!({"access_token": "at", "id_token": token("Ana II")}));
    let again = refresh(&site, &kept).await.unwrap();
    assert_eq!(again.identity.username, "Ana II");
    assert_eq!(again.kept.expose(), kept.expose(), "an upstream that does not rotate lets it live on");
    assert_eq!(asked(&site)["refresh_token"], "rt-1");
    site.issuer.set_answer("/token", 200, json!({"id_token": token("Ana"), "refresh_token": "rt-2"}));
    assert_eq!(refresh(&site, &kept).await.unwrap().kept.expose(), br#"{"RefreshToken":"cnQtMg=="}"#);
    site.issuer.set_answer("/token", 400, json!({"error": "invalid_grant"}));
    assert!(matches!(refresh(&site, &kept).await, Err(UpstreamError::Denied(_))));
    let nothing = Secret::new(Vec::new());
    assert!(matches!(refresh(&site, &nothing).await, Err(UpstreamError::Denied(_))));
    site.issuer.set_line(Line::Refusing).await;
    assert!(matches!(refresh(&site, &kept).await, Err(UpstreamError::Unavailable(_))));
}

#[tokio::test]
async fn attack_12_a_discovery_document_cannot_send_browsers_to_http() {
    for endpoint in [json!("http://a.example/auth"), json!("javascript:alert(1)"), json!(""), json!(null)] {
        let site = site(client(&json!({}))).await;
        site.issuer.set_discovery("authorization_endpoint", endpoint);
        let said = flow(&site).depart(Hints::default(), &callback(), "s").await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{said:?}");
    }
}

#[tokio::test]
async fn attack_14_an_outage_at_departure_ends_without_a_restart() {
    let site = site(client(&json!({}))).await;
    site.issuer.set_line(Line::Refusing).await;
    let said = flow(&site).depart(Hints::default(), &callback(), "s").await;
    assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "{said:?}");
    site.issuer.set_line(Line::Up).await;
    site.clock.advance(std::time::Duration::from_secs(5));
    assert!(flow(&site).depart(Hints::default(), &callback(), "s").await.is_ok());
}
