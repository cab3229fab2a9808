//! The exchange over real TLS on the loopback, with time in the tests' hands.

// `cfg(test)` so that clippy knows their helpers for test code.
#[cfg(test)]
mod attempts;
#[cfg(test)]
mod cached;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod signing_in;
#[cfg(test)]
mod verifying;
#[cfg(test)]
mod world;
