//! What becomes of events: a receiver over TLS, one that is slow or down, a full disk, events that are too large.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ambient::{SystemClock, Tasks};
use bytes::Bytes;
use http::{Request, Response};
use outbound::{Bearer, Client, Credential, Dial, Options, Roots, Trust};
use proxy::audit::{Batch, Delivery, Mode, Receiver, Throttle};
use serde_json::{Value, json};
use testkit::{Line, Server, TestBody, TestCa};
use tokio::sync::Semaphore;

use super::{Shape, delivery, stages};
use crate::client::{self, get};

/// A receiver of events.
struct Hook {
    server: Server,
    ca: TestCa,
    status: Arc<AtomicU16>,
    /// Answers are given as long as there are permits.
    open: Arc<Semaphore>,
}

impl Hook {
    async fn start() -> Self {
        let (ca, status, open) =
            (TestCa::new(), Arc::new(AtomicU16::new(200)), Arc::new(Semaphore::new(1000)));
        let (answers, doors) = (Arc::clone(&status), Arc::clone(&open));
        let server = Server::tls(&ca, move |_: Request<Bytes>| {
            let (answers, doors) = (Arc::clone(&answers), Arc::clone(&doors));
            async move {
                doors.acquire().await.unwrap().forget();
                let status = answers.load(Ordering::SeqCst);
                Response::builder().status(status).body(TestBody::Whole(Bytes::new())).unwrap()
            }
        })
        .await;
        Self { server, ca, status, open }
    }

    fn receiver(&self) -> Receiver {
        let url = self.server.url("/events?from=proxy");
        let bearer = Some(Bearer::Fixed("the-receivers-token".into()));
        let credential = Credential { origin: url.clone(), bearer, headers: http::HeaderMap::new() };
        let roots = Roots::Only(self.ca.pem().as_bytes().to_vec());
        let options = Options {
            trust: Trust { roots, identity: None, skip_verify: false, any_name: false },
            credential: Some(credential),
            deadline: Duration::from_secs(30),
        };
        let client = Client::new(&Dial::new(Arc::new(SystemClock::default())), options).unwrap();
        Receiver { url, client, backoff: Duration::from_secs(10) }
    }

    /// The lists that were posted.
    fn lists(&self) -> Vec<Value> {
        self.server.seen().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
    }

    fn close(&self) {
        let permits = self.open.available_permits();
        self.open.forget_permits(permits);
    }
}

fn batches(queued: usize, most: usize) -> Delivery {
    let batch = Batch { queued, most, wait: Duration::from_secs(30), throttle: None };
    Delivery { batch, ..delivery(Mode::Batch) }
}

fn nothing() -> Option<PathBuf> {
    Some(PathBuf::from("/dev/null"))
}

#[tokio::test]
async fn a_receiver_gets_batches_with_its_credential() {
    let hook = Hook::start().await;
    let webhook = Some((hook.receiver(), batches(100, 3)));
    let recorder = Shape { webhook, ..Shape::of("- level: Metadata") }.start();
    let front = recorder.front().await;
    for _ in 0..2 {
        front.reached(&front.jane(), &[]).await;
    }
    // Three of four make a batch; the fourth waits for its time, or for the end.
    recorder.audit.written().await;
    let lists = hook.lists();
    assert_eq!(lists.iter().map(|list| list["items"].as_array().unwrap().len()).sum::<usize>(), 4);
    assert_eq!(
        (&lists[0]["kind"], &lists[0]["apiVersion"]),
        (&json!("EventList"), &json!("audit.k8s.io/v1"))
    );
    let longest = lists.iter().map(|list| list["items"].as_array().unwrap()).max_by_key(|items| items.len());
    let items = longest.unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[1]["user"]["username"], "jane");
    assert!(items[1].get("kind").is_none());
    let seen = &hook.server.seen()[0];
    assert_eq!((&*seen.path, seen.query.as_deref()), ("/events", Some("from=proxy")));
    assert_eq!(seen.headers["authorization"], "Bearer the-receivers-token");
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(stages(&recorder.events()).len(), 4, "the log has them too");
}

