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
    demand: Arc<Mutex<Option<Demand>>>,
}

/// What a POST must say, and what it is answered if it does not.
type Demand = (fn(&Value) -> bool, (u16, Value));

type Answers = Arc<Mutex<HashMap<String, (u16, Value)>>>;

impl Rest {
    pub(crate) async fn start() -> Self {
        let (answers, demand) = (Answers::default(), Arc::<Mutex<Option<Demand>>>::default());
        let (shared, demanded) = (Arc::clone(&answers), Arc::clone(&demand));
        let server = Server::plain(move |request: Request<Bytes>| {
            let asked = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
            let said = serde_json::from_slice(request.body()).unwrap_or_default();
            let turned_away = demanded.lock().unwrap().clone().filter(|(is_good, _)| !is_good(&said));
            let turned_away = turned_away.filter(|_| request.method() == "POST").map(|(_, answer)| answer);
            let found = turned_away.or_else(|| shared.lock().unwrap().get(&asked).cloned());
            let (status, body) = found.unwrap_or_else(|| (404, json!({"reason": "USER_NOT_FOUND"})));
            let mut answer = document(&body);
            *answer.status_mut() = status.try_into().unwrap();
            answer.headers_mut().insert("x-subject-token", "canary-token".parse().unwrap());
            async { answer }
        });
        Self { server: server.await, answers, demand }
    }

    /// A POST that does not say this is answered otherwise.
    pub(crate) fn demand(&self, is_good: fn(&Value) -> bool, otherwise: (u16, Value)) {
        *self.demand.lock().unwrap() = Some((is_good, otherwise));
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
