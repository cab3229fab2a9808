//! Discovery and JWKS.

use serde_json::{Value, json};
use testkit::stage::CONFIG;

use crate::site::Site;

fn root() -> String {
    CONFIG.replace("https://obol.example/dex", "https://obol.example")
}

fn expected(issuer: &str) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/auth"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/keys"),
        "userinfo_endpoint": at("/userinfo"),
        "introspection_endpoint": at("/token/introspect"),
        "grant_types_supported": [
            "authorization_code", "client_credentials", "refresh_token",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "email", "groups", "profile", "offline_access"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint": format!("{issuer}/token/revoke"),
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "jti", "azp", "nonce", "auth_time", "at_hash", "email",
            "email_verified", "groups", "name", "preferred_username", "federated_claims", "client_id", "scope",
        ],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}

#[tokio::test]
async fn discovery_at_the_root_and_under_a_path() {
    let (dex, root) = (Site::new().await, Site::with(&root()).await);
    for (site, path, issuer) in [
        (&dex, "/dex/.well-known/openid-configuration", "https://obol.example/dex"),
        (&dex, "/dex/.well-known/oauth-authorization-server", "https://obol.example/dex"),
        // RFC 8414 section 3.1
        (&dex, "/.well-known/oauth-authorization-server/dex", "https://obol.example/dex"),
        (&root, "/.well-known/openid-configuration", "https://obol.example"),
        (&root, "/.well-known/oauth-authorization-server", "https://obol.example"),
    ] {
        let answer = site.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected(issuer)), "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.body.starts_with("{\n  \"issuer\""), "indented, as Dex writes it");
    }
    assert_eq!(dex.get("/.well-known/openid-configuration").await.status, 404);
}

#[tokio::test]
async fn keys_are_public_halves_and_nothing_else() {
    let answer = Site::new().await.get("/dex/keys").await;
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    let members = |key: &Value| key.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let shapes: Vec<_> = keys.iter().map(members).collect();
    assert_eq!(shapes, ["alg e kid kty n use", "alg crv kid kty use x y"]);
    assert_eq!(
        (&keys[0]["alg"], &keys[1]["alg"], &keys[0]["use"]),
        (&json!("RS256"), &json!("ES256"), &json!("sig"))
    );
}

#[tokio::test]
async fn documents_may_be_kept_as_long_as_rotation_allows() {
    let site = Site::new().await;
    for path in ["/dex/keys", "/dex/.well-known/openid-configuration"] {
        let first = site.get(path).await;
        assert_eq!(first.header("cache-control"), "public, max-age=600, must-revalidate");
        let tag = first.header("etag").to_owned();
        let again = site.ask("GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!((again.status.as_u16(), &*again.body, again.header("etag")), (304, "", &*tag));
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        assert_eq!(site.ask("GET", path, &[("if-none-match", "\"old\"")], "").await.status, 200);
        let head = site.ask("HEAD", path, &[], "").await;
        assert_eq!((head.status.as_u16(), &*head.body, head.header("etag")), (200, "", &*tag));
    }
}

/// P17: discovery follows the living configuration, also after reloads that nobody looked at.
#[tokio::test]
async fn dex_p17_discovery_follows_a_reload() {
    let site = Site::new().await;
    let path = "/dex/.well-known/openid-configuration";
    let fewer = CONFIG.replace("[authorization_code, refresh_token,", "[");
    for _ in 0..20 {
        let before = site.get(path).await;
        site.reload(&fewer);
        assert_ne!(site.get(path).await.header("etag"), before.header("etag"));
        site.reload(&fewer);
        site.reload(CONFIG);
        assert_eq!(site.get(path).await.header("etag"), before.header("etag"));
    }
}

#[tokio::test]
async fn without_keys_there_is_no_document_yet() {
    let site = Site::new().await;
    site.stage.provider.ring().install_signers(Vec::new(), &[]);
    assert_eq!(site.get("/dex/keys").await.status, 503);
}
