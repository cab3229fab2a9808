//! What connectors are given: time, chance, tasks, sockets, and who we are.

use std::path::PathBuf;
use std::sync::Arc;

use ambient::{Clock, Random, Tasks};
use outbound::{BadTrust, Client, Credential, Dial, Options, Trust};
use token::{Pace, RemoteKeys, Source};

/// What connectors are given.
#[derive(Clone)]
pub struct Context {
    /// Our issuer, as configured; what subject tokens are meant for unless something else is written. Empty while a
    /// configuration is read whose issuer is at fault: then nothing is served, and the other faults are still found.
    pub issuer: Arc<str>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Background work: keys are fetched there.
    pub tasks: Tasks,
    /// Sockets.
    pub dial: Dial,
    /// Where a pod's service account is mounted, for `inCluster`.
    pub mount: PathBuf,
}

impl Context {
    /// A client of one upstream.
    pub(crate) fn client(&self, trust: Trust, credential: Option<Credential>) -> Result<Client, BadTrust> {
        Client::new(&self.dial, Options { trust, credential, ..Options::default() })
    }

    /// Keys that `client` will fetch from `source`.
    pub(crate) fn remote_keys(&self, source: Source, client: Client) -> RemoteKeys {
        let (clock, tasks) = (Arc::clone(&self.clock), self.tasks.clone());
        RemoteKeys::new(source, Pace::default(), Arc::new(client), clock, tasks)
    }
}
