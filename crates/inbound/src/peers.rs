//! How many connections each peer has: one of them does not take every place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of each peer.
pub(crate) struct Peers {
    most: usize,
    counted: Mutex<HashMap<u128, usize>>,
}

/// One connection of one peer.
pub(crate) struct Entered {
    peers: Arc<Peers>,
    key: u128,
}

impl Peers {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, counted: Mutex::default() })
    }

    /// A place for one more connection of this peer; `None`: it has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Entered> {
        let key = key(peer);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Entered { peers: Arc::clone(self), key })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut counted = self.peers.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counted.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counted.remove(&self.key);
            }
        }
    }
}

/// Of an IPv6 address its network: whoever has one address of it has them all.
fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_each_peer_and_given_back() {
        let peers = Peers::new(2);
        let four = |last| IpAddr::from([192, 0, 2, last]);
        let six = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let held = [peers.enter(four(1)), peers.enter(four(1)), peers.enter(six(1)), peers.enter(six(2))];
        assert!(held.iter().all(Option::is_some));
        assert!(peers.enter(four(1)).is_none() && peers.enter(six(3)).is_none());
        assert!(peers.enter(four(2)).is_some());
        drop(held);
        assert!(peers.enter(four(1)).is_some());
        assert!(peers.counted.lock().unwrap().is_empty(), "who is gone is forgotten");
    }
}
