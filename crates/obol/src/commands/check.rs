//! `obol check`: what is wrong with a configuration.

use std::path::PathBuf;
use std::sync::Arc;

use ambient::{SystemClock, SystemRandom, Tasks};
use anyhow::Context as _;
use config::{Faults, Severity};

use crate::configuration::{self, Surroundings};
use crate::door::Door;

/// Check a configuration and run the tests of its policies.
///
/// Every fault is reported at once, with its line, its path and what to write instead. Policies are also compared with each
/// other: those that can never decide and those that overlap are warned of. Nothing is contacted.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obol check config.yaml\n  obol check --strict --json config.yaml | jq '.faults[].path'"
)]
pub(crate) struct Args {
    /// The configuration file (YAML)
    config: PathBuf,
    /// Keys that are not known are errors
    #[arg(long)]
    strict: bool,
    /// Print the faults as JSON on stdout
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.config)
            .with_context(|| format!("cannot read {}", self.config.display()))?;
        let faults = if self.strict { Faults::strict() } else { Faults::new() };
        let around = Surroundings {
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            tasks: Tasks::default(),
        };
        door.block_on(async {
            // Dropped at once: reading opens connectors, which contact nobody before they are asked.
            let listen = web::Instead::default();
            let read = configuration::read(&text, &self.config, &door.environment, &around, listen, &faults);
            if let Some(policies) = read.and_then(|read| read.provider.exchange) {
                policies.compare(&faults);
            }
            Ok(())
        })?;
        if self.json {
            door.print(&as_json(&faults))?;
        } else {
            configuration::report(&self.config, &faults);
        }
        let errors = faults.errors().len();
        if errors > 0 {
            anyhow::bail!(
                "{} has {errors} fault{}",
                self.config.display(),
                if errors == 1 { "" } else { "s" }
            );
        }
        if !self.json {
            crate::terminal::say(&format!("{} is good", self.config.display()));
        }
        Ok(())
    }
}

fn as_json(faults: &Faults) -> String {
    let one = |fault: &config::Fault| {
        serde_json::json!({
            "severity": if fault.severity == Severity::Error { "error" } else { "warning" },
            "file": fault.file, "path": fault.path, "line": fault.line, "column": fault.column, "what": fault.what, "instead": fault.instead,
        })
    };
    serde_json::json!({ "faults": faults.all().iter().map(one).collect::<Vec<_>>(), "unsupported": faults.unsupported() }).to_string()
}
