//! Attack list 6 to 9: time, audience, issuer, kinds of tokens.

use std::time::Duration;

use serde_json::{Value, json};
use token::{
    Alg, Audience, ClientSide, Expect, IdentityGrant, Keys, OwnAccessToken, OwnIdHint, OwnIdToken,
    ProxyCaller, Purpose, Rejected, SignedInAccessToken, SignedInIdToken, SubjectToken, Trust, UnverifiedJwt,
    UpstreamIdToken, UpstreamLogout, Verifier,
};

use crate::support::*;

async fn outcome(changes: Value, expect: Expect<SubjectToken>) -> Result<(), Rejected> {
    let key = signer(Alg::Es256).await;
    verify(&mint(&key, changes).await, set_of(&key), expect).map(drop)
}

#[tokio::test]
async fn attack_06_a_token_is_over_when_its_exp_says_so() {
    let now = NOW.unix();
    let strict = || expect().late_by(Duration::ZERO).early_by(Duration::ZERO);
    assert_eq!(outcome(json!({"exp": now}), strict()).await, Err(Rejected::Expired));
    assert_eq!(outcome(json!({"exp": now + 1}), strict()).await, Ok(()));
    assert_eq!(outcome(json!({"exp": now - 60}), expect()).await, Err(Rejected::Expired));
    assert_eq!(outcome(json!({"exp": now - 59}), expect()).await, Ok(()));
    assert_eq!(outcome(json!({"exp": -5}), expect()).await, Err(Rejected::Expired));
    assert_eq!(outcome(json!({"exp": null}), expect()).await, Err(Rejected::NoExpiry));
}

#[tokio::test]
async fn attack_06_a_token_from_the_future_does_not_pass_yet() {
    let now = NOW.unix();
    for claim in ["nbf", "iat"] {
        assert_eq!(outcome(json!({claim: now + 60}), expect()).await, Ok(()));
        assert_eq!(outcome(json!({claim: now + 61}), expect()).await, Err(Rejected::NotYet(claim)));
        let strict = expect().early_by(Duration::ZERO);
        assert_eq!(outcome(json!({claim: now + 1}), strict).await, Err(Rejected::NotYet(claim)));
    }
}

#[tokio::test]
async fn attack_06_long_lived_and_old_tokens_where_a_bound_is_set() {
    let now = NOW.unix();
    let short = || expect().max_lifetime(Duration::from_hours(1));
    assert_eq!(outcome(json!({"exp": now + 3600}), short()).await, Ok(()));
    assert_eq!(outcome(json!({"exp": now + 3601}), short()).await, Err(Rejected::LivesTooLong));
    assert_eq!(outcome(json!({"iat": null}), short()).await, Err(Rejected::NoIssueTime));
    let young = || expect().max_age(Duration::from_mins(10));
    assert_eq!(outcome(json!({"iat": now - 600}), young()).await, Ok(()));
    assert_eq!(outcome(json!({"iat": now - 601}), young()).await, Err(Rejected::TooOld));
    assert_eq!(outcome(json!({"iat": null}), young()).await, Err(Rejected::NoIssueTime));
}

#[tokio::test]
async fn attack_07_a_token_for_somebody_else() {
    for aud in [
        json!("https://kubernetes.default.svc"),
        json!("sts.amazonaws.com"),
        json!("https://github.com/org"),
        json!(["a", "b"]),
        json!("https://obol.example.com/"),
        json!("HTTPS://OBOL.EXAMPLE.COM"),
        Value::Null,
    ] {
        assert!(matches!(outcome(json!({"aud": aud}), expect()).await, Err(Rejected::Audience(_))), "{aud}");
    }
    assert_eq!(outcome(json!({"aud": ["other", US]}), expect()).await, Ok(()));
    let nobody = Expect::new(ISSUER, Audience::AnyOf(Vec::new()));
    assert!(matches!(outcome(json!({}), nobody).await, Err(Rejected::Audience(_))));
    let anybody = Expect::new(ISSUER, Audience::Unrestricted);
    assert_eq!(outcome(json!({"aud": "other"}), anybody).await, Ok(()));
}

#[tokio::test]
async fn attack_07_azp_and_cnf_reach_the_caller() {
    let key = signer(Alg::Es256).await;
    let token = mint(&key, json!({"azp": "another-client", "cnf": {"jkt": "x"}})).await;
    let verified = verify(&token, set_of(&key), expect()).unwrap();
    assert_eq!(verified.authorized_party(), Some("another-client"));
    assert!(verified.confirmation().is_some());
    assert_eq!(
        (verified.subject(), verified.trust().name(), verified.alg()),
        (Some("somebody"), "test", Alg::Es256)
    );
}

