use client::{Landing, Note, Way};
use serde_json::{Value, json};

use super::stage::{Stage, back, parameter};

#[tokio::test]
async fn a_browser_signs_in_once() {
    let stage = Stage::start().await;
    let ask = stage.ask(stage.browser());
    let person = async {
        let url = stage.visited(0).await;
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "kubectl"),
            ("scope", "openid offline_access"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(parameter(&url, name), value);
        }
        assert!(parameter(&url, "redirect_uri").starts_with("http://localhost:"));
        let id_token = stage.id_token(json!({"nonce": parameter(&url, "nonce")}));
        stage.answer(&id_token, Some("refresh-1"));
        let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
        let page = stage.go(&back(&url, &[("code", "c0de"), ("state", &state), ("iss", &iss)])).await;
        (id_token, page)
    };
    let (issued, (id_token, page)) = tokio::join!(stage.sign_in(&ask), person);
    assert_eq!(issued.unwrap().token.expose(), &id_token);
    let text = String::from_utf8_lossy(&page.body);
    assert!(page.status == 200 && text.contains("You are signed in as <strong>Ana B</strong>"), "{text}");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-")
            && policy.contains("frame-ancestors 'none'")
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(stage.sign_in(&ask).await.unwrap().token.expose(), &id_token);
    assert_eq!(stage.visits(), 1, "the second run needed nobody");
}

/// Any page in the browser can send requests to the port. None of these ends or answers the sign-in.
#[tokio::test]
async fn attack_21_what_is_no_answer_to_this_sign_in_changes_nothing() {
    let stage = Stage::start().await;
    let ask = stage.ask(stage.browser());
    let person = async {
        let url = stage.visited(0).await;
        let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
        let with = |state: &str| back(&url, &[("code", "evil"), ("state", state), ("iss", &iss)]);
        let good = with(&state);
        for (address, status) in [
            (with("guessed"), 400),
            (with(state.strip_suffix(|_: char| true).unwrap()), 400),
            (back(&url, &[("code", "evil"), ("iss", &iss)]), 400),
            (back(&url, &[("error", "access_denied")]), 400),
            (format!("{good}&state=x"), 400),
            (format!("{good}&code=x"), 400),
            (back(&url, &[("state", &state), ("iss", &iss)]), 400),
            (good.replacen("?", "other?", 1), 404),
        ] {
            let page = stage.go(&address).await;
            assert_eq!(page.status, status, "{address}");
        }
        assert_eq!(stage.requests("/token"), 0, "nothing was redeemed");
        let id_token = stage.id_token(json!({"nonce": parameter(&url, "nonce")}));
        stage.answer(&id_token, None);
        assert_eq!(stage.go(&good).await.status, 200);
    };
    let (issued, ()) = tokio::join!(stage.sign_in(&ask), person);
    issued.unwrap();
    assert!(stage.notes.all().iter().any(|note| matches!(note, Note::Stray { .. })));
}

/// A name that an attacker's page was rebound to this address under is not ours, even with everything else right.
#[tokio::test]
async fn attack_12_a_rebound_name_is_not_answered() {
    let stage = Stage::start().await;
    let ask = stage.ask(stage.browser());
    let person = async {
        let url = stage.visited(0).await;
        let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
        let good = back(&url, &[("code", "c"), ("state", &state), ("iss", &iss)]);
        let port = url::Url::parse(&good).unwrap().port().unwrap();
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            "localhost",
            &format!("localhost.evil.example:{port}"),
        ] {
            let page = stage.go_as(&good, Some(host)).await;
            assert_eq!(page.status, 421, "{host}");
            assert!(!String::from_utf8_lossy(&page.body).contains(host));
        }
        stage.answer(&stage.id_token(json!({"nonce": parameter(&url, "nonce")})), None);
        assert_eq!(stage.go(&good).await.status, 200);
    };
    let (issued, ()) = tokio::join!(stage.sign_in(&ask), person);
    issued.unwrap();
}

