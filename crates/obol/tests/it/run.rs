//! Runs the binary in an environment of its own.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// The binary with nothing of the developer's environment.
pub(crate) fn obol(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obol"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs it with `input` on stdin.
pub(crate) fn fed(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early may close its end first.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What it said on stdout.
pub(crate) fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// What it said on stderr.
pub(crate) fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
