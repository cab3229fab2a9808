//! What is handed in, never reached for: time, chance, tasks, secrets, observers and documents from afar.
//!
//! Code that takes these as values can be tested without waiting, replayed from a seed and shut down whole.
//! `clippy.toml` bans the globals they stand for.

mod clock;
mod fetch;
mod observe;
mod random;
mod secret;
mod tasks;

pub use clock::{Clock, SystemClock, Time};
pub use fetch::{Fetch, FetchError, Fetched, Want};
pub use observe::{Ignore, Observer};
pub use random::{Random, RandomExt, SystemRandom};
pub use secret::Secret;
pub use tasks::{Lost, Tasks};

/// A boxed future: the one alias that every object-safe asynchronous seam uses.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
