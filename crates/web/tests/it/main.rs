//! The routes, entered by HTTP.
//!
//! `cfg(test)` at each so that clippy knows their helpers for test code.

#[cfg(test)]
mod canary;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod introspect;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod login;
#[cfg(test)]
mod site;
#[cfg(test)]
mod theme;
#[cfg(test)]
mod token;
#[cfg(test)]
mod userinfo;
