//! A configuration that changes while it is served: the file and the files of its policies are looked at again and again,
//! at once on SIGHUP. What is good replaces what there is; what is not is told, and the last good one stays in use.
//!
//! Content is compared, not times: Kubernetes swaps a symbolic link above the files. Clients, connectors, policies,
//! lifetimes and flows are taken over; what is bound to the process (`web`, `storage`, `signer`, …) takes a restart.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock as _, Observer};
use anyhow::Context as _;
use config::{Environment, Faults};
use provider::connector::Opened;
use provider::event::{Event, Reloaded, Trouble};
use provider::keys::LongestToken;
use provider::policy::written::files;
use provider::{Living, Provider};
use tokio::signal::unix::{SignalKind, signal};

use crate::configuration::{self, Configuration, Surroundings};

/// Where a configuration came from.
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) strict: bool,
    pub(crate) listen: web::Instead,
}

/// What is in use, to be compared with what is found.
pub(crate) struct InUse {
    /// A hash of each top-level key.
    pub(crate) outline: BTreeMap<String, u64>,
    pub(crate) connectors: Vec<Opened>,
}

/// Looks again and again.
pub(crate) struct Reloader {
    pub(crate) origin: Origin,
    pub(crate) around: Surroundings,
    pub(crate) provider: Arc<Provider>,
    pub(crate) longest: LongestToken,
    pub(crate) in_use: InUse,
    pub(crate) events: Arc<dyn Observer<Event>>,
}

impl Reloader {
    /// Until the process ends.
    pub(crate) async fn run(mut self) {
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut seen = Seen::of(&self.origin.path);
        loop {
            let told = tokio::select! {
                () = self.around.clock.sleep(LOOK_AGAIN) => false,
                () = hangup(&mut hangups) => true,
            };
            let found = Seen::of(&self.origin.path);
            if !told && found == seen {
                continue;
            }
            seen = found;
            self.reload(told);
        }
    }

    fn reload(&mut self, told: bool) {
        let at = self.around.clock.now();
        let event = match self.take_over(told) {
            Ok(what) => Event::Reloaded(Reloaded { at, what }),
            Err(error) => {
                let what = format!("{error:#}; the last good configuration stays in use");
                Event::Trouble(Trouble { at, part: "configuration", what })
            }
        };
        self.events.observe(&event);
    }

    /// What happened, in words.
    fn take_over(&mut self, told: bool) -> anyhow::Result<String> {
        let Origin { path, environment, strict, listen } = &self.origin;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let faults = if *strict { Faults::strict() } else { Faults::new() };
        let read = configuration::read(&text, path, environment, &self.around, *listen, &faults);
        configuration::report(path, &faults);
        let Configuration { provider: settings, connectors, outline, .. } = read.with_context(|| {
            let first = faults.errors().first().map(ToString::to_string).unwrap_or_default();
            format!("{} cannot be used: {first}", path.display())
        })?;
        let before = self.provider.living();
        if settings.issuer.text != before.settings.issuer.text {
            anyhow::bail!("issuer has changed, which takes a restart");
        }
        if settings.exchange.is_none() && before.settings.exchange.is_some() {
            // Without the section a Dex configuration's implicit policy would hold: no reload may open that.
            anyhow::bail!(
                "tokenExchange is gone, which would let the implicit policy of a Dex configuration decide; restart if this is meant, \
                 or write tokenExchange: {{}} to allow no exchange"
            );
        }
        let changed = |key: &str| self.in_use.outline.get(key) != outline.get(key);
        let connectors = if told || VOUCHING.into_iter().any(changed) {
            connectors.iter().for_each(|opened| opened.connector.warm());
            connectors
        } else {
            // Those in use know their issuers' keys.
            self.in_use.connectors.clone()
        };
        let mut stale: Vec<&str> = outline
            .keys()
            .chain(self.in_use.outline.keys())
            .map(String::as_str)
            .filter(|key| changed(key))
            .collect();
        stale.retain(|key| !TAKEN_OVER.contains(key));
        stale.sort_unstable();
        stale.dedup();
        let what = if stale.is_empty() {
            "the configuration is in use".to_owned()
        } else {
            format!("the configuration is in use; these changes take a restart: {}", stale.join(", "))
        };
        // Before the first token of that age is signed.
        self.longest.raise(settings.longest_token());
        for key in TAKEN_OVER {
            match outline.get(key) {
                Some(hash) => self.in_use.outline.insert(key.to_owned(), *hash),
                None => self.in_use.outline.remove(key),
            };
        }
        self.in_use.connectors.clone_from(&connectors);
        self.provider.replace(Living { settings, connectors });
        Ok(what)
    }
}

/// What a look saw: a hash of every file.
#[derive(PartialEq)]
struct Seen(u64);

impl Seen {
    fn of(path: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.hash(&mut hasher);
        // Of what is there now, not of what is in use: a faulty file is mended without touching the configuration.
        let listed = text.ok().and_then(|text| {
            let section = config::parse_file(&text, &path.display().to_string(), &Faults::new())?;
            Some(files::listed(&section))
        });
        for found in files::gather(&listed.unwrap_or_default()) {
            found.path.hash(&mut hasher);
            found.text.map_err(|error| error.to_string()).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

async fn hangup(hangups: &mut Option<tokio::signal::unix::Signal>) {
    match hangups {
        Some(hangups) => {
            hangups.recv().await;
        }
        None => std::future::pending().await,
    }
}

const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Top-level keys, folded, that make the connectors.
const VOUCHING: [&str; 5] = ["connectors", "enablepassworddb", "staticpasswords", "oauth2", "issuer"];
/// Top-level keys, folded, that a reload takes over.
const TAKEN_OVER: [&str; 7] = [
    "connectors",
    "enablepassworddb",
    "expiry",
    "oauth2",
    "staticclients",
    "staticpasswords",
    "tokenexchange",
];
