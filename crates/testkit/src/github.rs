//! A stub of GitHub: its documented API as far as a sign-in uses it, with pages, versions and the answers to strangers. GitHub
//! itself cannot be had; an Enterprise server has the same paths, and that is what this one poses as.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use url::Url;
use wire::b64;

use crate::serve::{Server, TestBody, json as document, text};
use crate::tls::TestCa;

/// The stub. What it knows can be changed at any time.
pub struct GitHub {
    server: Server,
    ca: TestCa,
    state: Arc<Mutex<State>>,
}

/// What it knows.
#[derive(Debug, Clone)]
pub struct State {
    /// `/user`
    pub user: Value,
    /// `/user/emails`
    pub emails: Vec<Value>,
    /// `/user/orgs`
    pub orgs: Vec<Value>,
    /// `/user/teams`
    pub teams: Vec<Value>,
    /// What `/orgs/{org}/members/{login}` answers, by organisation; 404 for others.
    pub members: HashMap<String, u16>,
    /// Elements on a page.
    pub page: usize,
    /// Where the next page is said to be, if not where it is.
    pub next: Option<String>,
    /// The access token that is good.
    pub token: String,
    /// What the token endpoint grants besides.
    pub granted: Value,
    /// A path that answers otherwise than it should.
    pub fails: Option<Failure>,
    /// Codes that were given out: their challenge and callback.
    codes: HashMap<String, (String, String)>,
}

/// An answer out of order.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where.
    pub path: &'static str,
    /// With which status.
    pub status: u16,
    /// And these headers.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// A team as `/user/teams` lists it.
pub fn team(org: &str, name: &str, slug: &str) -> Value {
    json!({"id": 1, "name": name, "slug": slug, "organization": {"login": org, "id": 2}})
}

impl GitHub {
    /// A stub that knows `octocat`.
    pub async fn start() -> Self {
        let ca = TestCa::new();
        let state = Arc::new(Mutex::new(State {
            user: json!({"login": "octocat", "id": 583_231, "name": "Mona", "email": null}),
            emails: vec![
                json!({"email": "mona@example.com", "verified": true, "primary": true, "visibility": null}),
            ],
            orgs: Vec::new(),
            teams: Vec::new(),
            members: HashMap::new(),
            page: 2,
            next: None,
            token: "gho_canary".into(),
            granted: json!({}),
            fails: None,
            codes: HashMap::new(),
        }));
        let shared = Arc::clone(&state);
        let handler = move |request: Request<Bytes>| {
            let answer = shared.lock().unwrap().answer(&request);
            async { answer }
        };
        Self { server: Server::tls(&ca, handler).await, ca, state }
    }

    /// `127.0.0.1:PORT`, as an Enterprise server's `hostName`.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// The authority of its certificate.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// The server, with what it was asked.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Changes what it knows.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// What a browser comes back with that was sent to `url` and whose user agreed.
    pub fn code(&self, url: &Url) -> String {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        let mut state = self.state.lock().unwrap();
        let code = format!("code-{}", state.codes.len());
        state.codes.insert(code.clone(), (query["code_challenge"].clone(), query["redirect_uri"].clone()));
        code
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<TestBody> {
        let path = request.uri().path();
        if let Some(failure) = self.fails.as_ref().filter(|failure| failure.path == path) {
            let mut answer = text(failure.status, "{}");
            for (name, value) in &failure.headers {
                answer.headers_mut().insert(*name, value.parse().unwrap());
            }
            return answer;
        }
        if path == "/login/oauth/access_token" {
            return self.grant(request);
        }
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        if header("user-agent").is_none() || header("x-github-api-version") != Some("2022-11-28") {
            return text(400, "no user agent or version");
        }
        if header("authorization") != Some(&format!("Bearer {}", self.token)) {
            return text(401, r#"{"message": "Bad credentials"}"#);
        }
        match path.strip_prefix("/api/v3") {
            Some("/user") => document(&self.user),
            Some("/user/emails") => self.paged(&self.emails, request),
            Some("/user/orgs") => self.paged(&self.orgs, request),
            Some("/user/teams") => self.paged(&self.teams, request),
            Some(other) => {
                let parts: Vec<_> = other.split('/').collect();
                match parts.as_slice() {
                    ["", "orgs", org, "members", _] => {
                        let mut answer = text(self.members.get(*org).copied().unwrap_or(404), "");
                        let to = format!("/orgs/{org}/public_members/octocat");
                        answer.headers_mut().insert("location", to.parse().unwrap());
                        answer
                    }
                    _ => text(404, "{}"),
                }
            }
            None => text(404, "{}"),
        }
    }

    /// It answers 200 when it refuses, too.
    fn grant(&mut self, request: &Request<Bytes>) -> Response<TestBody> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refused = |error: &str| document(&json!({"error": error, "error_description": "no"}));
        if request.method() != Method::POST
            || (said("client_id"), said("client_secret")) != ("obol", "s&cret")
        {
            return refused("incorrect_client_credentials");
        }
        let good = match said("grant_type") {
            "authorization_code" => {
                let verifier = b64::encode(digest::digest(&digest::SHA256, said("code_verifier").as_bytes()));
                let known = self.codes.remove(said("code"));
                known.is_some_and(|known| known == (verifier, said("redirect_uri").to_owned()))
            }
            "refresh_token" => said("refresh_token") == self.granted["refresh_token"],
            _ => false,
        };
        if !good {
            return refused("bad_verification_code");
        }
        let mut granted = json!({"access_token": self.token, "scope": "user:email", "token_type": "bearer"});
        granted.as_object_mut().unwrap().extend(self.granted.as_object().unwrap().clone());
        document(&granted)
    }

    fn paged(&self, all: &[Value], request: &Request<Bytes>) -> Response<TestBody> {
        let query = request.uri().query().unwrap_or_default();
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let page = query.get("page").map_or(1, |page| page.parse::<usize>().unwrap());
        let pages: Vec<_> = all.chunks(self.page).collect();
        let mut answer = document(&json!(pages.get(page - 1).copied().unwrap_or_default()));
        if page < pages.len() {
            let host = request.uri().authority().map(ToString::to_string);
            let host =
                host.or_else(|| request.headers().get("host").map(|host| host.to_str().unwrap().to_owned()));
            let at = format!("https://{}{}", host.unwrap(), request.uri().path());
            let next = self.next.clone().unwrap_or_else(|| format!("{at}?page={}", page + 1));
            let link = format!("<{next}>; rel=\"next\", <{at}?page={}>; rel=\"last\"", pages.len());
            answer.headers_mut().insert("link", link.parse().unwrap());
        }
        answer
    }
}
