//! `docs/configuration.md` against the program: each key that is read stands there, with the test that shows its effect.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use config::Kind;

use super::*;

/// Every key that a configuration may hold, and what it takes.
fn rehearse() -> BTreeMap<String, Kind> {
    let (clock, random) = (Arc::new(SystemClock::default()), Arc::new(SystemRandom));
    let around = Surroundings { clock, random, tasks: Tasks::default() };
    let (faults, environment) = (Faults::rehearsal(), Environment::default());
    // Sections that are looked for before they are read, and an issuer, since without one nothing is opened.
    let text = "issuer: https://obol.example.com\nsealing: {}\ntokenExchange: {}\nadmin: {}\n";
    let _ = read(text, Path::new("config.yaml"), &environment, &around, web::Instead::default(), &faults);
    stores::rehearse(&faults);
    connectors::rehearse(&faults, &context("https://obol.example.com".into(), &around));
    faults.known_keys().into_iter().map(|key| (key.pattern, key.kind)).collect()
}

/// A line of the table.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    from: String,
    shown_by: String,
}

/// The lines of the page's tables.
fn rows() -> BTreeMap<String, Row> {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let [key, kind, from, shown_by] =
            cells.try_into().unwrap_or_else(|_| panic!("not four cells: {line}"));
        assert!(rows.insert(key, Row { kind, from, shown_by }).is_none(), "twice: {line}");
    }
    rows
}

#[tokio::test]
async fn every_key_stands_in_the_table_as_it_is_read() {
    let (known, rows) = (rehearse(), rows());
    let mut wrong = String::new();
    for (key, kind) in known.iter().filter(|(_, kind)| !holds_keys(**kind)) {
        match rows.get(key) {
            Some(row) if row.kind == name(*kind) => {}
            Some(row) => writeln!(wrong, "is a {}, not a {}: {key}", name(*kind), row.kind).unwrap(),
            None => writeln!(wrong, "missing: | `{key}` | {} | Dex | untested |", name(*kind)).unwrap(),
        }
    }
    for key in rows.keys().filter(|key| known.get(*key).is_none_or(|kind| holds_keys(*kind))) {
        writeln!(wrong, "no key of the program: {key}").unwrap();
    }
    assert!(wrong.is_empty(), "docs/configuration.md:\n{wrong}");
}

#[test]
fn every_test_that_the_table_names_exists() {
    let tests = sources();
    let mut wrong = String::new();
    for (key, row) in rows() {
        if !matches!(row.from.as_str(), "Dex" | "Obol") {
            writeln!(wrong, "{key} is from {:?}", row.from).unwrap();
        }
        let without_effect = row.kind == UNSUPPORTED;
        let exists = match row.shown_by.as_str() {
            UNSUPPORTED => without_effect,
            "untested" => !without_effect,
            test => !without_effect && tests.contains(&format!("fn {test}(")),
        };
        if !exists {
            writeln!(wrong, "{key}: no such test, or not the truth: {}", row.shown_by).unwrap();
        }
    }
    assert!(wrong.is_empty(), "docs/configuration.md:\n{wrong}");
}

/// All sources that hold tests.
fn sources() -> String {
    let (mut all, mut folders) = (String::new(), vec![root().join("crates")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Keys that only hold others say nothing themselves.
fn holds_keys(kind: Kind) -> bool {
    matches!(kind, Kind::Section | Kind::List(Kind::Section) | Kind::Map(Kind::Section))
}

fn name(kind: Kind) -> String {
    match kind {
        Kind::String => "text".into(),
        Kind::Secret => "secret".into(),
        Kind::Bool => "true or false".into(),
        Kind::Integer => "number".into(),
        Kind::Duration => "duration".into(),
        Kind::Url => "URL".into(),
        Kind::Base64 => "base64".into(),
        Kind::Word => "word".into(),
        Kind::Section => "section".into(),
        Kind::List(of) => format!("list of {}", name(*of)),
        Kind::Map(of) => format!("map of {}", name(*of)),
        Kind::Any => "value".into(),
        Kind::Unsupported => UNSUPPORTED.into(),
    }
}

/// Accepted without effect.
const UNSUPPORTED: &str = "unsupported";
