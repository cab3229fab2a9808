//! Bad input at every edge of the listeners: one clear error, and it still serves.

use std::io::{Read as _, Write as _};

use super::{Plan, Serving, Wire};
use testkit::TestCa;

async fn usual() -> Serving {
    let plan = Plan::new();
    let config = plan.usual("");
    plan.serve(&config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_header_is_refused() {
    let serving = usual().await;
    let answer = serving.wire.get_with("/keys", &format!("X-Huge: {}\r\n", "x".repeat(200_000)));
    assert_eq!(answer.unwrap().status, 431);
    let many = "X-Many: x\r\n".repeat(5000);
    assert_eq!(serving.wire.get_with("/keys", &many).unwrap().status, 431);
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_body_is_refused() {
    let serving = usual().await;
    let answer = serving.wire.post("/token", &format!("grant_type={}", "x".repeat(2_000_000))).unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.json()["error"], "invalid_request");
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused() {
    let serving = usual().await;
    for raw in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"hello\r\n\r\n", b"\x00\x00\x00\x00\r\n\r\n"]
    {
        let answer = serving.wire.send(raw);
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{answer:?}");
    }
    let smuggled = b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef";
    assert_eq!(serving.wire.send(smuggled).unwrap().status, 400);
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_are_none_are_one_error_of_the_protocol() {
    let serving = usual().await;
    for (path, form) in [
        ("/token", ""),
        ("/token", "%"),
        ("/token", "grant_type=%ff%fe"),
        ("/token", "grant_type=a&grant_type=b"),
        ("/token?client_secret=canary-secret", "grant_type=client_credentials"),
    ] {
        let answer = serving.wire.post(path, form).unwrap();
        assert!(answer.status == 400 && answer.json()["error"].is_string(), "{path} {form}: {answer:?}");
        assert!(!answer.body.contains("canary"), "{answer:?}");
    }
    assert_eq!(serving.get("/token").json()["error"], "invalid_request");
    assert_eq!(serving.get("/no/such/page").status, 404);
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_holds_up_nobody() {
    let serving = usual().await;
    let mut slow: Vec<_> = (0..50).map(|_| serving.wire.raw().unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Le").unwrap();
    }
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_tls_is_refused() {
    let (plan, ca) = (Plan::new(), TestCa::new());
    let leaf = ca.leaf(&[]);
    let (cert, key) = (plan.file("tls.crt", &leaf.cert_pem), plan.file("tls.key", &leaf.key_pem));
    let (cert, key) = (cert.display(), key.display());
    let web = format!("web: {{https: '127.0.0.1:{}', tlsCert: {cert}, tlsKey: {key}}}", plan.port);
    let config = plan.usual(&web);
    let serving = plan.serve_on(&config, Some(ca.pem())).await;
    let plain = Wire::plain(serving.plan.port);
    assert!(plain.get("/keys").is_none(), "plain HTTP was answered at the TLS port");
    for garbage in [&b"\x16\x03\x01\xff\xff"[..], &[0xff; 5000], b"\x16\x03\x03\x00\x02\x01\x00"] {
        let mut stream = plain.raw().unwrap();
        let _ = stream.write_all(garbage);
        // It may have hung up already.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"));
    }
    serving.still_serves();
}
