//! Every socket that Obol accepts, bounded: the web, telemetry and proxy listeners differ only in their service.
//!
//! A connection has a place or waits for one, and is closed if its peer has too many; it shakes hands, asks its first request and sends each head within a bound, or is
//! closed; who reads nothing of its answers is closed too; it speaks HTTP/1.1 (with upgrades) or HTTP/2; a panic in its service becomes a 500 and is counted. When the task
//! group stops, nothing new is accepted and what is under way may finish, for a while. The certificate can change under
//! it all without a restart.

mod busy;
mod connection;
mod listener;
mod peers;
mod suites;
mod tls;

pub use connection::Peer;
pub use listener::{Event, Limits, Listener, Setting};
pub use tls::{BadPair, Offer, Other, Pair, PairFiles, ServerTls, TlsVersion, Versions};
