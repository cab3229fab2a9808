//! `obol policy`: what the exchange policies of a configuration do, without serving it.

mod explain;
mod test;

use crate::door::Door;

/// Run the tests of exchange policies, or explain a decision.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obol policy test config.yaml\n  obol policy explain config.yaml --client prod --connector gitlab --claims claims.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(test::Args),
    Explain(Box<explain::Args>),
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        match self.command {
            Command::Test(args) => args.run(door),
            Command::Explain(args) => (*args).run(door),
        }
    }
}
