//! The provider's rules, entered as the web layer enters them.
//!
//! `cfg(test)` at each so that clippy knows their helpers for test code.

#[cfg(test)]
mod code;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod device;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod front;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod login;
#[cfg(test)]
mod own_tokens;
#[cfg(test)]
mod password;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod reserved;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod single_use;
#[cfg(test)]
mod sweeping;
#[cfg(test)]
mod unheard;
#[cfg(test)]
mod ways;
