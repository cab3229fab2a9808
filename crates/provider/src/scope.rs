//! Scopes (dex.md 1.6, 1.8): the six that Dex knows and the cross-client ones. Others are refused, not ignored.

use std::sync::Arc;

use crate::clients::{Client, Clients};
use crate::error::Refusal;
use wire::oauth::ErrorCode;

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    plain: Vec<String>,
    peers: Vec<String>,
}

impl Scopes {
    /// Reads a `scope` parameter (RFC 6749 section 3.3).
    ///
    /// # Errors
    /// `invalid_scope` for one that is not known.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut scopes = Self::default();
        for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
            let list = match scope.strip_prefix(CROSS_CLIENT) {
                Some("") => return Err(unknown()),
                Some(peer) => {
                    push(&mut scopes.peers, peer)?;
                    continue;
                }
                None if KNOWN.contains(&scope) => &mut scopes.plain,
                None => return Err(unknown()),
            };
            push(list, scope)?;
        }
        Ok(scopes)
    }

    /// From what was stored.
    pub fn from_stored(stored: &[String]) -> Self {
        Self::parse(&stored.join(" ")).unwrap_or_default()
    }

    /// Whether a plain scope is asked for.
    pub fn has(&self, scope: &str) -> bool {
        self.plain.iter().any(|known| known == scope)
    }

    /// Without one.
    #[must_use]
    pub fn without(mut self, scope: &str) -> Self {
        self.plain.retain(|known| known != scope);
        self
    }

    /// Those that are not for an audience.
    pub fn plain(&self) -> &[String] {
        &self.plain
    }

    /// Clients that are asked for as audience.
    pub fn peers(&self) -> &[String] {
        &self.peers
    }

    /// All, as they are written.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.plain.iter().cloned().chain(self.peers.iter().map(|peer| format!("{CROSS_CLIENT}{peer}")))
    }

    /// Whether all of these are among `other`.
    pub fn within(&self, other: &Self) -> bool {
        self.plain.iter().all(|scope| other.plain.contains(scope))
            && self.peers.iter().all(|peer| other.peers.contains(peer))
    }

    /// One string, for a `scope` member. `None` if there is nothing to say.
    pub fn to_text(&self) -> Option<String> {
        let all: Vec<_> = self.iter().collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// The audience that Dex gives for these scopes: the peers in order of asking, with the client itself appended,
    /// or the client alone (dex.md 1.6).
    ///
    /// # Errors
    /// `invalid_scope` for a peer that does not trust the client (Dex weakness T5: a 400, not a 500).
    pub fn audience(&self, client: &Client, clients: &Clients) -> Result<Vec<Arc<str>>, Refusal> {
        let mut audience: Vec<Arc<str>> = Vec::with_capacity(self.peers.len() + 1);
        for peer in &self.peers {
            let trusting = clients.find(peer).filter(|peer| peer.trusts(&client.id));
            let peer = trusting.ok_or_else(|| {
                Refusal::new(
                    ErrorCode::InvalidScope,
                    "the client may not ask for tokens for one of these audiences",
                )
                .because("a peer does not list the client in trustedPeers")
            })?;
            audience.push(Arc::clone(&peer.id));
        }
        if !audience.contains(&client.id) {
            audience.push(Arc::clone(&client.id));
        }
        Ok(audience)
    }
}

fn push(list: &mut Vec<String>, scope: &str) -> Result<(), Refusal> {
    if list.len() >= MOST {
        return Err(Refusal::new(ErrorCode::InvalidScope, "too many scopes"));
    }
    if !list.iter().any(|known| known == scope) {
        list.push(scope.to_owned());
    }
    Ok(())
}

fn unknown() -> Refusal {
    Refusal::new(ErrorCode::InvalidScope, "an unknown scope is asked for")
        .as_dex(ErrorCode::InvalidScope, 400)
}

/// `openid`
pub const OPENID: &str = "openid";
/// `email`
pub const EMAIL: &str = "email";
/// `profile`
pub const PROFILE: &str = "profile";
/// `groups`
pub const GROUPS: &str = "groups";
/// `offline_access`
pub const OFFLINE: &str = "offline_access";
/// `federated:id`
pub const FEDERATED: &str = "federated:id";

const KNOWN: [&str; 6] = [OPENID, EMAIL, PROFILE, GROUPS, OFFLINE, FEDERATED];
const CROSS_CLIENT: &str = "audience:server:client_id:";
const MOST: usize = 16;
