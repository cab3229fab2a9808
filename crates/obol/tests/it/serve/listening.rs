//! `web` and `telemetry`: where it listens, and what every answer carries.

use super::{Plan, Wire, signal};
use testkit::TestCa;
use testkit::peers::{free_port, until};

#[tokio::test(flavor = "multi_thread")]
async fn web_http_serves_below_the_path_of_the_issuer() {
    let plan = Plan::under("/dex");
    let config = plan.usual("");
    let serving = plan.serve(&config).await;
    let issuer = format!("http://127.0.0.1:{}/dex", serving.plan.port);
    let document = serving.get("/dex/.well-known/openid-configuration").json();
    assert_eq!(document["issuer"], *issuer);
    assert_eq!(document["token_endpoint"], format!("{issuer}/token"));
    assert_eq!(serving.get("/dex/keys").json()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(serving.get("/.well-known/openid-configuration").status, 404);
}

/// A plan whose web listener speaks TLS, and the authority to trust.
fn over_tls(versions: &str) -> (Plan, String, TestCa) {
    let (plan, ca) = (Plan::new(), TestCa::new());
    let leaf = ca.leaf(&[]);
    let (cert, key) = (plan.file("tls.crt", &leaf.cert_pem), plan.file("tls.key", &leaf.key_pem));
    let web = format!(
        "web: {{https: '127.0.0.1:{}', tlsCert: {}, tlsKey: {}{versions}}}",
        plan.port,
        cert.display(),
        key.display()
    );
    let config = plan.usual(&web);
    (plan, config, ca)
}

#[tokio::test(flavor = "multi_thread")]
async fn web_https_serves_with_the_configured_pair() {
    let (plan, config, ca) = over_tls("");
    let serving = plan.serve_on(&config, Some(ca.pem())).await;
    serving.still_serves();
    let old = Wire::tls_of(serving.plan.port, ca.pem(), &[&rustls::version::TLS12]);
    assert_eq!(old.get("/healthz").unwrap().status, 200);
    let stranger = Wire::tls(serving.plan.port, TestCa::new().pem());
    assert!(stranger.get("/healthz").is_none(), "an authority that signed nothing was believed");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_https_takes_over_a_new_pair_at_a_hangup() {
    let (plan, config, ca) = over_tls("");
    let serving = plan.serve_on(&config, Some(ca.pem())).await;
    let next = TestCa::new();
    let leaf = next.leaf(&[]);
    let renewed = Wire::tls(serving.plan.port, next.pem());
    serving.plan.file("tls.key", "no key");
    signal(&serving.process, "HUP");
    serving.log_with("the last good one stays").await;
    serving.still_serves();
    serving.plan.file("tls.crt", &leaf.cert_pem);
    serving.plan.file("tls.key", &leaf.key_pem);
    signal(&serving.process, "HUP");
    let shown = async || renewed.get("/healthz").map(|_| ()).ok_or_else(|| serving.process.log());
    until("the new certificate is shown", shown).await.unwrap();
    // A new client: one that was there before resumes its session and asks for no certificate.
    let old = Wire::tls(serving.plan.port, ca.pem());
    assert!(old.get("/healthz").is_none(), "the old one is not shown any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_tls_min_version_refuses_what_is_older() {
    let (plan, config, ca) = over_tls(", tlsMinVersion: '1.3'");
    let serving = plan.serve_on(&config, Some(ca.pem())).await;
    let old = Wire::tls_of(serving.plan.port, ca.pem(), &[&rustls::version::TLS12]);
    assert!(old.get("/healthz").is_none());
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn web_tls_max_version_refuses_what_is_newer() {
    let (plan, config, ca) = over_tls(", tlsMaxVersion: '1.2'");
    let serving = plan.serve_on(&config, Some(ca.pem())).await;
    let new = Wire::tls_of(serving.plan.port, ca.pem(), &[&rustls::version::TLS13]);
    assert!(new.get("/healthz").is_none());
    serving.still_serves();
}

#[tokio::test(flavor = "multi_thread")]
async fn web_headers_are_safe_by_default_and_as_configured() {
    let plan = Plan::new();
    let config = plan.usual("");
    let serving = plan.serve(&config).await;
    let answer = serving.get("/healthz");
    assert_eq!(answer.header("X-Frame-Options"), Some("DENY"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert!(answer.header("Content-Security-Policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(answer.header("Strict-Transport-Security"), None);

    let plan = Plan::new();
    let web = format!(
        "web:\n  http: '127.0.0.1:{}'\n  headers:\n    X-Frame-Options: SAMEORIGIN\n    \
         Strict-Transport-Security: max-age=60\n    Content-Security-Policy: default-src 'self'\n    \
         X-Content-Type-Options: own\n    X-XSS-Protection: '0'",
        plan.port
    );
    let config = plan.usual(&web);
    let answer = plan.serve(&config).await.get("/healthz");
    for (name, value) in [
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Strict-Transport-Security", "max-age=60"),
        ("Content-Security-Policy", "default-src 'self'"),
        ("X-Content-Type-Options", "own"),
        ("X-XSS-Protection", "0"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_allowed_origins_and_headers_answer_scripts() {
    let plan = Plan::new();
    let web = format!(
        "web: {{http: '127.0.0.1:{}', allowedOrigins: ['https://app.example.com'], allowedHeaders: [X-Trace]}}",
        plan.port
    );
    let config = plan.usual(&web);
    let serving = plan.serve(&config).await;
    let ask = |origin: &str| serving.wire.get_with("/keys", &format!("Origin: {origin}\r\n")).unwrap();
    let allowed = ask("https://app.example.com");
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(ask("https://evil.example.com").header("access-control-allow-origin"), None);
    let preflight = "OPTIONS /token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: https://app.example.com\r\n\
                     Access-Control-Request-Method: POST\r\n\r\n";
    let preflight = serving.wire.send(preflight.as_bytes()).unwrap();
    let headers = preflight.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("x-trace") && !headers.contains("authorization"), "{headers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_client_remote_ip_believes_only_trusted_proxies() {
    let plan = Plan::new();
    let web = format!(
        "web: {{http: '127.0.0.1:{}', clientRemoteIP: {{header: X-Forwarded-For, trustedProxies: [127.0.0.0/8]}}}}\n\
         logger: {{format: json}}",
        plan.port
    );
    let config = plan.usual(&web);
    let serving = plan.serve(&config).await;
    let form = "grant_type=client_credentials&client_id=robot&client_secret=wrong";
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1, 198.51.100.7\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    assert_eq!(serving.wire.send(request.as_bytes()).unwrap().status, 401);
    let log = serving.log_with("\"client_remote_addr\"").await;
    assert!(log.contains("\"client_remote_addr\":\"198.51.100.7\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_http_serves_metrics_and_probes() {
    let (plan, port) = (Plan::new(), free_port().unwrap());
    let config = plan.usual(&format!("telemetry: {{http: '127.0.0.1:{port}'}}"));
    let serving = plan.serve(&config).await;
    let telemetry = Wire::plain(port);
    assert_eq!(telemetry.get("/healthz/live").unwrap().status, 200);
    let ready = telemetry.get("/healthz/ready").unwrap();
    assert_eq!((ready.status, ready.json()["storage"]["healthy"].as_bool()), (200, Some(true)));
    assert_eq!(telemetry.get("/healthz").unwrap().status, 200);
    serving.still_serves();
    assert_eq!(serving.token("wrong").status, 401);
    let metrics = telemetry.get("/metrics").unwrap().body;
    assert!(metrics.contains("outcome=\"allow\"") && metrics.contains("outcome=\"deny\""), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(serving.get("/metrics").status, 404, "metrics are for operators, not for the web");
    assert_eq!(telemetry.get("/token").unwrap().status, 404);
}
