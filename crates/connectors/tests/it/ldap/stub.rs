//! A stub of a directory: LDAP's bytes, written by hand, and none of its sense.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ambient::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wire::ldap::message_length;

pub(super) const BIND: u8 = 0x60;
pub(super) const SEARCH: u8 = 0x63;

/// What it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(super) tag: u8,
    pub(super) content: Vec<u8>,
}

impl Op {
    pub(super) fn holds(&self, text: &str) -> bool {
        self.content.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

pub(crate) struct Stub {
    shared: Arc<Shared>,
    port: u16,
    tasks: Tasks,
}

/// Messages without their envelopes.
type Answer = Box<dyn Fn(&Op) -> Vec<Vec<u8>> + Send + Sync>;

struct Shared {
    answer: Answer,
    raw: Option<Vec<u8>>,
    seen: Mutex<Vec<Op>>,
    connections: AtomicUsize,
    /// Counts up when everybody is to be hung up on; `open` counts who is connected.
    hang_ups: watch::Sender<usize>,
    open: watch::Sender<usize>,
}

impl Stub {
    /// Answers each question with these messages, each without its envelope.
    pub(crate) async fn start(answer: impl Fn(&Op) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::serve(Box::new(answer), None).await
    }

    /// Answers everything with these bytes, and hangs up.
    pub(super) async fn raw(bytes: &[u8]) -> Self {
        Self::serve(Box::new(|_| Vec::new()), Some(bytes.to_vec())).await
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its address; it answers until the test ends.
    pub(crate) fn stay(mut self) -> String {
        self.tasks = Tasks::default();
        self.host()
    }

    pub(super) fn seen(&self) -> Vec<Op> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes every connection.
    pub(super) async fn hang_up(&self) {
        self.shared.hang_ups.send_modify(|count| *count += 1);
        self.shared.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }

    async fn serve(answer: Answer, raw: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (hang_ups, open) = (watch::Sender::new(0), watch::Sender::new(0));
        let (seen, connections) = (Mutex::default(), AtomicUsize::new(0));
        let shared = Arc::new(Shared { answer, raw, seen, connections, hang_ups, open });
        let tasks = Tasks::default();
        let (group, all) = (tasks.clone(), Arc::clone(&shared));
        tasks.spawn_until_stop(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                all.connections.fetch_add(1, Ordering::SeqCst);
                all.open.send_modify(|open| *open += 1);
                let shared = Arc::clone(&all);
                group.spawn_until_stop(async move {
                    let mut hang_ups = shared.hang_ups.subscribe();
                    tokio::select! {
                        _ = speak(&shared, stream) => {}
                        _ = hang_ups.changed() => {}
                    }
                    shared.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { shared, port, tasks }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn speak(shared: &Shared, mut stream: TcpStream) -> Option<()> {
    let mut unread = Vec::new();
    loop {
        let length = loop {
            match message_length(&unread, 1 << 20).unwrap() {
                Some(length) if length <= unread.len() => break length,
                _ => (stream.read_buf(&mut unread).await.ok()? > 0).then_some(())?,
            }
        };
        let rest = unread.split_off(length);
        let message = std::mem::replace(&mut unread, rest);
        if let Some(raw) = &shared.raw {
            return stream.write_all(raw).await.ok();
        }
        let inside = skip_header(&message);
        let (id, op) = inside.split_at(3);
        let op = Op { tag: op[0], content: skip_header(op).to_vec() };
        shared.seen.lock().unwrap().push(op.clone());
        let answers = (shared.answer)(&op);
        let whole: Vec<u8> = answers.iter().flat_map(|answer| tlv(0x30, &[id, answer].concat())).collect();
        stream.write_all(&whole).await.ok()?;
    }
}

/// The content of an element.
fn skip_header(raw: &[u8]) -> &[u8] {
    if raw[1] < 0x80 { &raw[2..] } else { &raw[2 + usize::from(raw[1] & 0x7f)..] }
}

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, length[0], length[1]], content].concat()
}

/// An answer with this code; `tag` says to what.
pub(super) fn outcome(tag: u8, code: u8) -> Vec<u8> {
    tlv(tag, &[&[0x0a, 1, code][..], &tlv(4, b""), &tlv(4, b"")].concat())
}

/// Something found.
pub(super) fn entry(dn: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let attribute = |(name, value): &(&str, &str)| {
        tlv(0x30, &[tlv(4, name.as_bytes()), tlv(0x31, &tlv(4, value.as_bytes()))].concat())
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    tlv(0x64, &[tlv(4, dn.as_bytes()), tlv(0x30, &attributes)].concat())
}