#[tokio::test]
async fn attack_08_issuers_are_compared_byte_for_byte() {
    for iss in [
        "https://issuer.example.com/",
        "https://Issuer.example.com",
        "HTTPS://issuer.example.com",
        "https://issuer.example.com:443",
        "https://user@issuer.example.com",
        "https://issuer.example.com.evil.com",
        "https://evil.com/https://issuer.example.com",
        "https://issuer%2Eexample.com",
        "https://issuer.example.co",
        "https://issuer.example.com#",
        "https://\u{456}ssuer.example.com",
        "http://issuer.example.com",
    ] {
        assert!(matches!(outcome(json!({"iss": iss}), expect()).await, Err(Rejected::Issuer(_))), "{iss}");
    }
    assert!(matches!(outcome(json!({"iss": null}), expect()).await, Err(Rejected::Issuer(_))));
    assert_eq!(
        outcome(json!({"iss": "accounts.example.com"}), expect().alias("accounts.example.com")).await,
        Ok(())
    );
}

/// Names that people, browsers or URL parsers take for the issuer's.
#[tokio::test]
async fn attack_08_names_that_look_like_the_issuer_s() {
    for iss in [
        "https://issuer.example.com.",
        "https://issuer.ex\u{430}mple.com",
        "https://issuer.xn--exmple-4nf.com",
        "https://issuer\u{3002}example\u{ff0e}com",
        "https://\u{ff49}ssuer.example.com",
        "https://issuer.exa\u{ad}mple.com",
        "https://issuer.exa\u{200b}mple.com",
        "https://i\u{17f}suer.example.com",
        "https://issuer.example.com\u{0}",
        "https://issuer.example.com\t",
        "https://issuer.example.com\u{202e}",
        "https:\u{2215}\u{2215}issuer.example.com",
        "https:\\\\issuer.example.com",
        "https:/issuer.example.com",
        "https://issuer.example.com/.",
        "https://issuer.example.com/%2e",
        "https://issuer.example.com/../",
        "https://issuer.example.com?",
    ] {
        assert!(matches!(outcome(json!({"iss": iss}), expect()).await, Err(Rejected::Issuer(_))), "{iss}");
    }
    // Nor is a name that is written in its own script the same as its spelling for the network.
    let key = signer(Alg::Es256).await;
    for (configured, other) in [
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://b\u{fc}cher.example"),
        ("https://b\u{fc}cher.example", "https://bu\u{308}cher.example"),
        ("https://xn--bcher-kva.example", "https://XN--BCHER-KVA.example"),
    ] {
        let of = async |iss: &str| {
            let token = mint(&key, json!({"iss": iss})).await;
            verify(&token, set_of(&key), Expect::new(configured, Audience::only(US))).map(drop)
        };
        assert_eq!(of(configured).await, Ok(()));
        assert!(matches!(of(other).await, Err(Rejected::Issuer(_))), "{other}");
    }
}

#[tokio::test]
async fn attack_08_one_issuer_text_and_two_clusters() {
    let (one, two) = (signer(Alg::Es256).await, fresh_signer(Alg::Es256).await);
    let token = mint(&one, json!({})).await;
    assert!(verify(&token, set_of(&one), expect()).is_ok());
    assert!(verify(&token, set_of(&two), expect()).is_err());
}

async fn kind<P: Purpose>(typ: Option<&str>, changes: Value) -> Result<(), Rejected> {
    let key = signer(Alg::Es256).await;
    let token = token::sign_jwt(&key, typ, claims(changes).as_bytes()).await.unwrap();
    let expect = Expect::<P>::new(ISSUER, Audience::only(US));
    let verifier = Verifier::new(Trust::new("test"), Keys::fixed(set_of(&key)), expect);
    verifier.verify_at_hand(UnverifiedJwt::parse(&token)?, NOW).map(drop)
}

/// Every kind of token against every purpose: what is not listed here is refused.
#[tokio::test]
async fn attack_09_a_kind_of_token_serves_its_purposes_and_no_other() {
    async fn serving<P: Purpose>() -> Vec<&'static str> {
        let kinds = [
            "",
            "JWT",
            "at+jwt",
            "application/AT+JWT",
            "logout+jwt",
            "dpop+jwt",
            "wit+jwt",
            "oauth-id-jag+jwt",
            "secevent+jwt",
            "token-introspection+jwt",
            "client-authentication+jwt",
            "oauth-authz-req+jwt",
            "txntoken+jwt",
            "kb+jwt",
            "JOSE",
            "jwt ",
        ];
        let mut serving = Vec::new();
        for typ in kinds {
            let events = if P::EVENTS {
                json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}})
            } else {
                json!({})
            };
            match kind::<P>((!typ.is_empty()).then_some(typ), events).await {
                Ok(()) => serving.push(typ),
                Err(why) => assert!(matches!(why, Rejected::Kind(..)), "{typ}: {why}"),
            }
        }
        serving
    }
    assert_eq!(serving::<SubjectToken>().await, ["", "JWT"]);
    assert_eq!(serving::<UpstreamIdToken>().await, ["", "JWT"]);
    assert_eq!(serving::<ClientSide>().await, ["", "JWT", "at+jwt", "application/AT+JWT"]);
    assert_eq!(serving::<SignedInIdToken>().await, ["", "JWT"]);
    assert_eq!(serving::<SignedInAccessToken>().await, ["", "JWT", "at+jwt", "application/AT+JWT"]);
    assert_eq!(serving::<UpstreamLogout>().await, ["", "JWT", "logout+jwt"]);
    assert_eq!(serving::<OwnAccessToken>().await, ["at+jwt", "application/AT+JWT"]);
    assert_eq!(serving::<OwnIdToken>().await, ["JWT"]);
    assert_eq!(serving::<OwnIdHint>().await, ["JWT"]);
    assert_eq!(serving::<IdentityGrant>().await, ["oauth-id-jag+jwt"]);
    assert_eq!(serving::<ProxyCaller>().await, ["", "JWT", "at+jwt", "application/AT+JWT"]);
}

