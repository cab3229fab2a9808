//! What strangers may hold of the proxy, so that its pod's memory is enough for all of it.

use std::time::Duration;

use inbound::Limits;

/// Of those who bring requests. `per_peer` of 0 is any number.
pub(super) fn callers(per_peer: usize, streams: u32) -> Limits {
    Limits {
        connections: MOST_CONNECTIONS,
        per_peer: if per_peer == 0 { usize::MAX } else { per_peer },
        streams,
        window: 256 * 1024,
        ..Limits::default()
    }
}

/// Of those who ask how the proxy is. They have places of their own: a proxy that is full is not dead.
pub(super) fn probes() -> Limits {
    Limits {
        connections: PROBES,
        per_peer: PROBES / 4,
        head: Duration::from_secs(10),
        idle: Duration::from_secs(10),
        head_bytes: 8 * 1024,
        streams: 8,
        window: 64 * 1024,
        ..Limits::default()
    }
}

/// Connections at once.
const MOST_CONNECTIONS: usize = 2048;

/// Connections at once that ask for probes, and again for metrics.
const PROBES: usize = 64;

#[cfg(test)]
mod tests {
    use proxy::MOST_TUNNELS;

    use super::*;

    /// Heads that never end, TLS records, tunnels and a full audit log, all at once.
    #[test]
    fn attack_25_what_strangers_can_hold_fits_into_the_pod() {
        let manifest = include_str!("../../../../../deploy/proxy/proxy.yaml");
        let (_, limit) = manifest.split_once("limits: {memory: ").unwrap();
        let limit: usize = limit.split_once("Mi}").unwrap().0.parse().unwrap();
        let (kib, mib) = (1024, 1024 * 1024);
        let of = |limits: Limits| {
            let each = usize::try_from(limits.head_bytes).unwrap() + 36 * kib;
            assert!(limits.per_peer <= limits.connections / 4, "one peer takes a quarter at most");
            limits.connections * each
        };
        let held = of(callers(512, 100)) + 2 * of(probes()) + MOST_TUNNELS * 100 * kib;
        let (audit, at_rest) = (36 * mib, 30 * mib);
        assert!(held + audit + at_rest <= limit * mib, "{} MiB", (held + audit + at_rest) / mib);
        assert_eq!(callers(0, 1).per_peer, usize::MAX);
    }
}
