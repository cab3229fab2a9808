//! Listeners on the loopback, asked by plain sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests connect as strangers do")]

mod http;
mod reload;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambient::{Observer, SystemClock, Tasks};
use inbound::{Event, Limits, Listener, ServerTls, Setting};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A listener whose service answers `/panic` with a panic and everything else with its path.
struct Running {
    address: SocketAddr,
    tasks: Tasks,
    events: Arc<Events>,
}

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Observer<Event> for Events {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Events {
    fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

impl Running {
    async fn start(limits: Limits, tls: Option<Arc<ServerTls>>) -> Self {
        let (tasks, events) = (Tasks::default(), Arc::new(Events::default()));
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.address().unwrap();
        let setting = Setting {
            tls,
            limits,
            clock: Arc::new(SystemClock::default()),
            tasks: tasks.clone(),
            observer: Arc::clone(&events) as Arc<dyn Observer<Event>>,
        };
        tasks.spawn(listener.serve(tower::service_fn(http::answer), setting));
        Self { address, tasks, events }
    }

    /// Sends this and reads until the other side closes.
    async fn say(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Bounds that a test can wait for.
fn short() -> Limits {
    let span = Duration::from_millis(50);
    Limits { handshake: span, head: span, drain: span, ..Limits::default() }
}
