//! `cargo xtask docs`: the reference of commands, made of what the binary says itself, so that it cannot drift.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

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
    let mut page = String::from("# Commands\n\nMade by `cargo xtask docs` of what the binary says itself.\n");
    let help = says(&["--help"])?;
    for name in listed(&help) {
        let said = says(&[name, "--help"])?;
        write!(page, "\n## obol {name}\n\n```text\n{}\n```\n", trimmed(&said))?;
        for below in listed(&said) {
            let said = says(&[name, below, "--help"])?;
            write!(page, "\n### obol {name} {below}\n\n```text\n{}\n```\n", trimmed(&said))?;
        }
    }
    Ok(page)
}

/// The commands that a help text lists.
fn listed(help: &str) -> impl Iterator<Item = &str> {
    let lines = help.split("\nCommands:").nth(1).unwrap_or_default().lines().skip(1);
    // What is indented further is the rest of a description.
    let names = lines
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help")
}

/// The help without this machine's environment in it.
fn says(args: &[&str]) -> Result<String> {
    output(Command::new("target/debug/obol").args(args).env_clear().env("COLUMNS", "100"))
}

fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

const PAGE: &str = "docs/commands.md";
