//! One door for developers and CI: `cargo xtask`. What it runs by hand, CI runs too.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to its terminal")]
#![expect(
    clippy::disallowed_methods,
    reason = "measures programs by the wall clock and reads the environment; none of it is in the product"
)]

mod arrows;
mod bench;
mod ci;
mod dependencies;
mod docs;
mod fuzz;
mod metadata;
mod mutants;
mod peers;
mod shell;
mod sweep;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// One door for developers and CI.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Door {
    /// Everything: hermetic tests, then the tests against real peers, which are installed when missing
    Test(test::Args),
    /// Install the peers and print the variables that tell tests where they are: `eval "$(cargo xtask peers)"`
    Peers,
    /// Check the dependencies between crates against ARCHITECTURE.md
    Arrows,
    /// Check bans, licences and sources of other people's crates against deny.toml, without the network
    Deny,
    /// Measure the server from outside: exchange against bare signatures, latency, memory, start, size
    Bench(bench::Args),
    /// Run the fuzz targets for a while
    Fuzz(fuzz::Args),
    /// Change the code that decides, one thing at a time, and see whether a test notices
    Mutants(mutants::Args),
    /// Write the reference pages that are made of the binary itself
    Docs(docs::Args),
    /// What a submission must pass: formatting, lints, arrows, dependencies, all tests
    Ci,
}

fn main() -> ExitCode {
    let outcome = Door::parse().enter();
    for program in sweep::THIS_RUN.sweep() {
        eprintln!("[xtask] stopped what was left running: {program}");
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Door {
    fn enter(&self) -> Result<()> {
        std::env::set_current_dir(root()?)?;
        match self {
            Self::Test(args) => test::run(args),
            Self::Peers => {
                print!("{}", peers::install()?.as_shell());
                Ok(())
            }
            Self::Arrows => arrows::run(),
            Self::Deny => dependencies::run(),
            Self::Bench(args) => bench::run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Mutants(args) => mutants::run(args),
            Self::Docs(args) => docs::run(args),
            Self::Ci => ci::run(),
        }
    }
}

/// The repository. Cargo says where xtask stands; the path it was compiled at may be another worktree's.
fn root() -> Result<PathBuf> {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
    Ok(PathBuf::from(manifest).join(".."))
}
