//! UserInfo (OpenID Connect Core section 5.3, RFC 6750).

use std::time::Duration;

use testkit::stage::{CONFIG, claims};

use crate::site::{Answer, Site};

async fn ask(site: &Site, authorization: &str) -> Answer {
    site.ask("GET", "/dex/userinfo", &[("authorization", authorization)], "").await
}

async fn tokens(site: &Site) -> (String, String) {
    let code = site.stage.sign_in("app", "openid email").await;
    let body = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    let tokens = site.stage.granted(&body).await;
    (tokens.access_token, tokens.id_token.unwrap())
}

/// P1: an ID token is no key to anything; P4: ES256 works as RS256 does.
#[tokio::test]
async fn dex_p1_dex_p4_an_access_token_of_either_algorithm_and_nothing_else() {
    for algorithm in ["ES256", "RS256"] {
        let site = Site::with(&CONFIG.replace("algorithm: ES256", &format!("algorithm: {algorithm}"))).await;
        let (access, id_token) = tokens(&site).await;
        assert_eq!(testkit::stage::header(&access)["alg"], algorithm);
        for scheme in ["Bearer", "bearer"] {
            let answer = ask(&site, &format!("{scheme} {access}")).await;
            assert_eq!((answer.status.as_u16(), answer.json()), (200, claims(&access)));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        assert_eq!(answer_of_post(&site, &access).await, 200);
        assert_eq!(ask(&site, &format!("Bearer {id_token}")).await.error(), (401, "invalid_token".into()));
    }
}

async fn answer_of_post(site: &Site, access: &str) -> u16 {
    site.post("/dex/userinfo", &[("authorization", &format!("Bearer {access}"))], "").await.status.as_u16()
}

#[tokio::test]
async fn what_is_no_living_access_token_is_challenged() {
    let site = Site::new().await;
    let (access, _) = tokens(&site).await;
    let good = format!("Bearer {access}");
    let mut forged = access.clone();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic eDp5",
        &access,
        &format!("{good} x"),
        &format!("Bearer {forged}"),
    ] {
        let answer = ask(&site, authorization).await;
        assert_eq!(answer.error(), (401, "invalid_token".into()), "{authorization}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{authorization}");
    }
    let twice = [("authorization", good.as_str()), ("authorization", good.as_str())];
    assert_eq!(site.ask("GET", "/dex/userinfo", &twice, "").await.status, 401);
    let query = format!("/dex/userinfo?access_token={access}");
    assert_eq!(site.get(&query).await.status, 401, "a URL is no place for a token");
    let body = format!("access_token={access}");
    assert_eq!(site.post("/dex/userinfo", &[], &body).await.status, 401);
    // Whoever is removed is dead at the next use.
    site.reload(&CONFIG.replace("id: app,", "id: gone,"));
    assert_eq!(ask(&site, &good).await.status, 401);
    site.stage.reload(CONFIG, vec![]);
    assert_eq!(ask(&site, &good).await.status, 401);
    site.reload(CONFIG);
    assert_eq!(ask(&site, &good).await.status, 200);
    site.stage.clock.advance(Duration::from_secs(86400));
    assert_eq!(ask(&site, &good).await.status, 401);
}
