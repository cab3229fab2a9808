//! `obol completions`: shell completion, generated from the command line itself.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::door::Door;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol completions bash > /etc/bash_completion.d/obol
  obol completions zsh > \"${fpath[1]}/_obol\"
  obol completions fish > ~/.config/fish/completions/obol.fish")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "obol", &mut script);
        door.print(&String::from_utf8(script)?)
    }
}
