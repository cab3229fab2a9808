//! SIGTERM.

use std::io::{Read as _, Write as _};

use super::{Plan, signal, terminate, wire};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_answered_before_the_end() {
    let plan = Plan::new();
    let config = plan.usual("");
    let mut serving = plan.serve(&config).await;
    let form = "grant_type=client_credentials&client_id=robot&client_secret=canary-secret";
    let mut stream = serving.wire.raw().unwrap();
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The go-ahead shows that somebody waits for the body.
    let mut go_ahead = [0; 25];
    stream.read_exact(&mut go_ahead).unwrap();
    assert_eq!(&go_ahead, b"HTTP/1.1 100 Continue\r\n\r\n");
    terminate(&serving.process);
    let gone = async || if serving.wire.raw().is_none() { Ok(()) } else { Err("it still accepts".into()) };
    testkit::peers::until("the listener closes", gone).await.unwrap();
    stream.write_all(form.as_bytes()).unwrap();
    let answer = wire::read(&mut stream).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let status = serving.process.ended().await.unwrap();
    assert!(status.success(), "{status}");
    assert!(serving.process.log().contains("outcome=allow"), "the audit line of the last request is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_ends_nothing() {
    let plan = Plan::new();
    let config = plan.usual("");
    let mut serving = plan.serve(&config).await;
    signal(&serving.process, "HUP");
    serving.still_serves();
    serving.stop().await;
}
