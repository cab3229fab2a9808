//! A server that is issuer and token endpoint, and an exchanger that believes it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Observer, Secret, Time};
use bytes::Bytes;
use client::{Ask, ClientAuth, Endpoint, Exchanger, Note, Subject};
use http::{Request, Response};
use outbound::{Client, Dial, Options, Trust};
use serde_json::{Value, json};
use testkit::{FakeClock, SeededRandom, Server, TestBody, TestCa, serve};

pub(crate) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The server, what it is going to answer, and everything the exchanger was handed.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) ca: TestCa,
    pub(crate) clock: FakeClock,
    pub(crate) notes: Arc<Notes>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    base: OnceLock<String>,
    /// Answers of the token endpoint, in order; then it issues tokens.
    next: Mutex<VecDeque<Response<TestBody>>>,
    /// Members of the discovery document that are replaced.
    discovery: Mutex<Value>,
    issued: Mutex<u32>,
}

#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<Note>>);

impl Observer<Note> for Notes {
    fn observe(&self, note: &Note) {
        self.0.lock().unwrap().push(note.clone());
    }
}

impl Notes {
    pub(crate) fn all(&self) -> Vec<Note> {
        self.0.lock().unwrap().clone()
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let (ca, state) = (TestCa::new(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::tls(&ca, move |request| {
            let answer = shared.answer(&request);
            async move { answer }
        })
        .await;
        state.base.set(server.url("").to_string().trim_end_matches('/').to_owned()).unwrap();
        Self { server, ca, clock: FakeClock::default(), notes: Arc::default(), state }
    }

    pub(crate) fn issuer(&self) -> String {
        self.state.base.get().unwrap().clone()
    }

    /// Another exchanger, as another process would have it.
    pub(crate) fn exchanger(&self) -> Exchanger {
        self.exchanger_believing(self.ca.pem())
    }

    pub(crate) fn exchanger_believing(&self, pem: &str) -> Exchanger {
        self.exchanger_with(pem, Arc::new(Hurried(self.clock.clone())))
    }

    pub(crate) fn exchanger_with(&self, pem: &str, clock: Arc<dyn Clock>) -> Exchanger {
        let options = Options {
            trust: Trust::only(Some(pem.into())),
            deadline: Duration::from_secs(15),
            ..Options::default()
        };
        let http = Client::new(&Dial::new(Arc::clone(&clock)), options).unwrap();
        Exchanger::new(http, clock, Arc::new(SeededRandom::new(1)), self.notes.clone())
    }

    pub(crate) fn ask(&self) -> Ask {
        Ask {
            endpoint: Endpoint::Issuer(self.issuer()),
            client: ClientAuth { id: Some("prod-cluster".into()), secret: None },
            subject_token_type: ID_TOKEN.into(),
            requested_token_type: Some(ID_TOKEN.into()),
            audience: vec!["prod-cluster".into()],
            resource: Vec::new(),
            scope: vec!["openid".into()],
            connector_id: Some("cluster-1".into()),
        }
    }

    /// What the token endpoint answers next.
    pub(crate) fn next(&self, answer: Response<TestBody>) {
        self.state.next.lock().unwrap().push_back(answer);
    }

    pub(crate) fn set_discovery(&self, member: &str, value: Value) {
        let mut members = self.state.discovery.lock().unwrap();
        if members.is_null() {
            *members = json!({});
        }
        members[member] = value;
    }

    /// How often the token endpoint was asked.
    pub(crate) fn exchanges(&self) -> usize {
        self.server.requests("/token")
    }

    /// Lets every deadline come while `work` waits.
    pub(crate) async fn through<T>(&self, work: impl Future<Output = T>) -> T {
        let passing = async {
            loop {
                self.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            done = work => done,
            () = passing => panic!("time ended"),
        }
    }
}

impl State {
    fn answer(&self, request: &Request<Bytes>) -> Response<TestBody> {
        match request.uri().path() {
            DISCOVERY => serve::json(&self.document()),
            "/token" => self.next.lock().unwrap().pop_front().unwrap_or_else(|| self.issue()),
            _ => serve::text(404, "no such page"),
        }
    }

    fn document(&self) -> Value {
        let base = self.base.get().unwrap();
        let mut document = json!({
            "issuer": base,
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/keys"),
        });
        if let Some(changes) = self.discovery.lock().unwrap().as_object() {
            for (member, value) in changes {
                document[member] = value.clone();
            }
        }
        document
    }

    fn issue(&self) -> Response<TestBody> {
        let mut issued = self.issued.lock().unwrap();
        *issued += 1;
        serve::json(&json!({
            "access_token": format!("token-{issued}"),
            "issued_token_type": ID_TOKEN,
            "token_type": "bearer",
            "expires_in": 900,
        }))
    }
}

/// A clock on which pauses take no time and deadlines never come by themselves: the network is real and has all the
/// time it needs.
struct Hurried(FakeClock);

impl Clock for Hurried {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        if span >= SHORTEST_DEADLINE {
            return self.0.sleep(span);
        }
        let clock = self.0.clone();
        Box::pin(async move {
            clock.advance(span);
            tokio::task::yield_now().await;
        })
    }
}

/// That of a connection. Pauses between tries are shorter.
const SHORTEST_DEADLINE: Duration = Duration::from_secs(10);

/// A subject token that claims this `sub`.
pub(crate) fn subject(sub: &str) -> Subject {
    let claims = json!({"iss": "https://kubernetes.default.svc", "sub": sub}).to_string();
    let raw = format!("{}.{}.c2ln", wire::b64::encode(r#"{"alg":"RS256"}"#), wire::b64::encode(claims));
    Subject::new(&Secret::from(raw), "a test").unwrap()
}
