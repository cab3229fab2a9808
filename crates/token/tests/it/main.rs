//! The crate from outside: the attack list (its numbers are in the names), published vectors, key fetching, rotation.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::needless_pass_by_value,
    clippy::disallowed_methods,
    reason = "these are tests, helpers included: a panic is the report"
)]

mod claims;
mod keys;
mod remote;
mod rotation;
mod signing;
mod support;
mod text;
mod vectors;
