//! Where the keys of a trust entry come from.

use std::sync::Arc;

use crate::keyset::{Outcome, Signed};
use crate::rejected::Excerpt;
use crate::{KeyRing, KeySet, Rejected, RemoteKeys, Unavailable};

/// Where the keys of a trust entry come from. Cloning shares them.
#[derive(Debug, Clone)]
pub enum Keys {
    /// Written in the configuration.
    Fixed(Arc<KeySet>),
    /// Published by the issuer and kept up to date.
    Remote(Arc<RemoteKeys>),
    /// Obol's own.
    Own(KeyRing),
}

impl Keys {
    /// Written in the configuration.
    pub fn fixed(set: KeySet) -> Self {
        Self::Fixed(Arc::new(set))
    }

    /// Published by the issuer and kept up to date.
    pub fn remote(keys: RemoteKeys) -> Self {
        Self::Remote(Arc::new(keys))
    }

    /// Checks a signature, asking the issuer for its keys if that is needed. Says whether the key was imported.
    pub(crate) async fn check(&self, signed: Signed<'_>) -> Result<bool, Rejected> {
        match self {
            Self::Remote(remote) => {
                judge(remote.check(signed).await.map_err(Rejected::KeysUnavailable)?, signed)
            }
            _ => self.check_at_hand(signed),
        }
    }

    /// The same with the keys that are at hand.
    pub(crate) fn check_at_hand(&self, signed: Signed<'_>) -> Result<bool, Rejected> {
        let outcome = match self {
            Self::Fixed(set) => set.check(signed),
            Self::Own(ring) => ring.check(signed),
            Self::Remote(remote) => remote
                .at_hand()
                .map(|set| set.check(signed))
                .ok_or(Rejected::KeysUnavailable(Unavailable::NotYet))?,
        };
        judge(outcome, signed)
    }
}

impl From<KeySet> for Keys {
    fn from(set: KeySet) -> Self {
        Self::fixed(set)
    }
}

impl From<RemoteKeys> for Keys {
    fn from(keys: RemoteKeys) -> Self {
        Self::remote(keys)
    }
}

impl From<KeyRing> for Keys {
    fn from(ring: KeyRing) -> Self {
        Self::Own(ring)
    }
}

fn judge(outcome: Outcome, signed: Signed<'_>) -> Result<bool, Rejected> {
    match outcome {
        Outcome::Good { imported } => Ok(imported),
        Outcome::NoKey => Err(Rejected::UnknownKey(Excerpt::of(signed.kid))),
        Outcome::Wrong => Err(Rejected::Signature),
    }
}
