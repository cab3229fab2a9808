//! Every backend passes the store's contract; what is particular to one is tested beside it.

#[cfg(test)] // so that clippy knows its helpers for test code
mod decoding;
mod faulty;
mod memory;
#[cfg(test)] // so that clippy knows its helpers for test code
mod sqlite;
