//! A stub of a server with a REST API and passwords of its own: answers by method and path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ambient::Secret;
use bytes::Bytes;
use http::Request;
use provider::connector::{Flow, Hints, Opened, SignedIn, UpstreamError};
use serde_json::{Value, json};
use testkit::Server;
use testkit::serve::json as document;

pub(crate) struct Rest {
    pub(crate) server: Server,
    answers: Answers,
}

type Answers = Arc<Mutex<HashMap<String, (u16, Value)>>>;

impl Rest {
    pub(crate) async fn start() -> Self {
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        let server = Server::plain(move |request: Request<Bytes>| {
            let asked = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
            let found = shared.lock().unwrap().get(&asked).cloned();
            let (status, body) = found.unwrap_or_else(|| (404, json!({"reason": "USER_NOT_FOUND"})));
            let mut answer = document(&body);
            *answer.status_mut() = status.try_into().unwrap();
            answer.headers_mut().insert("x-subject-token", "canary-token".parse().unwrap());
            async { answer }
        });
        Self { server: server.await, answers }
    }

    /// What is answered to `METHOD /path?query`.
    pub(crate) fn set(&self, asked: &str, status: u16, body: Value) {
        self.answers.lock().unwrap().insert(asked.to_owned(), (status, body));
    }
}

pub(crate) async fn login(
    opened: &Opened,
    scopes: Hints,
    name: &str,
    word: &str,
) -> Result<Option<SignedIn>, UpstreamError> {
    let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
    flow.login(scopes, name, &Secret::from(word)).await
}
