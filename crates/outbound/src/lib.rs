//! Every socket that Obol opens, guarded.
//!
//! # The guard
//!
//! A token service is asked by strangers to look at documents, so it must not become their way into the network it
//! stands in (SSRF). What may be reached is decided here and nowhere else:
//!
//! 1. **One resolution.** A name is resolved once; the guard judges the resolved addresses; the connection goes to
//!    exactly one of the judged addresses. No library resolves again, so an answer that changes in between (DNS
//!    rebinding) changes nothing. Odd spellings (`0x7f.1`, `2130706433`) are harmless: the address is judged, not its text.
//! 2. **Never**, whoever asks: link-local ranges and metadata services, unspecified, multicast and broadcast addresses,
//!    also when they hide in an IPv6 form that carries an IPv4 address ([`classify`] lists them), and the
//!    names of metadata services.
//! 3. **Private** addresses (loopback, RFC 1918, unique local, carrier NAT and everything else that the public Internet
//!    does not route) are reached for URLs that the operator wrote. For a URL that a document names
//!    (`jwks_uri`, `token_endpoint`), only if the configured host itself resolves to private addresses alone: a
//!    public issuer cannot point into the cluster. A host that answers with both has only its public ones used.
//! 4. **Scheme.** `http` only where the configured URL says `http`. A document from an `https` URL names `https` only; a document
//!    that came by `http`, so that anybody on the way may have written it, names only its own host. No other schemes,
//!    no user name or password in a URL.
//! 5. **Redirects** are not followed; an answer 3xx is an error.
//! 6. **Credentials** ([`Credential`]) go to the one origin (scheme, host and port) they were configured for.
//! 7. **Bounds.** One deadline covers resolution, connection, handshake, headers and the last byte of the body. Bodies are
//!    counted while they stream; compressed ones are refused, since their length says nothing.
//!
//! `HTTP_PROXY` and its kin are not honoured: behind a proxy the address could not be judged.

mod address;
mod authority;
mod client;
mod connector;
mod credential;
mod dial;
mod freshness;
mod permit;
mod resolve;
mod tls;

pub use address::{Class, Reach, classify};
pub use authority::{AuthorityFile, BadAuthorityFile};
pub use client::{Answer, Client, Options, Request};
pub use connector::{Connector, Link};
pub use credential::{Bearer, Credential, TokenFile, TokenFileError};
pub use dial::{Dial, DialError};
pub use resolve::{Resolve, SystemResolver};
pub use tls::{BadTrust, Identity, Protocols, Roots, Trust};
