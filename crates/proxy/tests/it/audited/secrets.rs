//! No credential is ever recorded, wherever it is put.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shape;
use crate::client;

fn send(method: &str, target: &str, token: &str, body: String) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(target)
        .header("authorization", format!("Bearer {token}"))
        .header("user-agent", format!("kubectl {token}"))
        .header("audit-id", token)
        .header("x-leak", token)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

#[tokio::test]
async fn attack_26_the_callers_token_is_in_no_event_wherever_the_caller_puts_it() {
    let recorder = Shape::of("- {level: RequestResponse, verbs: [patch]}\n- level: Request").start();
    let front = recorder.front().await;
    let good = front.jane();
    let stranger = format!("{}x", front.jane());
    for token in [&good, &stranger] {
        for target in [
            format!("/api/v1/namespaces/a/configmaps/{token}"),
            format!("/api/v1/namespaces/{token}/configmaps"),
            format!("/api/v1/configmaps?fieldSelector=metadata.name%3D{token}"),
            format!("/healthz?access_token={token}&access%5Ftoken={token}"),
        ] {
            for method in ["GET", "POST", "PATCH"] {
                let body =
                    json!({"metadata": {"name": token}, "data": {"t": format!("a{token}b")}}).to_string();
                client::read(client::send(front.address, send(method, &target, token, body)).await).await;
            }
        }
    }
    recorder.audit.written().await;
    let text = recorder.text();
    assert!(text.lines().count() > 30 && text.contains("REDACTED"), "{text}");
    assert!(!text.contains(&good), "{text}");
    // The stub's answers to PATCH say which headers reached it; nothing else does.
    for line in text.lines().filter(|line| !line.contains("\"responseObject\"")) {
        assert!(!line.contains("Bearer") && !line.contains("the-proxys-own"), "{line}");
    }
}

#[tokio::test]
async fn attack_26_a_browsers_token_is_in_no_event() {
    let recorder = Shape::of("- level: RequestResponse").start();
    let front = recorder.front().await;
    let token = front.jane();
    let encoded = wire::b64::encode(token.as_bytes());
    let head = format!(
        "GET /api/v1/namespaces/a/pods/p/exec?command=echo&command={token} HTTP/1.1\r\nHost: proxy.test\r\n\
         Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\n\r\npingmore"
    );
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    recorder.until(3).await;
    let text = recorder.text();
    assert!(text.contains("command=echo") && !text.contains(&token) && !text.contains(&encoded), "{text}");
}

#[tokio::test]
async fn attack_26_tokens_in_queries_are_in_no_event_whoever_they_belong_to() {
    let recorder = Shape::of("- level: Metadata").start();
    let front = recorder.front().await;
    for name in ["token", "access_token", "id_token", "refresh_token", "%74oken"] {
        front.get(&format!("/callback?a=1&{name}=somebody-elses&b=2"), &front.jane(), &[]).await;
        let event = recorder.events().pop().unwrap();
        assert_eq!(event["requestURI"], format!("/callback?a=1&{name}=REDACTED&b=2"));
    }
}

#[tokio::test]
async fn attack_26_objects_that_are_made_of_credentials_are_left_out_whatever_the_policy_says() {
    let recorder = Shape::of("- level: RequestResponse").start();
    let front = recorder.front().await;
    for path in [
        "/api/v1/namespaces/a/secrets",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        "/api/v1/namespaces/a/serviceaccounts/b/token",
    ] {
        let body = json!({"metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}).to_string();
        client::read(client::send(front.address, send("POST", path, &front.jane(), body)).await).await;
        let event = recorder.events().pop().unwrap();
        assert_eq!(
            (&event["level"], &event["stage"]),
            (&json!("RequestResponse"), &json!("ResponseComplete"))
        );
        assert_eq!(event["annotations"]["proxy.obol/request-object"], "left out: it holds credentials");
    }
    assert!(!recorder.text().contains("aHVudGVyMg"));
}

#[tokio::test]
async fn attack_25_hostile_names_and_ids_stay_one_line_and_within_bounds() {
    let recorder = Shape::of("- level: Metadata").start();
    let front = recorder.front().await;
    let long = "a".repeat(5_000);
    let agent = format!("{{\"level\":\"None\"}}{long}");
    for id in [long.as_str(), "\u{e9}"] {
        let path = format!("/api/v1/namespaces/%0A%22%7D%E2%80%A8/pods/{long}%00%ff");
        front.get(&path, &front.jane(), &[("audit-id", id), ("user-agent", &agent)]).await;
    }
    let events = recorder.events();
    assert_eq!(events.len(), 4, "each line is one event");
    for event in &events {
        assert_eq!(event["auditID"].as_str().unwrap().len(), 36, "an id that is no id is replaced");
        assert_eq!(event["objectRef"]["namespace"], "\n\"}\u{2028}");
        let agent = event["userAgent"].as_str().unwrap();
        assert!(agent.len() < 1_100 && agent.ends_with("...TRUNCATED"));
    }
}

#[tokio::test]
async fn attack_26_a_short_token_redacts_no_words() {
    let recorder = Shape::of("- level: Metadata").start();
    let front = recorder.front().await;
    front.get("/api/v1/namespaces/kube-system/pods", "kube-system", &[]).await.failure(401, "Unauthorized");
    assert!(recorder.text().contains("/namespaces/kube-system/"));
}
