//! The kubeconfigs that kubectl would read: a flag, KUBECONFIG's list, or the one in the home folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use client::{Kubeconfig, List};
use serde_json::Value;

use crate::door::Door;

/// All of them, in kubectl's order: of entries with one name, the first counts.
pub(crate) struct Kubeconfigs {
    files: Vec<(PathBuf, Kubeconfig)>,
    new_entries: PathBuf,
}

/// Which of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KubeconfigOption {
    /// The kubeconfig [default: as for kubectl, KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl KubeconfigOption {
    /// Reads them. Those that are not there are empty.
    pub(crate) fn open(&self, door: &Door) -> anyhow::Result<Kubeconfigs> {
        let paths = self.paths(door)?;
        // As kubectl does: the first that is there, else the last that is named.
        let there = paths.iter().find(|path| path.exists()).or(paths.last());
        let new_entries = there.cloned().context("no kubeconfig is named")?;
        let mut files = Vec::new();
        for path in paths.into_iter().filter(|path| path.exists()) {
            let read = || Ok::<_, anyhow::Error>(Kubeconfig::parse(std::fs::read_to_string(&path)?)?);
            let config = read().with_context(|| format!("{} cannot be read", path.display()))?;
            files.push((path, config));
        }
        Ok(Kubeconfigs { files, new_entries })
    }

    fn paths(&self, door: &Door) -> anyhow::Result<Vec<PathBuf>> {
        if let Some(path) = &self.kubeconfig {
            return Ok(vec![path.clone()]);
        }
        let listed = std::env::split_paths(door.environment.get("KUBECONFIG").unwrap_or_default());
        let listed = listed.filter(|path| !path.as_os_str().is_empty()).collect::<Vec<_>>();
        if !listed.is_empty() {
            return Ok(listed);
        }
        let home = door.home().context("there is no home folder with a kubeconfig: give --kubeconfig")?;
        Ok(vec![home.join(".kube/config")])
    }
}

impl Kubeconfigs {
    /// The context that is used when none is named.
    pub(crate) fn current(&self) -> Option<&str> {
        self.files.iter().find_map(|(_, config)| config.current())
    }

    /// What stands under a name, and in which file.
    pub(crate) fn named(&self, list: List, name: &str) -> Option<(&Path, &Value)> {
        self.files.iter().find_map(|(path, config)| Some((path.as_path(), config.named(list, name)?)))
    }

    /// Every entry of a list.
    pub(crate) fn items(&self, list: List) -> impl Iterator<Item = (&str, &Value)> {
        self.files.iter().flat_map(move |(_, config)| config.items(list))
    }

    /// The files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Where an entry stands, or would be written.
    pub(crate) fn place(&self, list: List, name: &str) -> &Path {
        self.named(list, name).map_or(&self.new_entries, |(path, _)| path)
    }

    /// Where `current-context` stands, or would be written.
    pub(crate) fn place_of_current(&self) -> &Path {
        let set = self.files.iter().find(|(_, config)| config.current().is_some());
        set.map_or(&self.new_entries, |(path, _)| path)
    }

    /// A context, its cluster and its user.
    pub(crate) fn context(&self, name: Option<&str>) -> anyhow::Result<Context<'_>> {
        let name = name.or_else(|| self.current()).context(
            "no context is named, and the kubeconfig has no current one: give a name, or write one with `obol login`",
        )?;
        let (_, context) = self
            .named(List::Contexts, name)
            .with_context(|| format!("the kubeconfig has no context {name:?}"))?;
        let of = |key: &str, list| {
            let named = context.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
            let named = named.with_context(|| format!("the context {name:?} names no {key}"))?;
            let found = self.named(list, named);
            found.with_context(|| format!("the kubeconfig has no {key} {named:?}"))
        };
        Ok(Context {
            name: name.to_owned(),
            cluster: of("cluster", List::Clusters)?,
            user: of("user", List::Users)?,
        })
    }
}

/// A context; paths in an entry are relative to the folder of its file.
pub(crate) struct Context<'a> {
    pub(crate) name: String,
    pub(crate) cluster: (&'a Path, &'a Value),
    pub(crate) user: (&'a Path, &'a Value),
}
