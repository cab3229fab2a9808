//! `obol kubeconfig`: the entries by which kubectl finds its way to `obol get-token`.

pub(crate) mod entry;
mod migrate;

use anyhow::Context as _;
use client::{Kubeconfig, List, edit_kubeconfig};
use serde_json::Value;

use crate::door::Door;
use crate::kubeconfigs::{KubeconfigOption, Kubeconfigs};
use crate::terminal;

/// Write, remove and move over kubeconfig entries.
///
/// Only the entries that are named change; every other line of the file stays as it is, to the byte. The file is
/// replaced whole, under the lock that kubectl takes too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write a context, its cluster and a user who signs in by `obol get-token`, or change them
    Set(Box<Set>),
    /// Remove a context, and its cluster and user where no other context needs them
    Remove(Remove),
    /// Move users of kubelogin, and those that Gangway wrote, over to `obol get-token`
    Migrate(migrate::Args),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol kubeconfig set prod --server https://prod.example.com:6443 --cluster-ca ca.pem \\
    --issuer https://obol.example.com --client-id prod-cluster --extra-scope groups,offline_access

  Any further flag of get-token behind two dashes:
    obol kubeconfig set prod --issuer https://obol.example.com --client-id prod-cluster -- --grant-type=device-code")]
struct Set {
    /// The context; cluster and user get its name unless they are named
    name: String,
    #[command(flatten)]
    entry: entry::Entry,
    /// Leave the current context as it is
    #[arg(long)]
    no_switch: bool,
    /// Print a kubeconfig with these entries alone, instead of writing any
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    file: KubeconfigOption,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// The context
    name: String,
    #[command(flatten)]
    file: KubeconfigOption,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        match self.action {
            Action::Set(set) => set.run(door),
            Action::Remove(remove) => remove.run(door),
            Action::Migrate(migrate) => migrate.run(door),
        }
    }
}

impl Set {
    fn run(&self, door: &Door) -> anyhow::Result<()> {
        let files = self.file.open(door)?;
        let made = self.entry.make(&self.name, &files, door)?;
        if self.print {
            let mut alone = Kubeconfig::parse("")?;
            made.write_all(&mut alone)?;
            alone.set_current(&self.name)?;
            return door.print(alone.text());
        }
        let switch = !self.no_switch || files.current().is_none();
        let places = made.write(&files, switch)?;
        terminal::say(&format!("wrote the context {} to {places}", self.name));
        Ok(())
    }
}

impl Remove {
    fn run(&self, door: &Door) -> anyhow::Result<()> {
        let files = self.file.open(door)?;
        let name = self.name.as_str();
        let (_, context) =
            files.named(List::Contexts, name).with_context(|| format!("there is no context {name:?}"))?;
        let mut gone = vec![(List::Contexts, name.to_owned())];
        for (key, list) in [("user", List::Users), ("cluster", List::Clusters)] {
            let Some(named) = context.get(key).and_then(Value::as_str) else { continue };
            let of = |context: &Value| context.get(key).and_then(Value::as_str) == Some(named);
            let needed = files.items(List::Contexts).any(|(other, body)| other != name && of(body));
            if !needed && files.named(list, named).is_some() {
                gone.push((list, named.to_owned()));
            }
        }
        change(&files, |path, config| {
            for (list, named) in &gone {
                if files.place(*list, named) == path {
                    config.remove(*list, named)?;
                }
            }
            if config.current() == Some(name) { config.set_current("") } else { Ok(()) }
        })?;
        terminal::say(&format!("removed the context {name}"));
        Ok(())
    }
}

/// Changes every file that something may stand in.
fn change(
    files: &Kubeconfigs,
    mut change: impl FnMut(&std::path::Path, &mut Kubeconfig) -> Result<(), client::BadKubeconfig>,
) -> anyhow::Result<()> {
    for path in files.paths() {
        edit_kubeconfig(path, |config| change(path, config))?;
    }
    Ok(())
}
