//! Real programs that tests talk to. `cargo xtask test` installs them and says where they are; tests that need one
//! are `#[ignore = "peer: …"]`.
//!
//! Each is started on the loopback interface with folders of its own, and stopped when its value is dropped.

mod apiserver;
mod etcd;
mod kubectl;
mod mariadb;
mod node;
#[cfg(unix)]
mod postgres;
mod process;
mod samba;
mod slapd;

use std::io;
use std::path::PathBuf;

pub use apiserver::{ApiServer, OpenIdConnect, Options as ApiServerOptions};
pub use etcd::Etcd;
pub use kubectl::{Kubectl, Said};
pub use mariadb::MariaDb;
pub use node::node;
#[cfg(unix)]
pub use postgres::Postgres;
pub use process::{Process, free_port, until};
pub use samba::Samba;
pub use slapd::Slapd;

/// Where a peer stands: `place("KUBECTL")` is the value of `OBOL_PEER_KUBECTL`.
///
/// # Errors
/// If nobody said where: the test was not started by `cargo xtask test`.
pub fn place(peer: &str) -> io::Result<PathBuf> {
    let variable = format!("OBOL_PEER_{peer}");
    let advice =
        format!("{variable} is not set: run `cargo xtask test`, or `eval \"$(cargo xtask peers)\"` first");
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| io::Error::other(advice))
}