#[tokio::test]
async fn attack_09_logout_tokens_are_known_by_their_events() {
    for events in [json!({}), json!({"http://schemas.openid.net/event/backchannel-logout": {}}), json!(7)] {
        let changes = json!({"events": events});
        assert_eq!(kind::<SubjectToken>(None, changes.clone()).await, Err(Rejected::Events("SubjectToken")));
        assert_eq!(
            kind::<UpstreamIdToken>(None, changes.clone()).await,
            Err(Rejected::Events("UpstreamIdToken"))
        );
        assert_eq!(kind::<ProxyCaller>(None, changes).await, Err(Rejected::Events("ProxyCaller")));
    }
    assert_eq!(kind::<UpstreamLogout>(None, json!({})).await, Err(Rejected::Events("UpstreamLogout")));
}

/// What an issuer signs besides tokens about somebody who signed in, and what others sign for it.
#[tokio::test]
async fn attack_09_userinfo_answers_and_client_assertions_are_no_subject_tokens() {
    let now = NOW.unix();
    // A signed UserInfo answer (OpenID Connect Core section 5.3.2) need not say when it ends, nor whom it is for.
    for typ in [None, Some("JWT")] {
        let answer = json!({"exp": null, "iat": null, "email": "a@example.com"});
        assert_eq!(kind::<SubjectToken>(typ, answer.clone()).await, Err(Rejected::NoExpiry));
        assert_eq!(kind::<UpstreamIdToken>(typ, answer.clone()).await, Err(Rejected::NoExpiry));
        assert_eq!(kind::<ProxyCaller>(typ, answer).await, Err(Rejected::NoExpiry));
        let for_its_client = kind::<SubjectToken>(typ, json!({"aud": "a-client-of-the-issuer"})).await;
        assert!(matches!(for_its_client, Err(Rejected::Audience(_))));
    }
    assert!(matches!(kind::<SubjectToken>(Some("userinfo+jwt"), json!({})).await, Err(Rejected::Kind(..))));
    // A client's assertion (RFC 7523 section 3) is by the client itself, even when it is meant for us.
    for client in ["a-client", "https://client.example.com", US] {
        let assertion = json!({"iss": client, "sub": client, "aud": US, "jti": "1", "exp": now + 60});
        for typ in [None, Some("JWT"), Some("client-authentication+jwt")] {
            let said = kind::<SubjectToken>(typ, assertion.clone()).await;
            assert!(matches!(said, Err(Rejected::Issuer(_) | Rejected::Kind(..))), "{said:?}");
        }
    }
    let typed = kind::<SubjectToken>(Some("client-authentication+jwt"), json!({})).await;
    assert!(matches!(typed, Err(Rejected::Kind(..))), "one that the issuer signed");
}

#[tokio::test]
async fn attack_09_access_tokens_are_exchanged_only_where_that_is_said() {
    let key = signer(Alg::Es256).await;
    let token = token::sign_jwt(&key, Some("at+jwt"), claims(json!({})).as_bytes()).await.unwrap();
    assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::Kind(..))));
    assert!(verify(&token, set_of(&key), expect().also_of_kind("at+jwt")).is_ok());
}

#[tokio::test]
async fn only_a_hint_may_have_expired() {
    let expired = || json!({"exp": NOW.unix() - 100_000});
    assert_eq!(kind::<OwnIdHint>(Some("JWT"), expired()).await, Ok(()));
    assert_eq!(kind::<OwnIdToken>(Some("JWT"), expired()).await, Err(Rejected::Expired));
    // Obol's own tokens and those for the API server end on the second.
    let now = || json!({"exp": NOW.unix()});
    assert_eq!(kind::<OwnAccessToken>(Some("at+jwt"), now()).await, Err(Rejected::Expired));
    assert_eq!(kind::<ProxyCaller>(None, now()).await, Err(Rejected::Expired));
}
