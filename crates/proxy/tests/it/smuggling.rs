//! What callers put into heads to be somebody else, and where it ends.

use serde_json::json;

use crate::client;
use crate::front::Front;

#[tokio::test]
async fn attack_28_impersonation_headers_are_refused() {
    let front = Front::start().await;
    for name in [
        "Impersonate-User",
        "impersonate-group",
        "Impersonate-Uid",
        "Impersonate-Extra-Scopes",
        "Impersonate_User",
        "Impersonate-Nothing-Known",
    ] {
        let answer = front.get("/api", &front.jane(), &[(name, "admin")]).await;
        let message = answer.failure(403, "Forbidden");
        assert_eq!(message, "Impersonation requests are disabled when using kube-oidc-proxy", "{name}");
        let request = client::get("/api", &front.jane(), &[(&name.to_lowercase(), "admin")]);
        client::read(client::send_h2(front.address, request).await).await.failure(403, "Forbidden");
    }
    // Nobody learns from a 403 that a token was not needed.
    front.get("/api", "garbage", &[("Impersonate-User", "admin")]).await.failure(401, "Unauthorized");
    assert!(front.stub.paths().is_empty());
}

#[tokio::test]
async fn attack_28_connection_cannot_name_our_headers_away() {
    let front = Front::start().await;
    let named = "Impersonate-User, Impersonate-Group, Authorization, X-Mine";
    let seen =
        front.reached(&front.jane(), &[("connection", named), ("x-mine", "1"), ("x-other", "2")]).await;
    let headers = seen["headers"].as_object().unwrap();
    assert_eq!(headers["impersonate-user"], json!(["jane"]));
    assert_eq!(headers["authorization"], json!(["Bearer the-proxys-own"]));
    assert_eq!(headers["x-other"], json!(["2"]));
    assert!(!headers.contains_key("x-mine") && !headers.contains_key("connection"));
}

#[tokio::test]
async fn attack_28_what_other_proxies_say_is_not_believed() {
    let front = Front::start().await;
    let seen = front
        .reached(
            &front.jane(),
            &[
                ("x-remote-user", "admin"),
                ("x_remote_group", "system:masters"),
                ("x-remote-extra-a", "b"),
                ("forwarded", "for=10.0.0.1"),
                ("x-forwarded-for", "10.0.0.1"),
                ("proxy-authorization", "Basic eDp5"),
                ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.aGk, v5.channel.k8s.io"),
            ],
        )
        .await;
    let mut names = seen["headers"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    names.sort_unstable();
    let expected = [
        "authorization",
        "host",
        "impersonate-group",
        "impersonate-user",
        "sec-websocket-protocol",
        "x-forwarded-for",
    ];
    assert_eq!(names, expected);
    assert_eq!(seen["headers"]["sec-websocket-protocol"], json!(["v5.channel.k8s.io"]));
}

#[tokio::test]
async fn attack_28_two_authorizations_are_none() {
    let front = Front::start().await;
    let again = format!("Bearer {}", front.jane());
    front.get("/api", &front.jane(), &[("authorization", &again)]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "two_tokens");
}

#[tokio::test]
async fn targets_that_are_no_paths_are_refused() {
    let front = Front::start().await;
    let head = format!("Host: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", front.jane());
    for (line, status) in [
        ("GET https://elsewhere.test/api HTTP/1.1", "400"),
        ("OPTIONS * HTTP/1.1", "400"),
        ("GET /api/%2e%2e/version HTTP/1.1", "400"),
        ("TRACE /api HTTP/1.1", "405"),
        ("CONNECT elsewhere.test:443 HTTP/1.1", "405"),
    ] {
        let answer = front.say(&format!("{line}\r\n{head}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        assert!(answer.contains(r#""kind":"Status""#), "{line}: {answer}");
    }
    assert!(front.stub.paths().is_empty());
}

#[tokio::test]
async fn malformed_framing_never_reaches_the_api_server() {
    let front = Front::start().await;
    let token = front.jane();
    for framing in [
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Impersonate-User : admin",
        "X-Folded: a\r\n Impersonate-User: admin",
        "X-Bare: a\rImpersonate-User: admin",
        "X-Nul: a\0b",
    ] {
        let request = format!(
            "POST /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\nabcd"
        );
        let answer = front.say(&request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{framing}: {answer}");
    }
    assert!(front.stub.paths().is_empty());
}

#[tokio::test]
async fn a_request_within_a_request_stays_a_body() {
    let front = Front::start().await;
    let token = front.jane();
    let inner = format!("GET /smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let request = format!(
        "POST /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 5\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}"
    );
    let answer = front.say(&request).await;
    // One of the two lengths was believed, and the API server was told only that one.
    assert_eq!(front.stub.paths(), if answer.starts_with("HTTP/1.1 200") { vec!["/api"] } else { vec![] });
    assert!(!answer.contains("content-length\":"), "{answer}");
}

#[tokio::test]
async fn attack_22_a_trusted_proxys_word_for_the_client_counts() {
    let trusted_proxies = proxy::TrustedProxies::read(["127.0.0.0/8"]).unwrap();
    let mode = proxy::Mode::Impersonate(proxy::Extras { client_ip: true, ..proxy::Extras::default() });
    let front = crate::front::Plan { trusted_proxies, mode, ..crate::front::Plan::default() }.start().await;
    let seen = front.reached(&front.jane(), &[("x-forwarded-for", "9.9.9.9, 192.0.2.7")]).await;
    assert_eq!(seen["headers"]["impersonate-extra-remote-client-ip"], json!(["192.0.2.7"]));
    assert_eq!(seen["headers"]["x-forwarded-for"], json!(["192.0.2.7, 127.0.0.1"]));
    assert_eq!(front.events.all().pop().unwrap().source.to_string(), "192.0.2.7");
}
