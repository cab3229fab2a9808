//! The way to a token: cache, turn, discovery, exchange.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, FetchError, Observer, Random};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use outbound::{Answer, Client, Request};
use url::Url;

use crate::ask::{Ask, Endpoint};
use crate::cache::Cache;
use crate::discovery::refuse_plain;
use crate::error::Error;
use crate::issued::{Entry, Issued};
use crate::key::Key;
use crate::lock::Turn;
use crate::note::Note;
use crate::subject::Subject;
use crate::{answer, retry};

/// Exchanges tokens.
#[derive(Clone)]
pub struct Exchanger {
    pub(crate) http: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    notes: Arc<dyn Observer<Note>>,
    /// Sent with every request.
    headers: HeaderMap,
}

/// What a cached token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It is used while it is fresh.
    Use,
    /// It is replaced.
    Replace,
}

impl Exchanger {
    /// Everything it needs; `notes` hears what is worth a word to somebody who waits.
    pub fn new(
        http: Client,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        notes: Arc<dyn Observer<Note>>,
    ) -> Self {
        Self { http, clock, random, notes, headers: HeaderMap::new() }
    }

    /// The same, sending these headers with every request: some providers want an `Origin`, for example.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// A token from the cache, or else from an exchange that other processes wait for.
    ///
    /// # Errors
    /// [`Error`]; see there. A broken cache is none: it is noted and done without.
    pub async fn obtain(
        &self,
        ask: &Ask,
        subject: &Subject,
        cache: &Cache,
        lookup: Lookup,
    ) -> Result<Issued, Error> {
        let key = Key::of(ask, subject, &self.headers, self.http.believed().as_deref());
        let cached = || cache.load(&key, self.clock.now()).filter(|_| lookup == Lookup::Use);
        if let Some(found) = cached() {
            return Ok(found);
        }
        let turn = self.take_turn(cache, &key, ALL_TRIES_WITHIN).await;
        if let Turn::Late { holder } = turn {
            self.tell(&Note::GaveUpWaiting { holder });
        }
        if let Some(found) = cached() {
            return Ok(found);
        }
        let issued = self.exchange(ask, subject).await?;
        let entry = Entry { issued, session: None };
        self.keep(cache, &key, &entry);
        drop(turn);
        Ok(entry.issued)
    }

    /// Keeps what was got; a disk that cannot is worth a word and no more.
    pub(crate) fn keep(&self, cache: &Cache, key: &Key, entry: &Entry) {
        if let Err(Error::Cache { path, reason }) = cache.store(key, entry, self.clock.now()) {
            self.tell(&Note::NoCache { path, reason });
        }
    }

    /// A fresh token.
    ///
    /// # Errors
    /// [`Error`]; see there.
    pub async fn exchange(&self, ask: &Ask, subject: &Subject) -> Result<Issued, Error> {
        let late = || {
            let url = match &ask.endpoint {
                Endpoint::Issuer(issuer) => issuer.clone(),
                Endpoint::Token(url) => url.to_string(),
            };
            Error::Fetch(FetchError::Late { url })
        };
        tokio::select! {
            done = self.exchange_untimed(ask, subject) => done,
            () = self.clock.sleep(ALL_TRIES_WITHIN) => Err(late()),
        }
    }

    async fn exchange_untimed(&self, ask: &Ask, subject: &Subject) -> Result<Issued, Error> {
        let (url, issuer) = match &ask.endpoint {
            Endpoint::Issuer(issuer) => {
                let found = self.discover(issuer).await?;
                (found.token_endpoint()?, Some(found.issuer))
            }
            Endpoint::Token(url) => (url.clone(), None),
        };
        refuse_plain(&url)?;
        let answer = self.post(ask, subject, &url, issuer.as_ref()).await?;
        if answer.status == 200 {
            return answer::read(ask, &answer.body, self.clock.now());
        }
        let expired = subject.expires.is_some_and(|expires| expires <= self.clock.now());
        Err(answer::refusal(&url, &answer, expired))
    }

    async fn post(
        &self,
        ask: &Ask,
        subject: &Subject,
        url: &Url,
        issuer: Option<&Url>,
    ) -> Result<Answer, Error> {
        let form = bytes::Bytes::from(ask.form(subject.token().expose()).expose().clone());
        let credential = ask.client.header();
        let request = || {
            let request = Request::form(url, form.clone()).named_by(issuer).cap(MAX_ANSWER);
            match &credential {
                Some(value) => request.header(AUTHORIZATION, value.clone()),
                None => request,
            }
        };
        Ok(self.send(request).await?)
    }

    /// Sends, and sends again what may pass.
    pub(crate) async fn send<'r>(&self, request: impl Fn() -> Request<'r>) -> Result<Answer, FetchError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.send_once(request()).await;
            let Some(after) = retry::pause(&outcome, tries, &*self.random) else { return outcome };
            let reason = match &outcome {
                Ok(answer) => format!("the server answered {}", answer.status.as_u16()),
                Err(error) => error.to_string(),
            };
            self.tell(&Note::Retrying { reason, after });
            self.clock.sleep(after).await;
        }
    }

    /// Sends what must not be sent twice: a code or a refresh token that is shown again looks stolen.
    pub(crate) async fn send_once(&self, mut request: Request<'_>) -> Result<Answer, FetchError> {
        for (name, value) in &self.headers {
            request.headers.entry(name).or_insert_with(|| value.clone());
        }
        self.http.send(request).await
    }

    pub(crate) fn tell(&self, note: &Note) {
        self.notes.observe(note);
    }
}

/// One exchange with all its tries: kubectl's user waits that long and no longer, whatever the network does.
const ALL_TRIES_WITHIN: Duration = Duration::from_secs(60);

/// As tokenxchange's bound. Real answers have a few kilobytes.
pub(crate) const MAX_ANSWER: usize = 1 << 20;
