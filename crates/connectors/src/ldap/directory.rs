//! The directory: searches on connections that are ours, passwords checked on others, both kept for the next one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::{Clock, Secret};
use outbound::Dial;
use provider::connector::UpstreamError;
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::ldap::{Entry, Filter, Outcome, Scope, Search};

use super::link::{ANSWERS_WITHIN, Answered, Broken, Link, Question};
use super::settings::Server;

pub(super) struct Directory {
    server: Server,
    dial: Dial,
    clock: Arc<dyn Clock>,
    bind_dn: String,
    bind_pw: Secret<String>,
    /// Connections that are bound as `bindDN`.
    searching: Idle,
    /// Connections on which people's passwords are tried; whose they are bound as does not matter.
    checking: Idle,
    permits: Semaphore,
}

/// Connections that nobody uses at the moment, and since when.
#[derive(Default)]
struct Idle(Mutex<Vec<(Link, Duration)>>);

/// What is looked for.
pub(super) struct Quest<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: Filter,
    pub(super) attributes: &'a [String],
    pub(super) at_most: u32,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Searching,
    Checking,
}

impl Directory {
    pub(super) fn new(
        server: Server,
        bind_dn: String,
        bind_pw: Secret<String>,
        dial: Dial,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (searching, checking) = (Idle::default(), Idle::default());
        Self { server, dial, clock, bind_dn, bind_pw, searching, checking, permits: Semaphore::new(AT_ONCE) }
    }

    /// What is found, if the directory says that this is all. A base that does not exist holds nothing.
    pub(super) async fn search(&self, quest: &Quest<'_>) -> Result<Vec<Entry>, UpstreamError> {
        let seconds = u32::try_from(ANSWERS_WITHIN.as_secs()).unwrap_or_default();
        let search = Search {
            base: quest.base,
            scope: quest.scope,
            filter: &quest.filter,
            attributes: quest.attributes,
            at_most: quest.at_most,
            seconds,
        };
        let (found, Outcome { code, text }) = self.put(Role::Searching, Question::Search(&search)).await?;
        match code {
            SUCCESS => Ok(found),
            NO_SUCH_OBJECT => Ok(Vec::new()),
            // The bound was ours: there is more than was wanted.
            SIZE_LIMIT_EXCEEDED if quest.at_most > 0 && !found.is_empty() => Ok(found),
            _ => Err(refused("a search", code, &text)),
        }
    }

    /// Whether the directory takes a password for an entry.
    pub(super) async fn check(&self, dn: &str, password: &Secret<String>) -> Result<bool, UpstreamError> {
        // Of an empty name or password a directory makes an anonymous visitor, with success (RFC 4513 section 5.1.2).
        if dn.is_empty() || password.expose().is_empty() {
            return Ok(false);
        }
        let password = password.expose().as_bytes();
        let question = Question::Bind { name: dn, password };
        let (_, Outcome { code, text }) = self.put(Role::Checking, question).await?;
        match code {
            SUCCESS => Ok(true),
            code if NOT_THIS_ONE.contains(&code) => {
                tracing::debug!(code, text = excerpt(&text), "the directory refuses a password");
                Ok(false)
            }
            code => Err(refused("a bind", code, &text)),
        }
    }

    /// Puts a question on an idle connection or, if there is none or it has died meanwhile, on a fresh one.
    async fn put(&self, role: Role, question: Question<'_>) -> Result<Answered, UpstreamError> {
        let _permit = self.permit().await?;
        let idle = match role {
            Role::Searching => &self.searching,
            Role::Checking => &self.checking,
        };
        let unavailable = |why: Broken| UpstreamError::Unavailable(why.to_string());
        while let Some(mut link) = idle.take(self.clock.monotonic()) {
            match link.put(question).await {
                Ok(answered) => {
                    idle.keep(link, self.clock.monotonic());
                    return Ok(answered);
                }
                // Who does not answer now does not answer a moment later.
                Err(why @ Broken::Late) => return Err(unavailable(why)),
                Err(Broken::Lost(_) | Broken::Unconnected(_)) => {}
            }
        }
        let mut link = Link::open(&self.dial, &self.clock, &self.server).await.map_err(unavailable)?;
        if role == Role::Searching {
            self.introduce(&mut link).await?;
        }
        let answered = link.put(question).await.map_err(unavailable)?;
        idle.keep(link, self.clock.monotonic());
        Ok(answered)
    }

    /// Binds as ourselves.
    async fn introduce(&self, link: &mut Link) -> Result<(), UpstreamError> {
        let question = Question::Bind { name: &self.bind_dn, password: self.bind_pw.expose().as_bytes() };
        match link.put(question).await.map_err(|why| UpstreamError::Unavailable(why.to_string()))? {
            (_, Outcome { code: SUCCESS, .. }) => Ok(()),
            (_, Outcome { code, text }) => Err(refused("the bind as bindDN", code, &text)),
        }
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, UpstreamError> {
        tokio::select! {
            permit = self.permits.acquire() => permit.map_err(|_| UpstreamError::Busy),
            () = self.clock.sleep(ANSWERS_WITHIN) => Err(UpstreamError::Busy),
        }
    }
}

impl Idle {
    /// The one that was used last, unless it has rested for so long that somebody on the way may have forgotten it.
    fn take(&self, now: Duration) -> Option<Link> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| now.saturating_sub(*since) < RESTS);
        idle.pop().map(|(link, _)| link)
    }

    fn keep(&self, link: Link, now: Duration) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < AT_REST {
            idle.push((link, now));
        }
    }
}

/// The directory does not do what it is asked. Never a verdict about a person.
fn refused(what: &str, code: u32, text: &str) -> UpstreamError {
    UpstreamError::Unavailable(format!("the directory answers {what} with code {code} {:?}", excerpt(text)))
}

fn excerpt(text: &str) -> String {
    text.chars().take(120).collect()
}

/// RFC 4511 appendix A.
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;

/// A bind that fails for reasons of this entry: constraint violation (locked), no such object, invalid DN, an entry without
/// a password, invalid credentials, insufficient access, unwilling.
const NOT_THIS_ONE: [u32; 7] = [19, 32, 34, 48, 49, 50, 53];

/// Further ones wait.
const AT_ONCE: usize = 16;
const AT_REST: usize = 4;
const RESTS: Duration = Duration::from_secs(60);
