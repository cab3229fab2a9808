//! What stands in events, and when there are which.

use ambient::Tasks;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Shape, stages};
use crate::client::{self, get};
use crate::front::{Front, Plan};
use crate::stub::Stub;

const METADATA: &str = "- level: Metadata";

fn post(path: &str, token: &str, body: &str) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

#[tokio::test]
async fn a_request_has_two_events_that_join_with_the_api_servers() {
    let recorder = Shape::of(METADATA).start();
    let front = recorder.front().await;
    let headers = [("audit-id", "from-the-client"), ("user-agent", "kubectl/v1")];
    let answer = front.get("/api/v1/namespaces/a/pods/p?x=1", &front.jane(), &headers).await;
    assert_eq!(answer.headers["audit-id"], "from-the-client");
    assert_eq!(answer.document["headers"]["audit-id"], json!(["from-the-client"]));
    let events = recorder.events();
    assert_eq!(stages(&events), ["RequestReceived", "ResponseComplete"]);
    let expected = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "from-the-client",
        "stage": "ResponseComplete", "requestURI": "/api/v1/namespaces/a/pods/p?x=1", "verb": "get",
        "user": {"username": "jane", "groups": ["developers", "system:authenticated"]},
        "sourceIPs": ["127.0.0.1"], "userAgent": "kubectl/v1",
        "objectRef": {"resource": "pods", "namespace": "a", "name": "p", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z", "stageTimestamp": "2026-01-01T00:00:00.000000Z",
    });
    assert_eq!(events[1], expected);
    assert!(events[0].get("responseStatus").is_none());
    // Without an id of the client's there is one all the same, and a new one each time.
    let ids = [front.reached(&front.jane(), &[]).await, front.reached(&front.jane(), &[]).await]
        .map(|seen| seen["headers"]["audit-id"][0].clone());
    assert_eq!(ids[0].as_str().unwrap().len(), 36);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(recorder.events()[3]["auditID"], ids[0]);
}

#[tokio::test]
async fn a_watch_has_an_event_at_its_start_and_one_at_its_end() {
    let recorder = Shape::of(METADATA).start();
    let front = recorder.front().await;
    let events = front.stub.watch();
    let mut response = client::send(front.address, get("/api/v1/watch/pods", &front.jane(), &[])).await;
    events.send("{}\n").unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    let so_far = recorder.events();
    assert_eq!(stages(&so_far), ["RequestReceived", "ResponseStarted"]);
    assert_eq!((&so_far[1]["verb"], &so_far[1]["responseStatus"]["code"]), (&json!("watch"), &json!(200)));
    drop(events);
    response.into_body().collect().await.unwrap();
    assert_eq!(stages(&recorder.events())[2..], ["ResponseComplete"]);
    assert_eq!(recorder.audit.counted().events, 3);
}

