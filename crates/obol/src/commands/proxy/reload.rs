//! An AuthenticationConfiguration or an audit policy that changes while it is served: what is good replaces what there is, what is not is told
//! and changes nothing. Content is compared, not times: Kubernetes swaps a symbolic link above the file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use anyhow::Context as _;
use proxy::audit::Audit;
use proxy::{Means, Proxy};
use tokio::sync::Notify;

use super::Args;
use super::login::Admitted;
use super::metrics::Metrics;

/// Follows the file until it is dropped. `look` asks for a look at once. `seen` was read before the file was first taken
/// over, so that no change is missed.
pub(super) async fn follow(
    args: Arc<Args>,
    mut seen: Option<String>,
    proxy: Arc<Proxy>,
    means: Means,
    look: Arc<Notify>,
    metrics: Arc<Metrics>,
) {
    let Some(path) = args.login.file() else { return };
    loop {
        tokio::select! {
            () = means.clock.sleep(LOOK_AGAIN) => {}
            () = look.notified() => {}
        }
        let found = read(path);
        if found == seen {
            continue;
        }
        let text = found.as_deref().context("it cannot be read");
        let taken = text.and_then(|text| take_over(&args, &proxy, &means, text));
        metrics.reloaded(taken.is_ok());
        match taken {
            Ok(count) => tracing::info!(issuers = count, "the authentication configuration was replaced"),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(
                    why,
                    "the authentication configuration was not replaced; the last good one stays"
                );
            }
        }
        seen = found;
    }
}

/// The same for the audit policy.
pub(super) async fn follow_policy(
    args: Arc<Args>,
    mut seen: Option<String>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    look: Arc<Notify>,
) {
    let Some(path) = args.audit.file() else { return };
    loop {
        tokio::select! {
            () = clock.sleep(LOOK_AGAIN) => {}
            () = look.notified() => {}
        }
        let found = read(path);
        if found == seen {
            continue;
        }
        let text = found.as_deref().context("it cannot be read");
        match text.and_then(|text| args.audit.policy(text)) {
            Ok(policy) => {
                audit.replace_policy(policy);
                tracing::info!("the audit policy was replaced");
            }
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(why, "the audit policy was not replaced; the last good one stays");
            }
        }
        seen = found;
    }
}

fn take_over(args: &Args, proxy: &Proxy, means: &Means, text: &str) -> anyhow::Result<usize> {
    let Admitted { issuers, anonymous } = args.login.of_file(text)?;
    let count = issuers.len();
    proxy.replace_issuers(issuers, anonymous, means)?;
    for (_, keys) in proxy.issuer_keys() {
        if keys.health().age.is_none() {
            keys.warm();
        }
    }
    Ok(count)
}

pub(super) fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

const LOOK_AGAIN: Duration = Duration::from_secs(10);
