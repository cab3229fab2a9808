//! Bans, licences and sources of other people's crates, by the lists in deny.toml.
//!
//! `cargo deny check bans licenses sources` reads the same file and says the same; this needs no five minutes to
//! build it and no network, so it runs on every submission.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::metadata::{Metadata, Package};

/// `cargo xtask deny`
pub(crate) fn run() -> Result<()> {
    let lists: Table = std::fs::read_to_string(LISTS).context(LISTS)?.parse().context(LISTS)?;
    let targets = strings(&lists, "graph", "targets");
    let metadata = Metadata::read(&targets)?.without_unused(&targets)?;
    let banned = strings(&lists, "bans", "deny");
    let allowed = strings(&lists, "licenses", "allow").into_iter().collect();
    let foreign = || metadata.packages.values().filter(|package| package.source.is_some());
    let mut violations = Vec::new();
    for package in foreign() {
        let Package { name, version, .. } = package;
        if banned.contains(name) {
            let users = users(&metadata, name);
            violations.push(format!("{name} {version}: banned by {LISTS}; brought in by {users}"));
        }
        if !package.source.as_deref().is_some_and(is_public_registry) {
            violations.push(format!("{name} {version}: does not come from crates.io"));
        }
        match &package.license {
            None => violations.push(format!("{name} {version}: names no licence")),
            Some(license) if !License(license).is_covered_by(&allowed) => {
                violations.push(format!("{name} {version}: licence {license} is not covered by {LISTS}"));
            }
            Some(_) => {}
        }
    }
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations of {LISTS}", violations.len());
    }
    println!("deny: {} crates pass bans, licences and sources", foreign().count());
    Ok(())
}

/// An SPDX expression in the forms that crates.io holds: `OR`, `AND`, `WITH`, parentheses, and the old `/`.
struct License<'a>(&'a str);

impl License<'_> {
    fn is_covered_by(&self, allowed: &BTreeSet<String>) -> bool {
        let spaced = self.0.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let covered = either(&mut words, allowed);
        covered && words.peek().is_none()
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut covered = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        covered |= both(words, allowed);
    }
    covered
}

fn both(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut covered = single(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        covered &= single(words, allowed);
    }
    covered
}

fn single(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => either(words, allowed) && words.next() == Some(")"),
        Some(name) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
            Some(exception) => allowed.contains(&format!("{name} WITH {exception}")),
            None => allowed.contains(name),
        },
        None => false,
    }
}

/// Who depends on a crate of that name, to say where to look.
fn users(metadata: &Metadata, name: &str) -> String {
    let uses = |package: &&Package| {
        metadata.names(&package.normal).contains(name) || metadata.names(&package.dev).contains(name)
    };
    metadata
        .packages
        .values()
        .filter(uses)
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn is_public_registry(source: &str) -> bool {
    source.starts_with("registry+") && source.ends_with("/crates.io-index")
}

/// A list of strings, or of tables whose `crate` or `name` is meant.
fn strings(lists: &Table, section: &str, key: &str) -> Vec<String> {
    let list = lists.get(section).and_then(|section| section.get(key)).and_then(Value::as_array);
    let name = |entry: &Value| {
        let text =
            entry.as_str().or_else(|| entry.get("crate")?.as_str()).or_else(|| entry.get("name")?.as_str());
        text.map(str::to_owned)
    };
    list.into_iter().flatten().filter_map(name).collect()
}

const LISTS: &str = "deny.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_spdx_says() {
        let allowed = ["MIT", "ISC", "Unicode-3.0"].map(str::to_owned).into();
        for yes in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 / MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "GPL-3.0 OR MIT AND ISC",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert!(License(yes).is_covered_by(&allowed), "{yes}");
        }
        for no in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MIT WITH Odd-exception",
            "(MIT",
            "MIT ISC",
            "(MIT OR ISC) AND GPL-3.0",
            "MIT AND",
        ] {
            assert!(!License(no).is_covered_by(&allowed), "{no}");
        }
    }

    #[test]
    fn only_the_public_registry_is_a_source() {
        assert!(is_public_registry("registry+https://example.com/crates.io-index"));
        assert!(!is_public_registry("git+https://example.com/x"));
        assert!(!is_public_registry("registry+https://example.com/other"));
    }
}