#[tokio::test]
async fn an_upgraded_connection_is_complete_when_it_ends() {
    let recorder = Shape::of(METADATA).start();
    let front = recorder.front().await;
    let mut stream = TcpStream::connect(front.address).await.unwrap();
    let head = format!(
        "POST /api/v1/namespaces/a/pods/p/exec?command=ls HTTP/1.1\r\nHost: proxy.test\r\nAuthorization: Bearer {}\r\n\
         Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
        front.jane()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ping") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let events = recorder.events();
    assert_eq!(stages(&events), ["RequestReceived", "ResponseStarted"]);
    assert_eq!(events[1]["responseStatus"]["code"], 101);
    assert_eq!(
        (&events[1]["verb"], &events[1]["objectRef"]["subresource"]),
        (&json!("create"), &json!("exec"))
    );
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(stages(&recorder.until(3).await)[2..], ["ResponseComplete"]);
}

#[tokio::test]
async fn who_is_not_let_in_leaves_one_event_and_no_name() {
    let recorder = Shape::of("- {level: None, users: [jane]}\n- level: Metadata").start();
    let front = recorder.front().await;
    for (token, message) in [
        ("not-a-token-of-anybody", "Authentication failed, attempted: bearer"),
        ("", "Authentication failed, no credentials provided"),
    ] {
        let answer = front.get("/api/v1/pods", token, &[]).await;
        answer.failure(401, "Unauthorized");
        let event = recorder.events().pop().unwrap();
        assert_eq!(answer.headers["audit-id"], *event["auditID"].as_str().unwrap());
        assert_eq!((&event["stage"], &event["user"]), (&json!("ResponseStarted"), &json!({})));
        assert_eq!(event["responseStatus"], json!({"metadata": {}, "code": 401, "message": message}));
    }
    assert_eq!(recorder.events().len(), 2);
}

#[tokio::test]
async fn what_the_proxy_refuses_says_why() {
    let recorder = Shape::of("- {level: Metadata, omitStages: [RequestReceived]}").start();
    let front = recorder.front().await;
    let answer = front.get("/api/v1/pods", &front.jane(), &[("impersonate-user", "admin")]).await;
    let message = answer.failure(403, "Forbidden");
    let events = recorder.events();
    assert_eq!(stages(&events), ["ResponseComplete"]);
    let status =
        json!({"metadata": {}, "status": "Failure", "message": message, "reason": "Forbidden", "code": 403});
    assert_eq!(events[0]["responseStatus"], status);
    assert_eq!(events[0]["annotations"], json!({"proxy.obol/refused": "impersonation"}));
    assert!(events[0].get("impersonatedUser").is_none());
}

#[tokio::test]
async fn who_acts_as_somebody_else_is_recorded_as_both() {
    let recorder = Shape::of(METADATA).start();
    let front = Plan { on_behalf: true, ..recorder.plan() }.start().await;
    front.stub.allow(&["\"users\"", "originaluser"]);
    front.reached(&front.jane(), &[("impersonate-user", "bob")]).await;
    let event = recorder.events().pop().unwrap();
    assert_eq!(event["user"]["username"], "jane");
    assert_eq!(event["impersonatedUser"]["username"], "bob");
    assert_eq!(event["impersonatedUser"]["extra"]["originaluser.jetstack.io-user"], json!(["jane"]));
}

#[tokio::test]
async fn objects_are_recorded_as_the_level_says() {
    for (level, request, response) in
        [("Metadata", false, false), ("Request", true, false), ("RequestResponse", true, true)]
    {
        let recorder = Shape::of(&format!("- {{level: {level}, omitManagedFields: true}}")).start();
        let front = recorder.front().await;
        let body = r#"{ "kind": "ConfigMap", "metadata": {"name": "c", "managedFields": [{}]}, "n": 1.10 }"#;
        let path = "/api/v1/namespaces/a/configmaps";
        let answer = client::read(client::send(front.address, post(path, &front.jane(), body)).await).await;
        let compressible = answer.document["headers"].get("accept-encoding").is_some();
        assert_eq!(compressible, !response, "an answer that is recorded can be read");
        let event = recorder.events().pop().unwrap();
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "n": 1.1});
        assert_eq!(event.get("requestObject"), request.then_some(&object), "{level}");
        assert_eq!(
            event.get("responseObject").map(|object| &object["body"]),
            response.then_some(&json!(body))
        );
        let named = json!({"resource": "configmaps", "namespace": "a", "name": "c", "apiVersion": "v1"});
        assert_eq!(event["objectRef"], named, "the name comes from the object");
        assert!(recorder.events()[0]["objectRef"].get("name").is_none());
    }
}

#[tokio::test]
async fn objects_of_what_is_no_resource_or_has_no_end_are_not_recorded() {
    let recorder = Shape::of("- level: RequestResponse").start();
    let front = recorder.front().await;
    for path in ["/healthz", "/api/v1/namespaces/a/services/s/proxy/x", "/api/v1/namespaces/a/pods/p/log"] {
        let answer = client::send(front.address, post(path, &front.jane(), "{}")).await;
        client::read(answer).await;
        let event = recorder.events().pop().unwrap();
        assert_eq!(event["stage"], "ResponseComplete");
        assert!(event.get("requestObject").is_none() && event.get("responseObject").is_none(), "{event}");
    }
}

#[tokio::test]
async fn attack_25_a_large_body_is_streamed_and_left_out() {
    let recorder = Shape { most_body: 1000, ..Shape::of("- level: RequestResponse") }.start();
    let front = recorder.front().await;
    let body = json!({"x": "y".repeat(300_000)}).to_string();
    let answer =
        client::send(front.address, post("/api/v1/namespaces/a/configmaps", &front.jane(), &body)).await;
    assert_eq!(client::read(answer).await.document["body"], json!(body));
    let event = recorder.events().pop().unwrap();
    assert_eq!(event["annotations"], json!({"audit.k8s.io/truncated": "true"}));
    assert!(event.get("requestObject").is_none() && event.get("responseObject").is_none());
}

