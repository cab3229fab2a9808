//! `cargo xtask ci`: what a submission must pass, in the order in which mistakes are cheapest to find.

use anyhow::Result;

use crate::shell::{cargo, run as run_command, step};
use crate::{arrows, dependencies, docs, peers, test};

/// Runs all checks, then all tests.
pub(crate) fn run() -> Result<()> {
    let pending = peers::begin();
    step("formatting", || run_command(cargo().args(["fmt", "--all", "--check"])))?;
    step("arrows", arrows::run)?;
    step("dependencies", dependencies::run)?;
    step("lints", || {
        let mut clippy = cargo();
        clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
        run_command(&mut clippy)
    })?;
    step("reference pages", docs::check)?;
    test::run_beside(&test::Args::default(), Some(pending))
}
