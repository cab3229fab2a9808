//! The proxy between real sockets: an issuer, a stub of an API server that says what reached it, and clients.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "tests connect as strangers do")]

mod audited;
mod callers;
mod client;
mod configured;
mod front;
mod heard;
mod lanes;
mod peer;
mod reviews;
mod smuggling;
mod streams;
mod stub;
mod upgrades;