#[tokio::test]
async fn what_is_not_recorded_goes_on_with_its_id() {
    let recorder =
        Shape::of("- {level: None, userGroups: [\"system:authenticated\"]}\n- level: Metadata").start();
    let front = recorder.front().await;
    let answer = front.get("/api/v1/pods", &front.jane(), &[]).await;
    assert_eq!(answer.document["headers"]["audit-id"][0], *answer.headers["audit-id"].to_str().unwrap());
    assert!(recorder.events().is_empty());
    assert_eq!(recorder.audit.counted().levels[0], ("None", 1));
    recorder.audit.replace_policy(super::policy(METADATA));
    front.reached(&front.jane(), &[]).await;
    assert_eq!(recorder.events().len(), 2, "a new policy holds from the next request on");
}

#[tokio::test]
async fn without_audit_an_id_passes_and_none_is_made() {
    let front = Front::start().await;
    let seen = front.reached(&front.jane(), &[("audit-id", "theirs")]).await;
    assert_eq!(seen["headers"]["audit-id"], json!(["theirs"]));
    assert!(front.reached(&front.jane(), &[]).await["headers"].get("audit-id").is_none());
}

#[tokio::test]
async fn an_api_server_that_breaks_off_leaves_an_end() {
    let recorder = Shape::of(METADATA).start();
    let plan = recorder.plan();
    let raw =
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"kind\":";
    let stub = Some(Stub::raw(&plan.ca, raw).await);
    let front = Plan { stub, ..plan }.start().await;
    let response = client::send(front.address, get("/api/v1/pods", &front.jane(), &[])).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(response.into_body().collect().await.is_err());
    let events = recorder.until(2).await;
    assert_eq!(events[1]["responseStatus"], json!({"metadata": {}, "code": 404}));
}

/// Whoever answers through the API server's `proxy` subresource writes what it likes.
#[tokio::test]
async fn attack_25_an_answer_writes_no_line_of_its_own() {
    let recorder = Shape::of(METADATA).start();
    let plan = recorder.plan();
    let body = "{\"kind\":\"Status\",\"details\":{\"name\":\n{\"kind\":\"Event\",\"auditID\":\"forged\"}\n}}";
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length:";
    let raw = format!("{head} {}\r\n\r\n{body}", body.len());
    let stub = Some(Stub::raw(&plan.ca, &raw).await);
    let front = Plan { stub, ..plan }.start().await;
    let answer = client::send(front.address, get("/api/v1/pods", &front.jane(), &[])).await;
    client::read(answer).await;
    let events = recorder.until(2).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["responseStatus"]["details"]["name"]["auditID"], "forged", "inside of the real one");
}

#[tokio::test]
async fn attack_26_who_hangs_up_is_recorded_all_the_same() {
    let recorder = Shape::of(METADATA).start();
    let front = recorder.front().await;
    let mut held = front.stub.hold();
    let mut request = get("/api/v1/namespaces/held", &front.jane(), &[("host", "proxy.test")]);
    *request.method_mut() = http::Method::DELETE;
    let stream = TcpStream::connect(front.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
    let client = Tasks::default();
    client.spawn_until_stop(async move { drop(connection.await) });
    client.spawn_until_stop(async move { drop(sender.send_request(request).await) });
    held.recv().await.unwrap();
    client.stop();
    let events: Vec<Value> = recorder.until(2).await;
    assert_eq!(stages(&events), ["RequestReceived", "ResponseComplete"]);
    let status =
        json!({"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200});
    assert_eq!((&events[1]["responseStatus"], &events[1]["verb"]), (&status, &json!("delete")));
}

#[tokio::test]
async fn a_panic_is_an_event_of_its_own() {
    let recorder = Shape::of(METADATA).start();
    let front = recorder.front().await;
    front.events.set_panics();
    let response = client::send(front.address, get("/api/v1/pods", &front.jane(), &[])).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let events = recorder.until(2).await;
    assert_eq!(stages(&events), ["RequestReceived", "Panic"]);
    assert_eq!(events[1]["responseStatus"]["code"], 500);
}
