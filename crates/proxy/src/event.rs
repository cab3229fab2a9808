//! Step 5, audit: one event per request, for whoever was handed in to hear it.

use std::net::IpAddr;

use ambient::Time;
use http::{Request, StatusCode};

use crate::identity::KubeUser;

/// What became of a request. Never holds a token; names come from tokens and must be escaped where they are written.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it came.
    pub at: Time,
    /// Its method.
    pub method: String,
    /// Its path without the query, in which `exec` carries commands.
    pub path: String,
    /// Who sent it, behind the proxies that are trusted.
    pub source: IpAddr,
    /// Who says who the caller is; empty if nobody does.
    pub issuer: String,
    /// Whom the token names, once it is verified.
    pub user: Option<User>,
    /// Whom it asks to act as, granted or not.
    pub acts_as: Option<KubeUser>,
    /// The end of it.
    pub outcome: Outcome,
}

/// The authenticated caller.
#[derive(Debug, Clone)]
pub struct User {
    /// The Kubernetes user name, prefix and all.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// The token's `jti`.
    pub token_id: Option<String>,
}

/// The end of a request.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It reached the API server, which answered.
    Passed {
        /// The API server's status.
        status: StatusCode,
        /// Whether the proxy impersonated the user, or passed the user's token on.
        impersonated: bool,
    },
    /// It went no further, or no answer came back.
    Refused {
        /// The status that the client saw.
        status: StatusCode,
        /// A short fixed word.
        code: &'static str,
        /// The whole story, which the client was not told.
        detail: String,
    },
    /// The client went away before there was an answer.
    Abandoned {
        /// Whether it was already on its way, so that the API server may have done what it asks for.
        forwarded: bool,
    },
}

/// The part of an event that is known before the first step.
pub(crate) struct Beginning {
    at: Time,
    method: String,
    path: String,
    source: IpAddr,
    pub(crate) issuer: String,
    pub(crate) user: Option<User>,
    pub(crate) acts_as: Option<KubeUser>,
    /// Set before the first byte goes to the API server.
    pub(crate) forwarded: bool,
    /// Whether it went as the user by the proxy's right.
    pub(crate) impersonated: bool,
}

impl Beginning {
    pub(crate) fn of<B>(request: &Request<B>, source: IpAddr, at: Time) -> Self {
        Self {
            at,
            method: beginning(request.method().as_str(), LONGEST_METHOD),
            path: beginning(request.uri().path(), LONGEST_PATH),
            source,
            issuer: String::new(),
            user: None,
            acts_as: None,
            forwarded: false,
            impersonated: false,
        }
    }

    pub(crate) fn end(self, outcome: Outcome) -> Event {
        let Self { at, method, path, source, issuer, user, acts_as, forwarded: _, impersonated: _ } = self;
        Event { at, method, path, source, issuer, user, acts_as, outcome }
    }
}

/// A stranger chooses these texts, and thousands of events may wait to be written.
fn beginning(text: &str, longest: usize) -> String {
    text.get(..longest).map_or_else(|| text.to_owned(), |start| format!("{start}…"))
}

const LONGEST_METHOD: usize = 32;
const LONGEST_PATH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_25_what_strangers_ask_for_is_kept_only_in_part() {
        let path = format!("/{}", "a".repeat(60_000));
        let request = Request::builder().method("X".repeat(5_000).as_str()).uri(path).body(()).unwrap();
        let beginning = Beginning::of(&request, [192, 0, 2, 1].into(), Time::from_unix(0));
        assert!(beginning.method.len() < 40 && beginning.path.len() < 1_040);
        let request = Request::builder().uri("/api/v1/pods").body(()).unwrap();
        let beginning = Beginning::of(&request, [192, 0, 2, 1].into(), Time::from_unix(0));
        assert_eq!((&*beginning.method, &*beginning.path), ("GET", "/api/v1/pods"));
    }
}
