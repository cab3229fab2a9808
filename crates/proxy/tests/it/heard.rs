//! Whatever becomes of a request is told once; while nobody can listen, nothing passes.

use ambient::Tasks;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use proxy::Outcome;
use tokio::net::TcpStream;

use crate::client::{self, get};
use crate::front::Front;

#[tokio::test]
async fn attack_26_a_client_that_hangs_up_leaves_an_event() {
    let front = Front::start().await;
    let mut held = front.stub.hold();
    for method in ["DELETE", "GET"] {
        let mut request = get("/held", &front.jane(), &[("host", "proxy.test")]);
        *request.method_mut() = method.parse().unwrap();
        let stream = TcpStream::connect(front.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<bytes::Bytes>>(TokioIo::new(stream))
                .await
                .unwrap();
        let hanging_up = Tasks::default();
        hanging_up.spawn_until_stop(async move { drop(connection.await) });
        let waiting = Tasks::default();
        waiting.spawn_until_stop(async move { drop(sender.send_request(request).await) });
        held.recv().await.unwrap();
        waiting.stop();
        hanging_up.stop();
        let event = front.events.next().await;
        assert!(matches!(event.outcome, Outcome::Abandoned { forwarded: true }), "{event:?}");
        assert_eq!((event.method.as_str(), event.user.unwrap().name.as_str()), (method, "jane"));
    }
    assert_eq!(front.events.all().len(), 2);
}

#[tokio::test]
async fn attack_26_nothing_is_sent_on_while_nobody_listens() {
    let front = Front::start().await;
    front.events.set_deaf(true);
    let answer = client::read(client::send(front.address, get("/api", &front.jane(), &[])).await).await;
    answer.failure(503, "ServiceUnavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(front.stub.paths().is_empty());
    assert_eq!(front.events.last_code(), "unheard");
    front.events.set_deaf(false);
    front.reached(&front.jane(), &[]).await;
}
