//! The binary as its users meet it: one module a command.

// `cfg(test)` so that clippy knows their helpers for test code.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod get_token;
#[cfg(test)]
mod hash_password;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod login;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod run;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod world;