/// The answer that knows our state and is from another issuer, or does not say (RFC 9207).
#[tokio::test]
async fn attack_21_an_answer_of_another_issuer_is_not_redeemed() {
    for iss in [Some("https://evil.example"), None] {
        let stage = Stage::start().await;
        let ask = stage.ask(stage.browser());
        let person = async {
            let url = stage.visited(0).await;
            let state = parameter(&url, "state");
            let mut query = vec![("code", "c0de"), ("state", state.as_str())];
            query.extend(iss.map(|iss| ("iss", iss)));
            stage.go(&back(&url, &query)).await
        };
        let (issued, page) = tokio::join!(stage.sign_in(&ask), person);
        let told = issued.unwrap_err().to_string();
        assert!(told.contains("mixing them up"), "{told}");
        assert_eq!(page.status, 400);
        assert_eq!(stage.requests("/token"), 0, "the code was shown to nobody");
    }
}

/// Makes an ID token for a sign-in with this nonce.
type Made = fn(&Stage, &str) -> String;

/// What came for somebody else, was signed by somebody else or answers another sign-in is neither kept nor handed out.
#[tokio::test]
async fn attack_21_a_token_that_does_not_answer_this_sign_in_is_refused() {
    let cases: [(Made, &str); 9] = [
        (|stage, _| stage.id_token(json!({"nonce": "another sign-in's"})), "(nonce)"),
        (|stage, _| stage.id_token(json!({})), "(nonce)"),
        (
            |stage, nonce| stage.id_token(json!({"nonce": nonce, "aud": "other"})),
            "not meant for this audience",
        ),
        (|stage, nonce| stage.id_token(json!({"nonce": nonce, "azp": "other"})), "(azp)"),
        (|stage, nonce| stage.id_token(json!({"nonce": nonce, "aud": ["kubectl", "other"]})), "for several"),
        (|stage, nonce| stage.id_token(json!({"nonce": nonce, "iss": "https://evil.example"})), "issuer"),
        (|stage, nonce| stage.id_token(json!({"nonce": nonce, "exp": 1000})), "expired"),
        (|stage, nonce| stage.id_token(json!({"nonce": nonce, "sub": Value::Null})), "claims"),
        (
            |stage, nonce| {
                let claims = json!({"sub": "ana", "aud": "kubectl", "nonce": nonce});
                stage.issuer.token(claims).signature(b"forged").sign()
            },
            "does not verify",
        ),
    ];
    for (at, (token, want)) in cases.into_iter().enumerate() {
        let stage = Stage::start().await;
        let ask = stage.ask(stage.browser());
        let person = async {
            let url = stage.visited(0).await;
            stage.answer(&token(&stage, &parameter(&url, "nonce")), Some("canary-refresh"));
            let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
            stage.go(&back(&url, &[("code", "c"), ("state", &state), ("iss", &iss)])).await
        };
        let (issued, page) = tokio::join!(stage.sign_in(&ask), person);
        let told = issued.unwrap_err().to_string();
        assert!(told.contains(want) || want == "claims", "{at}: {told}");
        let text = String::from_utf8_lossy(&page.body);
        assert!(page.status == 400 && text.contains("Signing in did not work"), "{at}: {text}");
        let kept = std::fs::read_dir(stage.folder.path().join("cache")).unwrap();
        let kept = kept
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"));
        assert_eq!(kept.count(), 0, "{at}: nothing is kept");
    }
}

#[tokio::test]
async fn attack_21_words_of_others_are_text_on_the_page_and_one_line_at_the_terminal() {
    let stage = Stage::start().await;
    let ask = stage.ask(stage.browser());
    let person = async {
        let url = stage.visited(0).await;
        let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
        let evil = "<script>alert(1)</script>\n\u{1b}[31merror: all is well";
        let query =
            [("error", "access_denied"), ("error_description", evil), ("state", &state), ("iss", &iss)];
        stage.go(&back(&url, &query)).await
    };
    let (issued, page) = tokio::join!(stage.sign_in(&ask), person);
    let told = issued.unwrap_err().to_string();
    assert!(
        told.starts_with("signing in was refused: access_denied: <script>")
            && !told.contains(['\n', '\u{1b}'])
    );
    let text = String::from_utf8_lossy(&page.body);
    assert!(text.contains("&lt;script&gt;alert(1)") && !text.contains("<script"), "{text}");
}

