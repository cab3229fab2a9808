//! `cargo xtask mutants`: does a test notice when the code that decides is changed?

use std::process::Command;

use anyhow::Result;

use crate::shell::run as run_command;
use crate::tools;

/// Where to change code.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only files that match this glob; more than one may be given
    #[arg(long, value_name = "GLOB", default_values_t = DECIDING.map(str::to_owned))]
    file: Vec<String>,
    /// One part of several, as `1/4`: for several machines, or several evenings
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<String>,
}

/// Changes one thing at a time; fails if a change survives the tests of the crate it is in.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Command::new(tools::cargo_mutants()?);
    command.args(["mutants", "--no-shuffle", "--cap-lints=true", "--timeout-multiplier", "5"]);
    for file in &args.file {
        command.args(["--file", file]);
    }
    if let Some(shard) = &args.shard {
        command.args(["--shard", shard]);
    }
    run_command(&mut command)
}

/// Where a wrong answer lets somebody in.
const DECIDING: [&str; 5] = [
    "crates/token/src/**",
    "crates/expr/src/**",
    "crates/provider/src/grants/**",
    "crates/provider/src/policy/**",
    "crates/proxy/src/guard.rs",
];
