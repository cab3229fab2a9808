//! `cargo xtask test`: the hermetic tests, then those against real peers, then one line with the count.

use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::peers::{self, Pending};
use crate::shell::{cargo, step};
use crate::sweep::THIS_RUN;

/// What to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only tests whose path contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Only the tests that need nothing but Rust
    #[arg(long, conflicts_with = "peers_only")]
    hermetic: bool,
    /// Only the tests against real peers
    #[arg(long)]
    peers_only: bool,
}

/// Runs it all; fails if a test did, or if there was none.
pub(crate) fn run(args: &Args) -> Result<()> {
    // The API server's build takes minutes: it goes on while cargo compiles.
    let pending = (!args.hermetic).then(peers::begin);
    run_beside(args, pending)
}

/// The same, with an installation that was begun earlier.
pub(crate) fn run_beside(args: &Args, pending: Option<Pending>) -> Result<()> {
    let count = count(args, pending)?;
    println!("{count}");
    if count.failed > 0 {
        bail!("{} tests failed", count.failed);
    }
    if count.passed == 0 {
        bail!("no test was run");
    }
    Ok(())
}

fn count(args: &Args, pending: Option<Pending>) -> Result<Count> {
    let mut count = Count::default();
    // A test binary that does not compile is an error of its own, not a failed test.
    step("compile", || {
        let mut build = cargo();
        build.args(["build", "--workspace", "--all-targets", "--locked"]);
        crate::shell::run(&mut build)
    })?;
    if !args.peers_only {
        step("hermetic tests", || {
            let mut command = test_command(args);
            count.add(&mut command, &mut stdout())
        })?;
    }
    if let Some(pending) = pending {
        let places = step("wait for the peers", || pending.finish())?;
        count.ignored = 0;
        step("tests against real peers", || {
            let mut command = test_command(args);
            command.envs(places.variables()).args(["--", "--ignored"]);
            count.add(&mut command, &mut stdout())
        })?;
    }
    Ok(count)
}

fn test_command(args: &Args) -> Command {
    let mut command = cargo();
    command.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(&args.only);
    THIS_RUN.put_on(&mut command);
    command
}

/// How many tests there were.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    /// Left out: what `--hermetic` does not run.
    ignored: u64,
}

impl Count {
    /// Runs a `cargo test`, shows its output, and adds up its result lines.
    fn add(&mut self, command: &mut Command, shown: &mut impl Write) -> Result<()> {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().context("cargo test")?;
        let before = self.failed;
        let out = child.stdout.take().context("cargo test has no output")?;
        for line in BufReader::new(out).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            self.add_line(&line);
            writeln!(shown, "{line}")?;
        }
        let status = child.wait()?;
        if !status.success() && self.failed == before {
            // A test binary that was killed prints no result line: that is a failure all the same.
            self.failed += 1;
            eprintln!("[xtask] cargo test ended with {status} without counting a failed test");
        }
        Ok(())
    }

    /// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
    fn add_line(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let counted = result.split_once(". ").map_or("", |(_, counted)| counted);
        for part in counted.split("; ") {
            match part.split_once(' ').and_then(|(number, what)| Some((number.parse::<u64>().ok()?, what))) {
                Some((number, "passed")) => self.passed += number,
                Some((number, "failed")) => self.failed += number,
                Some((number, "ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 { write!(f, ", {} skipped", self.ignored) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.00s",
            "  test result: ok. 9 passed; 9 failed; 9 ignored",
        ] {
            count.add_line(line);
        }
        assert_eq!(count, Count { passed: 3, failed: 3, ignored: 1 });
        assert_eq!(count.to_string(), "3 passed, 3 failed, 1 skipped");
        count.ignored = 0;
        assert_eq!(count.to_string(), "3 passed, 3 failed");
    }

    #[test]
    fn a_run_that_dies_uncounted_is_a_failure() {
        let mut count = Count::default();
        let mut shown = Vec::new();
        let mut dying = Command::new("sh");
        dying.args(["-c", "echo 'test result: ok. 1 passed; 0 failed'; exit 101"]);
        count.add(&mut dying, &mut shown).unwrap();
        assert_eq!(shown, b"test result: ok. 1 passed; 0 failed\n");
        assert_eq!(count, Count { passed: 1, failed: 1, ignored: 0 });
    }
}
