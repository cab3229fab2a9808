//! LDAP's messages (RFC 4511) as far as a sign-in needs them: bind, search, StartTLS.
//!
//! Written here, since the library at hand panics on answers of another shape, descends into nested ones until the stack
//! ends, reads answers of any length and keeps its own time. Values go into filters as bytes, never as text: there is
//! nothing to escape, and nothing to inject.

mod ber;
mod filter;
mod message;

pub use ber::{Malformed, message_length};
pub use filter::{BadFilter, Filter, escape, is_attribute, unescape};
pub use message::{Entry, Message, Outcome, Reply, Request, Scope, Search};
