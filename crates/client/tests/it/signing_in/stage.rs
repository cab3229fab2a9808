//! An issuer whose token endpoint the test fills, and somebody who writes down where they are sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ambient::{Clock, Secret, SystemClock};
use client::{
    Cache, ClientAuth, Error, Exchanger, Issued, Landing, Lookup, Person, Place, Question, SignIn, Unasked,
    Visit, Wanted, Way,
};
use http::header::HOST;
use outbound::{Answer, Client, Dial, Options, Request, Trust};
use serde_json::{Value, json};
use testkit::SeededRandom;
use testkit::issuer::Issuer;
use tokio::sync::watch;
use url::Url;

use crate::world::Notes;

pub(super) struct Stage {
    pub(super) issuer: Arc<Issuer>,
    pub(super) person: Arc<Typist>,
    pub(super) notes: Arc<Notes>,
    pub(super) folder: tempfile::TempDir,
    clock: Arc<dyn Clock>,
}

/// Types what they were told to, and remembers where they were sent.
pub(super) struct Typist {
    visits: watch::Sender<Vec<(Url, String)>>,
    pub(super) types: Mutex<HashMap<&'static str, &'static str>>,
}

impl Stage {
    pub(super) async fn start() -> Self {
        Self::at(Arc::new(SystemClock::default())).await
    }

    pub(super) async fn at(clock: Arc<dyn Clock>) -> Self {
        let issuer = Arc::new(Issuer::start().await);
        let base = issuer.issuer();
        for (member, path) in [
            ("authorization_endpoint", "/auth"),
            ("token_endpoint", "/token"),
            ("device_authorization_endpoint", "/device/code"),
            ("revocation_endpoint", "/revoke"),
        ] {
            issuer.set_discovery(member, json!(format!("{base}{path}")));
        }
        issuer.set_discovery("authorization_response_iss_parameter_supported", json!(true));
        let person = Arc::new(Typist { visits: watch::Sender::new(Vec::new()), types: Mutex::default() });
        Self { issuer, person, notes: Arc::default(), folder: tempfile::tempdir().unwrap(), clock }
    }

    /// How often the issuer was asked at a path.
    pub(super) fn requests(&self, path: &str) -> usize {
        self.issuer.server().requests(path)
    }

    /// The form that it was last sent there.
    pub(super) fn last_form(&self, path: &str) -> String {
        let seen = self.issuer.server().seen();
        let last = seen.iter().rev().find(|seen| seen.path == path).unwrap();
        String::from_utf8(last.body.to_vec()).unwrap()
    }

    pub(super) fn cache(&self) -> Cache {
        Cache::open(self.folder.path().join("cache")).unwrap()
    }

    pub(super) fn ask(&self, way: Way) -> SignIn {
        SignIn {
            issuer: self.issuer.issuer(),
            client: ClientAuth { id: Some("kubectl".into()), secret: None },
            scope: vec!["openid".into(), "offline_access".into()],
            way,
            wanted: Wanted::IdToken,
            extra: Vec::new(),
            pkce: true,
            headers: http::HeaderMap::new(),
            patience: Duration::from_secs(100),
            authorities: None,
        }
    }

    /// Any free port of the loopback interface.
    pub(super) fn browser(&self) -> Way {
        Way::Browser(Landing { addresses: vec!["127.0.0.1:0".parse().unwrap()], ..Landing::default() })
    }

    /// As another process would have it.
    pub(super) fn exchanger(&self) -> Exchanger {
        Exchanger::new(
            self.client(),
            Arc::clone(&self.clock),
            Arc::new(SeededRandom::new(7)),
            self.notes.clone(),
        )
    }

    pub(super) fn client(&self) -> Client {
        let trust = Trust::only(Some(self.issuer.ca_pem().into()));
        Client::new(&Dial::new(Arc::clone(&self.clock)), Options { trust, ..Options::default() }).unwrap()
    }

    pub(super) async fn sign_in(&self, ask: &SignIn) -> Result<Issued, Error> {
        self.exchanger().sign_in(ask, &*self.person, Some(&self.cache()), Lookup::Use).await
    }

    /// An ID token for the client.
    pub(super) fn id_token(&self, changes: Value) -> String {
        let mut claims = json!({"sub": "ana", "aud": "kubectl", "name": "Ana B"});
        let Value::Object(changes) = changes else { panic!("claims are an object") };
        for (name, value) in changes {
            claims[name] = value;
        }
        self.issuer.mint(claims)
    }

    /// What the token endpoint answers from now on.
    pub(super) fn answer(&self, id_token: &str, refresh_token: Option<&str>) {
        let answer = json!({"access_token": "opaque", "token_type": "bearer", "id_token": id_token,
            "expires_in": 900, "refresh_token": refresh_token});
        self.issuer.set_answer("/token", 200, answer);
    }

    /// The address that the person was sent to, the `nth` of all.
    pub(super) async fn visited(&self, nth: usize) -> Url {
        let mut visits = self.person.visits.subscribe();
        let visits = visits.wait_for(|visits| visits.len() > nth).await.unwrap();
        visits[nth].0.clone()
    }

    pub(super) fn visits(&self) -> usize {
        self.person.visits.borrow().len()
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.person.visits.borrow().iter().map(|(_, told)| told.clone()).collect()
    }

    /// Goes to an address as a browser does.
    pub(super) async fn go(&self, url: &str) -> Answer {
        self.go_as(url, None).await
    }

    /// The same under another name of the host.
    pub(super) async fn go_as(&self, url: &str, host: Option<&str>) -> Answer {
        let url = Url::parse(url).unwrap();
        let mut request = Request::get(&url);
        if let Some(host) = host {
            request = request.header(HOST, host.parse().unwrap());
        }
        request.redirect_is_an_answer = true;
        self.client().send(request).await.unwrap()
    }
}

impl Typist {
    pub(super) fn types(&self) -> MutexGuard<'_, HashMap<&'static str, &'static str>> {
        self.types.lock().unwrap()
    }
}

impl Person for Typist {
    fn show(&self, visit: &Visit<'_>) {
        let told = match visit.place {
            Place::Device { code, filled_in } => format!("{code} {filled_in}"),
            Place::Landing { .. } => "landing".into(),
            Place::ByHand => "by hand".into(),
        };
        self.visits.send_modify(|visits| visits.push((visit.url.clone(), told)));
    }

    fn ask(&self, question: &Question<'_>) -> Result<Secret<String>, Unasked> {
        let name = match question {
            Question::Username => "name",
            Question::Password { .. } => "password",
            Question::Code => "code",
        };
        let typed = self.types().get(name).copied();
        typed.map(Secret::from).ok_or_else(|| Unasked("nobody is there".into()))
    }
}

/// The parameter of an address.
pub(super) fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Where the browser is sent back to, with this query.
pub(super) fn back(url: &Url, query: &[(&str, &str)]) -> String {
    let mut back = Url::parse(&parameter(url, "redirect_uri")).unwrap();
    back.query_pairs_mut().extend_pairs(query);
    back.into()
}
