//! Keys, signatures and verification; the only maker of `Verified`.
//!
//! A token enters as [`UnverifiedJwt`], passes a [`Verifier`] that binds a trust entry's [`Keys`] to what it
//! [`Expect`]s, and leaves as [`Verified`] for one [`Purpose`]. Tokens of Obol's own are made by [`sign_jwt`] with a
//! [`Signer`] from the [`KeyRing`].

mod alg;
mod expect;
mod jwk;
mod keys;
mod keyset;
mod local;
mod pem;
mod pool;
mod purpose;
mod rejected;
mod remote;
mod ring;
mod rotation;
mod signer;
mod unverified;
mod verified;
mod verify;
mod verifying;

pub use alg::{Alg, AlgSet};
pub use expect::{Audience, Expect};
pub use jwk::thumbprint;
pub use keys::Keys;
pub use keyset::{BadKeySet, KeySet, MAX_KEY_SET, MAX_KEYS};
pub use local::{BadPrivateKey, LocalSigner};
pub use pool::SigningPool;
pub use purpose::{
    ActorToken, ClientAssertion, ClientSide, IdentityGrant, OwnAccessToken, OwnIdHint, OwnIdToken,
    OwnSubjectToken, ProxyCaller, Purpose, SignedInAccessToken, SignedInIdToken, SubjectToken, Untyped,
    UpstreamIdToken, UpstreamLogout,
};
pub use rejected::{Excerpt, Rejected};
pub use remote::{Health, Pace, RemoteKeys, Source, Unavailable, discover};
pub use ring::KeyRing;
pub use rotation::{RingKey, RingState, Schedule, Stage, Step};
pub use signer::{SignError, Signer, sign_jwt};
pub use unverified::UnverifiedJwt;
pub use verified::{Trust, Verified};
pub use verify::Verifier;
pub use verifying::{UnusableKey, VerifyingKey};
