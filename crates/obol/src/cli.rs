//! The frame of the command line: parsing, exit codes, and errors as one line that says what to do.

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::door::Door;
use crate::terminal;

/// Carries identities across borders: OpenID Connect provider, token exchange, Kubernetes proxy and kubectl plugin.
#[derive(Debug, Parser)]
#[command(
    name = "obol",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The command line is well formed and asks for something impossible: exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            let failed = told.use_stderr();
            let _ = told.print();
            return if failed { ExitCode::from(WRONG_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command.run(&Door::open()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&format!("error: {error:#}"));
            if error.is::<Usage>() { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// clap's own code for it.
const WRONG_USAGE: u8 = 2;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_stay_on_one_line() {
        assert_eq!(terminal::one_line("a\nerror: b\r\n  c\u{1b}[31m"), "a error: b c [31m");
    }
}
