//! Every backend passes the store's contract; what is particular to one is tested beside it.

#[cfg(test)] // so that clippy knows its helpers for test code
mod decoding;
#[cfg(test)] // so that clippy knows its helpers for test code
mod etcd;
mod faulty;
mod memory;
#[cfg(test)]
mod mysql;
#[cfg(test)] // so that clippy knows its helpers for test code
mod opening;
#[cfg(unix)]
#[cfg(test)]
mod postgres;
#[cfg(test)] // so that clippy knows its helpers for test code
mod servers;
#[cfg(test)] // so that clippy knows its helpers for test code
mod sqlite;
