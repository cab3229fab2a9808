//! Tokens of the cluster's own: what no issuer signed is shown to the API server (`TokenReview`), and if it knows the token,
//! the request goes on with it as it is. The caller's own rights apply then, and nothing of the proxy's travels along.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Time};
use cluster::{Reviews, Subject};
use tokio::sync::Semaphore;

use crate::authenticate::{Caller, Way};
use crate::cache::{Cache, Digest};
use crate::identity::KubeUser;
use crate::refusal::Refusal;

/// Shows tokens to the API server.
pub struct Passthrough {
    reviews: Reviews,
    audiences: Vec<String>,
    known: Cache<Answer>,
    /// Places for reviews: what strangers make up must not become a flood at the API server.
    places: Semaphore,
    clock: Arc<dyn Clock>,
}

/// What the API server said.
enum Answer {
    Known(Arc<Caller>),
    Unknown,
}

impl Passthrough {
    /// Tokens must be meant for one of `audiences`, if there are any, or else for the API server.
    pub fn new(reviews: Reviews, audiences: Vec<String>, clock: Arc<dyn Clock>) -> Self {
        let known = Cache::new(Arc::clone(&clock));
        Self { reviews, audiences, known, places: Semaphore::new(MOST_REVIEWS), clock }
    }

    /// Whose token it is, or the refusal that it met before.
    pub(crate) async fn caller(
        &self,
        token: &str,
        digest: Digest,
        refusal: Refusal,
    ) -> Result<Arc<Caller>, Refusal> {
        let answer = match self.known.find(&digest) {
            Some(answer) => answer,
            None => self.ask(token, digest, &refusal).await?,
        };
        match &*answer {
            Answer::Known(caller) => Ok(Arc::clone(caller)),
            Answer::Unknown => Err(refusal),
        }
    }

    async fn ask(&self, token: &str, digest: Digest, refusal: &Refusal) -> Result<Arc<Answer>, Refusal> {
        let _place = tokio::select! {
            place = self.places.acquire() => place,
            () = self.clock.sleep(WAIT) => {
                return Err(Refusal::Review(format!("{refusal}; too many tokens wait for a review")));
            }
        };
        // Somebody else may have asked for the same one meanwhile.
        if let Some(answer) = self.known.find(&digest) {
            return Ok(answer);
        }
        let reviewed = self.reviews.token(token, &self.audiences).await;
        let answer = match reviewed.map_err(|error| Refusal::Review(format!("{refusal}; {error}")))? {
            Some(subject) => Answer::Known(Arc::new(Caller::of_review(subject))),
            None => Answer::Unknown,
        };
        let answer = Arc::new(answer);
        self.known.keep(digest, &answer, Time::MAX);
        Ok(answer)
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

/// Reviews at once.
const MOST_REVIEWS: usize = 64;

/// For a place among them.
const WAIT: Duration = Duration::from_secs(10);