/// Whoever sends the same answer again, or another one with the same state, meets a closed door.
#[tokio::test]
async fn attack_21_there_is_one_answer() {
    let stage = Stage::start().await;
    let ask = stage.ask(stage.browser());
    let person = async {
        let url = stage.visited(0).await;
        let (state, iss) = (parameter(&url, "state"), stage.issuer.issuer());
        let good = back(&url, &[("code", "c"), ("state", &state), ("iss", &iss)]);
        let evil = back(&url, &[("code", "evil"), ("state", &state), ("iss", &iss)]);
        stage.answer(&stage.id_token(json!({"nonce": parameter(&url, "nonce")})), None);
        let (first, second) = tokio::join!(stage.go(&good), stage.go(&evil));
        let mut both = [first.status.as_u16(), second.status.as_u16()];
        both.sort_unstable();
        both
    };
    let (issued, both) = tokio::join!(stage.sign_in(&ask), person);
    issued.unwrap();
    assert_eq!(both, [200, 409]);
    assert_eq!(stage.requests("/token"), 1);
}

/// RFC 9126: the request goes by the back door, and the browser carries a reference to it alone.
#[tokio::test]
async fn a_provider_that_takes_requests_by_the_back_door_gets_them_there() {
    let stage = Stage::start().await;
    stage.issuer.set_discovery(
        "pushed_authorization_request_endpoint",
        json!(format!("{}/par", stage.issuer.issuer())),
    );
    stage.issuer.set_answer(
        "/par",
        201,
        json!({"request_uri": "urn:ietf:params:oauth:request_uri:x", "expires_in": 60}),
    );
    let ask = stage.ask(stage.browser());
    let person = async {
        let url = stage.visited(0).await;
        let query = url.query().unwrap();
        assert_eq!(query, "client_id=kubectl&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax");
        let sent = url::Url::parse(&format!("http://x/?{}", stage.last_form("/par"))).unwrap();
        assert_eq!(parameter(&sent, "client_id"), "kubectl");
        stage.answer(&stage.id_token(json!({"nonce": parameter(&sent, "nonce")})), None);
        let (state, iss) = (parameter(&sent, "state"), stage.issuer.issuer());
        stage.go(&back(&sent, &[("code", "c"), ("state", &state), ("iss", &iss)])).await
    };
    let (issued, page) = tokio::join!(stage.sign_in(&ask), person);
    issued.unwrap();
    assert_eq!(page.status, 200);
    stage.issuer.set_answer("/par", 400, json!({"error": "invalid_request"}));
    let refused = stage.exchanger().sign_in(&ask, &*stage.person, None, client::Lookup::Use).await;
    assert!(refused.unwrap_err().to_string().contains("invalid_request"));
}

#[tokio::test]
async fn the_redirect_url_is_as_it_is_registered() {
    for (registered, want) in [
        (None, "http://localhost:PORT"),
        (Some("http://127.0.0.1"), "http://127.0.0.1:PORT"),
        (Some("http://127.0.0.1/callback"), "http://127.0.0.1:PORT/callback"),
        (Some("http://localhost/callback"), "http://localhost:PORT/callback"),
        (Some("https://sign-in.example.com/back"), "https://sign-in.example.com/back"),
    ] {
        let stage = Stage::start().await;
        let addresses = vec!["127.0.0.1:0".parse().unwrap()];
        let landing =
            Landing { addresses, redirect_uri: registered.map(str::to_owned), ..Landing::default() };
        let ask = stage.ask(Way::Browser(landing));
        let url = tokio::select! {
            url = stage.visited(0) => url,
            done = stage.sign_in(&ask) => panic!("{done:?}"),
        };
        let uri = parameter(&url, "redirect_uri");
        let port = url::Url::parse(&uri).unwrap().port().unwrap_or_default();
        assert_eq!(uri, want.replace("PORT", &port.to_string()));
    }
}
