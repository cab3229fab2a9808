//! The house keeps its shape: dependencies between crates, and the doors to certain libraries, are those that
//! ARCHITECTURE.md lists in its fenced blocks `arrows` and `gates`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use crate::metadata::{Metadata, Package};

/// `crate → what may follow`, from one fenced block.
type Table = BTreeMap<String, BTreeSet<String>>;

/// `cargo xtask arrows`
pub(crate) fn run() -> Result<()> {
    let text = std::fs::read_to_string(DOCUMENT).context(DOCUMENT)?;
    let (arrows, gates) = (block(&text, "arrows")?, block(&text, "gates")?);
    let metadata = Metadata::read(&[])?;
    let mut violations = Vec::new();
    for member in metadata.members() {
        check_arrows(&metadata, member, &arrows, &mut violations);
        check_gates(&metadata, member, &gates, &mut violations);
    }
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} dependencies are not in {DOCUMENT}", violations.len());
    }
    println!("arrows: {} crates as {DOCUMENT} says", metadata.members().count());
    Ok(())
}

fn check_arrows(metadata: &Metadata, member: &Package, arrows: &Table, violations: &mut Vec<String>) {
    let name = &member.name;
    let Some(allowed) = arrows.get(name) else {
        violations.push(format!("{name}: has no line in the arrows of {DOCUMENT}"));
        return;
    };
    let siblings: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let normal = metadata.names(&member.normal);
    for target in normal.intersection(&siblings).filter(|target| !allowed.contains(**target)) {
        violations.push(format!("{name} -> {target}: not an arrow"));
    }
    // Tests may stand on testkit and on what testkit itself stands on.
    let empty = BTreeSet::new();
    let testkit = arrows.get(TESTKIT).unwrap_or(&empty);
    for target in metadata.names(&member.dev).intersection(&siblings) {
        let is_known = *target == TESTKIT || allowed.contains(*target) || testkit.contains(*target);
        if !is_known && target != name {
            violations.push(format!(
                "{name} -> {target}: tests may add {TESTKIT} and what that stands on, no more"
            ));
        }
    }
}

/// A gated library is used by the crates that its line names and by no others; tests too keep out.
fn check_gates(metadata: &Metadata, member: &Package, gates: &Table, violations: &mut Vec<String>) {
    let used = member.normal.union(&member.dev).cloned().collect();
    for library in metadata.names(&used) {
        if let Some(doors) = gates.get(library).filter(|doors| !doors.contains(&member.name)) {
            let doors = doors.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            violations.push(format!("{} -> {library}: only {doors} may use it", member.name));
        }
    }
}

/// Reads the lines `name -> a, b` of one fenced block.
fn block(text: &str, kind: &str) -> Result<Table> {
    let fence = format!("```{kind}");
    let mut lines = text.lines().skip_while(|line| line.trim_end() != fence).skip(1).peekable();
    if lines.peek().is_none() {
        bail!("{DOCUMENT} has no block {fence}");
    }
    let mut table = Table::new();
    for line in lines.take_while(|line| !line.starts_with("```")).filter(|line| !line.trim().is_empty()) {
        let (name, targets) =
            line.split_once("->").with_context(|| format!("{DOCUMENT}: no arrow in {line:?}"))?;
        let targets =
            targets.split(',').map(|target| target.trim().to_owned()).filter(|target| !target.is_empty());
        if table.insert(name.trim().to_owned(), targets.collect()).is_some() {
            bail!("{DOCUMENT}: {} has two lines", name.trim());
        }
    }
    Ok(table)
}

const DOCUMENT: &str = "ARCHITECTURE.md";
const TESTKIT: &str = "testkit";

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, normal: &[&str], dev: &[&str]) -> (String, Package) {
        let ids = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let package = Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: None,
            source: (name == "sqlx").then(|| "registry".to_owned()),
            normal: ids(normal),
            dev: ids(dev),
        };
        (name.to_owned(), package)
    }

    fn violations(packages: Vec<(String, Package)>) -> Vec<String> {
        let text = "# x\n```arrows\na ->\nb -> a\ntestkit -> a\n```\n```gates\nsqlx -> b\n```\n";
        let (arrows, gates) = (block(text, "arrows").unwrap(), block(text, "gates").unwrap());
        let metadata = Metadata { packages: packages.into_iter().collect() };
        let mut found = Vec::new();
        for member in metadata.members() {
            check_arrows(&metadata, member, &arrows, &mut found);
            check_gates(&metadata, member, &gates, &mut found);
        }
        found
    }

    #[test]
    fn what_is_listed_passes() {
        let house = vec![
            package("a", &[], &["testkit"]),
            package("b", &["a", "sqlx"], &["testkit"]),
            package("testkit", &["a"], &[]),
            package("sqlx", &[], &[]),
        ];
        assert_eq!(violations(house), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_listed_is_named() {
        let house = vec![
            package("a", &["b"], &["sqlx"]),
            package("b", &[], &["c"]),
            package("c", &[], &[]),
            package("sqlx", &[], &[]),
        ];
        let found = violations(house);
        assert_eq!(found.len(), 4, "{found:?}");
        for part in ["a -> b: not an arrow", "a -> sqlx: only b", "b -> c: tests may add", "c: has no line"] {
            assert!(found.iter().any(|line| line.starts_with(part)), "{part}: {found:?}");
        }
    }
}