#[tokio::test]
async fn the_first_of_a_batch_waits_only_so_long() {
    let hook = Hook::start().await;
    let webhook = Some((hook.receiver(), batches(100, 400)));
    let rules = "- {level: Metadata, omitStages: [RequestReceived]}";
    let recorder = Shape { webhook, path: nothing(), ..Shape::of(rules) }.start();
    let front = recorder.front().await;
    front.reached(&front.jane(), &[]).await;
    recorder.clock.until_sleeping(1).await;
    assert!(hook.lists().is_empty());
    recorder.clock.advance(Duration::from_secs(30));
    while hook.lists().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn batches_are_throttled() {
    let hook = Hook::start().await;
    let mut delivery = batches(100, 1);
    delivery.batch.throttle = Some(Throttle { per_second: 1.0, burst: 2 });
    let recorder = Shape {
        webhook: Some((hook.receiver(), delivery)),
        path: nothing(),
        ..Shape::of("- level: Metadata")
    }
    .start();
    let front = recorder.front().await;
    front.reached(&front.jane(), &[]).await;
    front.reached(&front.jane(), &[]).await;
    recorder.clock.until_sleeping(1).await;
    while hook.lists().len() < 2 {
        tokio::task::yield_now().await;
    }
    for count in 3..=4 {
        recorder.clock.until_sleeping(1).await;
        assert_eq!(hook.lists().len(), count - 1);
        recorder.clock.advance(Duration::from_secs(1));
        while hook.lists().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_back_in_time_loses_nothing() {
    let hook = Hook::start().await;
    hook.status.store(503, Ordering::SeqCst);
    let webhook = Some((hook.receiver(), batches(100, 1)));
    let rules = "- {level: Metadata, omitStages: [RequestReceived]}";
    let recorder = Shape { webhook, path: nothing(), ..Shape::of(rules) }.start();
    let front = recorder.front().await;
    front.reached(&front.jane(), &[]).await;
    // Each pause is half as long again as the one before, and up to a fifth longer.
    for pause in [10_000, 15_000, 22_500] {
        recorder.clock.until_sleeping(1).await;
        let tries = hook.lists().len();
        recorder.clock.advance(Duration::from_millis(pause - 1));
        tokio::task::yield_now().await;
        assert_eq!(hook.lists().len(), tries, "not before {pause} ms");
        if pause == 22_500 {
            hook.status.store(200, Ordering::SeqCst);
        }
        recorder.clock.advance(Duration::from_millis(pause / 5 + 1));
        while hook.lists().len() == tries {
            tokio::task::yield_now().await;
        }
    }
    recorder.audit.written().await;
    assert_eq!((hook.lists().len(), recorder.audit.counted().lost[1]), (4, ("webhook", 0)));
}

#[tokio::test]
async fn attack_25_a_receiver_that_stays_down_costs_its_events_and_nothing_else() {
    let hook = Hook::start().await;
    hook.server.set_line(Line::Refusing).await;
    let webhook = Some((hook.receiver(), batches(20, 1)));
    let recorder = Shape { webhook, ..Shape::of("- level: Metadata") }.start();
    let front = recorder.front().await;
    for _ in 0..40 {
        front.reached(&front.jane(), &[]).await;
    }
    assert_eq!(recorder.events().len(), 80, "requests and the log go on");
    let lost = |recorder: &super::Recorder| recorder.audit.counted().lost[1].1;
    assert_eq!(lost(&recorder), 60, "what finds no room is counted");
    // Sixteen batches are tried five times each, and then the rest.
    for _ in 0..2_000 {
        if lost(&recorder) == 80 {
            break;
        }
        recorder.clock.advance(Duration::from_secs(60));
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(lost(&recorder), 80);
    hook.server.set_line(Line::Up).await;
    front.reached(&front.jane(), &[]).await;
    recorder.audit.written().await;
    assert_eq!(hook.lists().len(), 2, "it is there again without a restart");
}

#[tokio::test]
async fn attack_25_a_slow_receiver_holds_up_nobody_in_batch_mode() {
    let hook = Hook::start().await;
    hook.close();
    let webhook = Some((hook.receiver(), batches(1000, 1)));
    let recorder = Shape { webhook, path: nothing(), ..Shape::of("- level: Metadata") }.start();
    let front = recorder.front().await;
    for _ in 0..30 {
        front.reached(&front.jane(), &[]).await;
    }
    assert_eq!(recorder.audit.counted().lost[1].1, 0);
    hook.open.add_permits(1000);
    recorder.audit.written().await;
    assert_eq!(hook.lists().len(), 60);
}

#[tokio::test]
async fn a_request_waits_for_its_receiver_in_blocking_mode() {
    let hook = Hook::start().await;
    hook.close();
    let webhook = Some((hook.receiver(), delivery(Mode::Blocking)));
    let recorder = Shape { webhook, path: nothing(), ..Shape::of("- level: Metadata") }.start();
    let front = recorder.front().await;
    let waiting = Tasks::default();
    let (address, request) = (front.address, get("/api/v1/pods", &front.jane(), &[]));
    let (tell, told) = tokio::sync::oneshot::channel();
    waiting.spawn(async move {
        let answer = client::read(client::send(address, request).await).await;
        let _ = tell.send(answer.status);
    });
    while hook.lists().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(front.stub.paths().is_empty(), "nothing goes on before its event is stored");
    hook.open.add_permits(1);
    while hook.lists().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(front.stub.paths().len(), 1);
    hook.open.add_permits(1);
    assert_eq!(told.await.unwrap(), 200);
}

#[tokio::test]
async fn on_a_full_disk_requests_go_on_or_not_as_the_mode_says() {
    let full = || Some(PathBuf::from("/dev/full"));
    for (mode, passes) in [(Mode::Batch, true), (Mode::Blocking, true), (Mode::BlockingStrict, false)] {
        let recorder = Shape { path: full(), mode, ..Shape::of("- level: Metadata") }.start();
        let front = recorder.front().await;
        let answer = front.get("/api/v1/pods", &front.jane(), &[]).await;
        if passes {
            assert_eq!(answer.status, 200, "{mode:?}");
        } else {
            assert_eq!(answer.failure(500, "InternalError"), "failed to store audit event");
        }
        assert_eq!(front.stub.paths().len(), usize::from(passes));
        recorder.audit.written().await;
        let counted = recorder.audit.counted();
        assert_eq!(counted.lost, [("log", if passes { 2 } else { 1 })], "{mode:?}");
        assert_eq!(counted.rejected, u64::from(!passes));
        // Who is not let in anyway is told so and nothing else.
        front.get("/api/v1/pods", "nobodys-token-at-all", &[]).await.failure(401, "Unauthorized");
    }
}

#[tokio::test]
async fn an_event_that_is_too_large_goes_without_its_objects_or_not_at_all() {
    let recorder = Shape { most_event: Some(1_000), ..Shape::of("- level: RequestResponse") }.start();
    let front = recorder.front().await;
    let body = json!({"x": "y".repeat(2_000)}).to_string();
    let request = Request::post("/api/v1/namespaces/a/configmaps")
        .header("authorization", format!("Bearer {}", front.jane()))
        .body(http_body_util::Full::new(Bytes::from(body)))
        .unwrap();
    client::read(client::send(front.address, request).await).await;
    let event = recorder.events().pop().unwrap();
    assert_eq!(event["annotations"], json!({"audit.k8s.io/truncated": "true"}));
    assert!(event.get("requestObject").is_none());
    let path = format!("/api/v1/pods?x={}", "z".repeat(1_000));
    assert_eq!(front.get(&path, &front.jane(), &[]).await.status, 200);
    assert_eq!((recorder.events().len(), recorder.audit.counted().lost[0].1), (2, 2));
}
