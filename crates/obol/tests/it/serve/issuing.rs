//! Keys that decide what the token endpoint gives.

use super::Plan;

#[tokio::test(flavor = "multi_thread")]
async fn expiry_id_tokens_bounds_tokens() {
    let plan = Plan::new();
    let config = plan.usual("expiry: {idTokens: 7m}");
    let claims = plan.serve(&config).await.claims();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 420);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_grant_types_switches_grants() {
    let plan = Plan::new();
    // By default, as in Dex, clients do not act for themselves.
    let config = plan.bare("storage: {type: memory}", "");
    let serving = plan.serve(&config).await;
    let refused = serving.token("canary-secret");
    assert_eq!((refused.status, &refused.json()["error"]), (400, &"unsupported_grant_type".into()));
    let offered =
        serving.get("/.well-known/openid-configuration").json()["grant_types_supported"].to_string();
    assert!(!offered.contains("client_credentials") && offered.contains("token-exchange"), "{offered}");

    let plan = Plan::new();
    let config = plan.usual("");
    let serving = plan.serve(&config).await;
    serving.still_serves();
    let offered =
        serving.get("/.well-known/openid-configuration").json()["grant_types_supported"].to_string();
    assert_eq!(offered, r#"["client_credentials"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_dex_compatible_errors_speaks_as_dex() {
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=robot\
                    &client_secret=canary-secret&subject_token=x&subject_token_type=urn:example:unheard-of";
    let mut answers = Vec::new();
    for extra in ["", "oauth2: {dexCompatibleErrors: true}"] {
        let plan = Plan::new();
        let config = plan.bare("storage: {type: memory}", extra);
        let answer = plan.serve(&config).await.wire.post("/token", exchange).unwrap();
        answers.push((answer.status, answer.json()["error"].as_str().unwrap().to_owned()));
    }
    assert_eq!(answers[0], (400, "invalid_request".into()));
    assert_eq!(answers[1], (400, "request_not_supported".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn signer_algorithm_is_what_clients_get_that_name_none() {
    let plan = Plan::new();
    let config = plan.usual("signer: {type: local, config: {keysRotationPeriod: 6h, algorithm: ES256}}");
    let serving = plan.serve(&config).await;
    let token = serving.token("canary-secret").json()["access_token"].as_str().unwrap().to_owned();
    let header = wire::b64::decode(token.split('.').next().unwrap()).unwrap();
    assert!(String::from_utf8(header).unwrap().contains("\"ES256\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn static_clients_take_id_and_secret_from_the_environment() {
    let plan = Plan::new().with_variable("ROBOT_ID", "robot").with_variable("ROBOT_SECRET", "canary-secret");
    let config = plan.usual("").replace("id: robot", "idEnv: ROBOT_ID");
    let config = config.replace("secret: canary-secret", "secretEnv: ROBOT_SECRET");
    let serving = plan.serve(&config).await;
    serving.still_serves();
    assert_eq!(serving.token("").status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn static_clients_choose_their_algorithm_groups_and_peers() {
    let plan = Plan::new();
    let config = plan.usual("").replace(
        "secret: canary-secret}",
        "secret: canary-secret, idTokenSignedResponseAlg: ES256, clientCredentialsClaims: {groups: [robots]}}, \
         {id: friend, name: Friend, public: true, trustedPeers: [robot]}, {id: stranger, name: Stranger, public: true}",
    );
    let serving = plan.serve(&config).await;
    let ask = |scope: &str| {
        let form = "grant_type=client_credentials&client_id=robot&client_secret=canary-secret&scope=openid";
        serving.wire.post("/token", &format!("{form}+{scope}")).unwrap()
    };
    let granted = ask("groups+audience:server:client_id:friend");
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    let parts: Vec<_> = token.split('.').map(|part| wire::b64::decode(part).unwrap()).collect();
    let (header, claims) = (String::from_utf8_lossy(&parts[0]), String::from_utf8_lossy(&parts[1]));
    assert!(header.contains("\"ES256\"") && claims.contains("\"groups\":[\"robots\"]"), "{header} {claims}");
    assert!(claims.contains("\"friend\""), "{claims}");
    assert_eq!(ask("audience:server:client_id:stranger").status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_pkce_methods_are_those_that_are_listed() {
    let plan = Plan::new();
    let config = plan
        .bare("storage: {type: memory}", "oauth2: {pkce: {codeChallengeMethodsSupported: [S256, plain]}}");
    let serving = plan.serve(&config).await;
    let document = serving.get("/.well-known/openid-configuration").json();
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256", "plain"]));
}
