//! `cargo xtask docs`: the reference of commands, made of what the binary says itself, so that it cannot drift.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, output, run as run_command};

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only say whether the pages are as they would be made
    #[arg(long)]
    check: bool,
}

/// Writes the page, or compares it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let made = commands()?;
    if !args.check {
        return fs::write(PAGE, made).context(PAGE);
    }
    match fs::read_to_string(PAGE) {
        Ok(found) if found == made => Ok(()),
        _ => bail!("{PAGE} is not what the binary says: run `cargo xtask docs` and commit it"),
    }
}

/// Compares, for CI.
pub(crate) fn check() -> Result<()> {
    run(&Args { check: true })
}

fn commands() -> Result<String> {
    run_command(cargo().args(["build", "--quiet", "--locked", "--package", "obol"]))?;
    let help = says(&["--help"])?;
    let listed = help.split("Commands:").nth(1).context("`obol --help` lists no commands")?;
    let lines = listed.lines().skip(1).take_while(|line| !line.trim().is_empty());
    // What is indented further is the rest of a description.
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names: Vec<&str> =
        names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect();
    let mut page = String::from("# Commands\n\nMade by `cargo xtask docs` of what the binary says itself.\n");
    for name in names {
        let said = says(&[name, "--help"])?;
        write!(page, "\n## obol {name}\n\n```text\n{}\n```\n", trimmed(&said))?;
    }
    Ok(page)
}

/// The help without this machine's environment in it.
fn says(args: &[&str]) -> Result<String> {
    output(Command::new("target/debug/obol").args(args).env_clear().env("COLUMNS", "100"))
}

fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

const PAGE: &str = "docs/commands.md";
