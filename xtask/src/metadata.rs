//! `cargo metadata`, reduced to what the checks read.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell::{cargo, output};

/// The packages that are really built, by id.
pub(crate) struct Metadata {
    pub(crate) packages: BTreeMap<String, Package>,
}

/// One package.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression, as its makers wrote it.
    pub(crate) license: Option<String>,
    /// `None`: of this workspace.
    pub(crate) source: Option<String>,
    /// Ids of what it is built with, under the features that are on.
    pub(crate) normal: BTreeSet<String>,
    /// The same for its tests alone.
    pub(crate) dev: BTreeSet<String>,
}

impl Metadata {
    /// Asks cargo, for the given targets (none: all that there are).
    pub(crate) fn read(targets: &[String]) -> Result<Self> {
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--locked"]);
        for target in targets {
            command.args(["--filter-platform", target]);
        }
        let raw: Value = serde_json::from_str(&output(&mut command)?)?;
        let mut described: BTreeMap<&str, &Value> = list(&raw, "packages")
            .iter()
            .filter_map(|package| Some((text(package, "id")?, package)))
            .collect();
        let nodes = raw.get("resolve").context("cargo metadata: no resolve")?;
        let mut packages = BTreeMap::new();
        for node in list(nodes, "nodes") {
            let id = text(node, "id").context("cargo metadata: a node without id")?;
            let package =
                described.remove(id).with_context(|| format!("cargo metadata: {id} is not described"))?;
            packages.insert(id.to_owned(), Package::from_parts(package, node));
        }
        Ok(Self { packages })
    }

    /// Drops what the lock file holds and no build uses: cargo's metadata counts a dependency in whose name only a
    /// weak feature (`ring?/std`) is on; `cargo tree` does not.
    pub(crate) fn without_unused(mut self, targets: &[String]) -> Result<Self> {
        let mut command = cargo();
        command.args([
            "tree",
            "--workspace",
            "--locked",
            "--edges",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]);
        for target in targets {
            command.args(["--target", target]);
        }
        let tree = output(&mut command)?;
        let used: BTreeSet<_> = tree
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, rest)| {
                (name, rest.split_whitespace().next().unwrap_or_default().trim_start_matches('v'))
            })
            .collect();
        self.packages.retain(|_, package| used.contains(&(package.name.as_str(), package.version.as_str())));
        Ok(self)
    }

    /// The crates of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.source.is_none())
    }

    /// The names behind ids.
    pub(crate) fn names<'s>(&'s self, ids: &BTreeSet<String>) -> BTreeSet<&'s str> {
        ids.iter().filter_map(|id| self.packages.get(id)).map(|package| package.name.as_str()).collect()
    }
}

impl Package {
    fn from_parts(package: &Value, node: &Value) -> Self {
        let of_kind = |wanted: &[Option<&str>]| {
            let is_wanted =
                |dep: &&Value| list(dep, "dep_kinds").iter().any(|kind| wanted.contains(&text(kind, "kind")));
            let deps = list(node, "deps").iter().filter(is_wanted);
            deps.filter_map(|dep| text(dep, "pkg")).map(str::to_owned).collect()
        };
        Self {
            name: text(package, "name").unwrap_or_default().to_owned(),
            version: text(package, "version").unwrap_or_default().to_owned(),
            license: text(package, "license").map(str::to_owned),
            source: text(package, "source").map(str::to_owned),
            normal: of_kind(&[None, Some("build")]),
            dev: of_kind(&[Some("dev")]),
        }
    }
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}
