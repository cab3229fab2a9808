//! What the proxy's own account may impersonate, asked of the API server and asked again: a header that it may not send would
//! have every request refused.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use cluster::{Access, NoReview, Reviews};

use crate::{Proxy, Rights};

/// Asks again and again; never ends. What changes is told on the log.
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
        clock.sleep(pause).await;
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
    let core = Access { verb: "impersonate", ..Access::default() };
    let ours = Access { group: "authentication.k8s.io", ..core };
    let mut missing = Vec::new();
    for resource in ["users", "groups"] {
        if !reviews.may_we(Access { resource, ..core }).await? {
            missing.push(resource.to_owned());
        }
    }
    let uid = reviews.may_we(Access { resource: "uids", ..ours }).await?;
    if !uid {
        missing.push("uids.authentication.k8s.io".to_owned());
    }
    let every_extra = reviews.may_we(Access { resource: "userextras", subresource: "*", ..ours }).await?;
    let mut rights = Rights { uid, every_extra, ..Rights::default() };
    for key in proxy.extra_keys() {
        let access = Access { resource: "userextras", subresource: &key, ..ours };
        if every_extra || reviews.may_we(access).await? {
            rights.extras.insert(key);
        } else {
            missing.push(format!("userextras.authentication.k8s.io/{key}"));
        }
    }
    Ok((rights, missing))
}

const ASK_AGAIN: Duration = Duration::from_mins(5);
const AFTER_FAILURE: Duration = Duration::from_secs(10);
