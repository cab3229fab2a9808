//! `obol login`: the first time, and every time after a session has ended.

use serde_json::Value;

use crate::commands::kubeconfig::entry::{Entry, plugin};
use crate::commands::whoami;
use crate::door::Door;
use crate::kubeconfigs::KubeconfigOption;
use crate::terminal;

/// Sign in, write the kubeconfig entry, and show who the cluster thinks you are.
///
/// With --issuer and --client-id, the entry is written once the sign-in has worked. Without, somebody signs in by the
/// entry that is there already. Nothing is written that the sign-in did not prove.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol login prod --server https://prod.example.com:6443 --cluster-ca ca.pem \\
    --issuer https://obol.example.com --client-id prod-cluster --extra-scope groups,offline_access
  obol login prod
  obol login")]
pub(crate) struct Args {
    /// The context [default: the current one]
    name: Option<String>,
    #[command(flatten)]
    entry: Entry,
    /// Leave the current context as it is
    #[arg(long)]
    no_switch: bool,
    #[command(flatten)]
    file: KubeconfigOption,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let files = self.file.open(door)?;
        if self.entry.is_given() {
            let name = self.name.as_deref().unwrap_or("obol");
            let made = self.entry.make(name, &files, door)?;
            plugin(&made.arguments)?.issued(door, None)?;
            let places = made.write(&files, !self.no_switch)?;
            terminal::say(&format!("signed in; wrote the context {name} to {places}"));
            return self.show(door, Some(name));
        }
        let context = files.context(self.name.as_deref())?;
        let arguments = context.user.1.pointer("/exec/args").and_then(Value::as_array);
        let arguments = arguments.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let arguments = arguments.collect::<Vec<_>>();
        anyhow::ensure!(
            arguments.first().is_some_and(|first| first == "get-token"),
            "the user of the context {:?} does not sign in by obol get-token: give --issuer and --client-id, or move it \
             over with `obol kubeconfig migrate`",
            context.name
        );
        plugin(&arguments)?.issued(door, None)?;
        terminal::say(&format!("signed in to the context {}", context.name));
        let name = context.name.clone();
        self.show(door, Some(&name))
    }

    /// A cluster that cannot be reached takes nothing away from the sign-in.
    fn show(&self, door: &Door, name: Option<&str>) -> anyhow::Result<()> {
        match whoami::look(door, &self.file.open(door)?, name) {
            Ok(report) => door.print(&report.text()),
            Err(error) => {
                terminal::say(&format!("the cluster does not say who you are: {error:#}"));
                Ok(())
            }
        }
    }
}
