//! Signing in at an issuer that the test plays, with the test as the browser too.

mod devices;
mod landings;
mod sessions;
mod stage;
