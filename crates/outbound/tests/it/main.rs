//! The client on real sockets of the loopback, against servers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod bodies;
mod credentials;
mod guard;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ambient::{BoxFuture, Fetch as _, FetchError, Fetched, SystemClock, Want};
use outbound::{Answer, Client, Dial, Options, Request, Resolve, Trust};
use url::Url;

/// Names and the answers they give, one after the other; the last one stays.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(parse).collect()))
            .collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.get_mut(host) {
            Some(left) if left.len() > 1 => Ok(left.remove(0)),
            Some(left) => Ok(left.first().cloned().unwrap_or_default()),
            None => Err(io::Error::other("no such name")),
        };
        Box::pin(std::future::ready(answer))
    }
}

fn dial() -> Dial {
    Dial::new(Arc::new(SystemClock::default()))
}

/// Trusts this authority alone.
fn trusting(ca_pem: &str) -> Options {
    let pem = (!ca_pem.is_empty()).then(|| ca_pem.as_bytes().to_vec());
    Options { trust: Trust::only(pem), ..Options::default() }
}

#[test]
fn attack_26_requests_and_answers_do_not_show_what_they_carry() {
    let url = Url::parse("https://a.example/token?code=canary").unwrap();
    let value = http::HeaderValue::from_static("Bearer canary");
    let request =
        Request::form(&url, "client_secret=canary").header(http::header::AUTHORIZATION, value.clone());
    let mut answer =
        Answer { status: http::StatusCode::OK, headers: http::HeaderMap::new(), body: "canary".into() };
    answer.headers.insert("x-token", value);
    let shown = format!("{request:?} {answer:?}");
    assert!(shown.contains("a.example/token") && !shown.contains("canary"), "{shown}");
}

async fn fetch(client: &Client, url: &Url, named_by: Option<&Url>) -> Result<Fetched, FetchError> {
    client.fetch(Want { url, named_by, accept: "application/json", bearer: None, cap: 64 * 1024 }).await
}
