//! `obol policy test`: the policies' own tests, and nothing else of the configuration.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use config::{Faults, KeyStyle};
use provider::policy::written::{Policies, Tested};

use crate::configuration;
use crate::door::Door;
use crate::terminal;

/// Run the tests of exchange policies.
///
/// CONFIG is a configuration, or a file of policies alone. The exit code is 0 if every test came out as it expects.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obol policy test config.yaml\n  obol policy test policies.d/gitlab.yaml --output json | jq '.[] | select(.failure)'"
)]
pub(crate) struct Args {
    /// The configuration, or a file of policies (YAML)
    config: PathBuf,
    /// How to print the outcome
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let shown = self.config.display().to_string();
        let text = std::fs::read_to_string(&self.config).with_context(|| format!("cannot read {shown}"))?;
        let faults = Faults::new();
        let tested = config::parse_file(&text, &shown, &faults).map(|root| {
            let fields = root.fields(KeyStyle::Dex, &faults);
            // A file that a configuration lists holds the policies at its top.
            let section = if fields.is_written("tokenExchange") || !fields.is_written("policies") {
                root.fields(KeyStyle::Dex, &faults).section("tokenExchange")
            } else {
                root.clone()
            };
            Policies::read_tested(&section, &faults).1
        });
        let tested = tested.unwrap_or_default();
        if tested.is_empty() {
            configuration::report(&self.config, &faults);
            if faults.has_errors() {
                bail!("{shown} has faults; see above");
            }
            bail!("no policy of {shown} has a test; write tests below each: claims, and what to expect");
        }
        match self.output {
            Output::Table => door.print(&table(&tested))?,
            Output::Json => door.print(&serde_json::to_string_pretty(&tested)?)?,
        }
        let failed = tested.iter().filter(|tested| tested.failure.is_some()).count();
        if failed > 0 {
            bail!("{failed} of {} tests failed", tested.len());
        }
        terminal::say(&format!("{} tests passed", tested.len()));
        Ok(())
    }
}

fn table(tested: &[Tested]) -> String {
    let width = |of: fn(&Tested) -> usize, least: usize| tested.iter().map(of).max().unwrap_or(0).max(least);
    let policies = width(|tested| tested.policy.chars().count(), 6);
    let expects = width(|tested| tested.expects.chars().count(), 7);
    let mut out = format!("{:policies$}  {:>5}  {:expects$}  RESULT\n", "POLICY", "LINE", "EXPECTS");
    for tested in tested {
        let result = tested.failure.as_ref().map_or("passed".into(), |why| format!("FAILED: {why}"));
        let result = terminal::one_line(&result);
        let (policy, expected) = (&tested.policy, terminal::one_line(&tested.expects));
        let _ = writeln!(out, "{policy:policies$}  {:>5}  {expected:expects$}  {result}", tested.line);
    }
    out
}
