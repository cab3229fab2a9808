//! `cargo xtask mutants`: does a test notice when the code that decides is changed?

use std::process::Command;

use anyhow::Result;

use crate::shell::run as run_command;
use crate::tools;

/// Where to change code.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Crates to change
    #[arg(long = "package", short, value_name = "CRATE", default_values_t = DECIDING.map(str::to_owned))]
    packages: Vec<String>,
    /// Only files that match this glob
    #[arg(long, value_name = "GLOB")]
    file: Vec<String>,
}

/// Changes one thing at a time; fails if a change survives the tests of the crate it is in.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Command::new(tools::cargo_mutants()?);
    command.args(["mutants", "--no-shuffle", "--cap-lints=true", "--timeout-multiplier", "5"]);
    for package in &args.packages {
        command.args(["--package", package]);
    }
    for file in &args.file {
        command.args(["--file", file]);
    }
    run_command(&mut command)
}

/// Where a wrong answer lets somebody in.
const DECIDING: [&str; 2] = ["token", "expr"];
