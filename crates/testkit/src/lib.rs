//! Development only: time and chance that tests hold in their hands, certificates, servers, upstreams that can be told
//! to misbehave, and real peers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate runs in tests alone, where a panic is the report"
)]

pub mod clock;
pub mod conformance;
pub mod faulty;
pub mod github;
pub mod issuer;
pub mod memory;
pub mod peers;
pub mod random;
pub mod serve;
pub mod stage;
pub mod tls;
pub mod upstream;

pub use clock::FakeClock;
pub use faulty::{Fault, FaultyStore, Gate, Verb};
pub use issuer::{Alg, Issuer, TestKey};
pub use memory::MemoryStore;
pub use random::SeededRandom;
pub use serve::{Line, Server, TestBody};
pub use stage::Stage;
pub use tls::{Leaf, TestCa};
pub use upstream::Upstream;
