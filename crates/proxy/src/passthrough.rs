//! Tokens of the cluster's own: what no issuer signed is shown to the API server (`TokenReview`), and if it knows the token,
//! the request goes on with it as it is. The caller's own rights apply then, and nothing of the proxy's travels along.

use std::sync::Arc;

use ambient::{Clock, Time};
use cluster::{Reviews, Subject};

use crate::authenticate::{Caller, Way};
use crate::cache::Cache;
use crate::identity::KubeUser;
use crate::refusal::Refusal;

/// Shows tokens to the API server.
pub struct Passthrough {
    reviews: Reviews,
    audiences: Vec<String>,
    known: Cache<Answer>,
}

/// What the API server said.
enum Answer {
    Known(Arc<Caller>),
    Unknown,
}

impl Passthrough {
    /// Tokens must be meant for one of `audiences`, if there are any, or else for the API server.
    pub fn new(reviews: Reviews, audiences: Vec<String>, clock: Arc<dyn Clock>) -> Self {
        Self { reviews, audiences, known: Cache::new(clock) }
    }

    /// Whose token it is, or the refusal that it met before.
    pub(crate) async fn caller(&self, token: &str, refusal: Refusal) -> Result<Arc<Caller>, Refusal> {
        let answer = match self.known.find(token) {
            Some(answer) => answer,
            None => {
                let reviewed = self.reviews.token(token, &self.audiences).await;
                let answer = match reviewed.map_err(|error| Refusal::Review(format!("{refusal}; {error}")))? {
                    Some(subject) => Answer::Known(Arc::new(Caller::of_review(subject))),
                    None => Answer::Unknown,
                };
                let answer = Arc::new(answer);
                self.known.keep(token, &answer, Time::MAX);
                answer
            }
        };
        match &*answer {
            Answer::Known(caller) => Ok(Arc::clone(caller)),
            Answer::Unknown => Err(refusal),
        }
    }
}

impl Caller {
    /// When the token ends is the API server's affair: it sees the token with every request.
    fn of_review(subject: Subject) -> Self {
        let Subject { name, uid, groups, extra } = subject;
        Self {
            user: KubeUser { name, uid, groups, extra },
            token_id: None,
            issuer: REVIEWED.into(),
            way: Way::Review,
            ends: Time::MAX,
        }
    }
}

/// Who says who such a caller is, in events.
const REVIEWED: &str = "kube-apiserver";
