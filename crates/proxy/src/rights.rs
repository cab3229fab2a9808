//! What the proxy's own account may impersonate, asked of the API server and asked again: a header that it may not send would
//! have every request refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::Clock;
use cluster::{Access, NoReview, Reviews};

use crate::{Proxy, Rights};

/// Asks again and again, and when issuers were replaced, whose users may have other fields; never ends. What changes is told on
/// the log.
pub async fn keep_rights(proxy: Arc<Proxy>, reviews: Reviews, clock: Arc<dyn Clock>) {
    let mut told = None;
    loop {
        let pause = match ask(&reviews, &proxy).await {
            Ok((rights, missing)) => {
                // Who has just been deployed gets its rights soon, or not at all.
                let pause =
                    if missing.iter().any(|what| what == "users") { AFTER_FAILURE } else { ASK_AGAIN };
                if told.as_ref() != Some(&missing) {
                    tell(&missing);
                    told = Some(missing);
                }
                proxy.set_rights(rights);
                pause
            }
            Err(error) => {
                let why = error.to_string();
                tracing::warn!(why, "the API server does not say what the proxy may impersonate");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = clock.sleep(pause) => {}
            () = proxy.wants_rights() => {}
        }
    }
}

/// Rights that only somebody's wish brings up, such as a field that no configuration names: asked when they are first needed.
pub(crate) struct OwnRights {
    reviews: Reviews,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<What, Known>>,
}

/// A resource, and the key of an extra field.
type What = (&'static str, String);

#[derive(Clone, Copy)]
struct Known {
    may: bool,
    asked: Duration,
}

impl OwnRights {
    pub(crate) fn new(reviews: Reviews, clock: Arc<dyn Clock>) -> Self {
        Self { reviews, clock, known: Mutex::default() }
    }

    /// Whether our account may impersonate this.
    pub(crate) async fn may(&self, resource: &'static str, key: &str) -> Result<bool, NoReview> {
        let (what, now) = ((resource, key.to_owned()), self.clock.monotonic());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&what).copied();
        if let Some(Known { may, asked }) = known {
            let keep = if may { ASK_AGAIN } else { AFTER_FAILURE };
            if now.saturating_sub(asked) < keep {
                return Ok(may);
            }
        }
        let may = self.reviews.may_we(Access { resource, subresource: key, ..OURS }).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(what, Known { may, asked: now });
        Ok(may)
    }
}

fn tell(missing: &[String]) {
    for what in missing {
        if ["users", "groups"].contains(&what.as_str()) {
            tracing::error!(what, "the proxy's account may not impersonate these: requests will be refused");
        } else {
            tracing::warn!(what, "the proxy's account may not impersonate this: it is left out");
        }
    }
}

/// The rights, and what is missing of those that would be used.
async fn ask(reviews: &Reviews, proxy: &Proxy) -> Result<(Rights, Vec<String>), NoReview> {
    let mut missing = Vec::new();
    for resource in ["users", "groups"] {
        if !reviews.may_we(Access { resource, group: "", ..OURS }).await? {
            missing.push(resource.to_owned());
        }
    }
    let uid = reviews.may_we(Access { resource: "uids", ..OURS }).await?;
    if !uid && proxy.says_uids() {
        missing.push("uids.authentication.k8s.io".to_owned());
    }
    let any = Access { resource: "userextras", subresource: ANY_KEY, ..OURS };
    let every_extra = reviews.may_we(any).await?;
    let mut rights = Rights { uid, every_extra, ..Rights::default() };
    for key in proxy.extra_keys() {
        let access = Access { resource: "userextras", subresource: &key, ..OURS };
        if every_extra || reviews.may_we(access).await? {
            rights.extras.insert(key);
        } else {
            missing.push(format!("userextras.authentication.k8s.io/{key}"));
        }
    }
    Ok((rights, missing))
}

const OURS: Access<'_> = Access {
    verb: "impersonate",
    group: "authentication.k8s.io",
    resource: "",
    subresource: "",
    namespace: "",
    name: "",
};

/// A key that no rule names: who may send it may send any. Not `*`: RBAC takes `userextras/*` for a key of that name, so a rule with it would
/// answer yes here and no to every key that is sent.
const ANY_KEY: &str = "any.obol.invalid/key";

const ASK_AGAIN: Duration = Duration::from_mins(5);
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Callers who may impersonate any field could name many.
const MOST_KNOWN: usize = 256;
