//! What tests rest on does what they rest on: the peers that testkit starts, and its store.

mod kubernetes;
mod memory;
