//! Tests that docs/cel.md lists every function as the table has it, and that every function is called in a test.

use std::fmt::Write;

use crate::check::signature;
use crate::functions::{LIBRARIES, Style};
use crate::macros;

#[test]
fn the_page_lists_every_function() {
    let made = tables();
    let (head, rest) = PAGE.split_once(BEGIN).unwrap();
    let (listed, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("OBOL_WRITE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cel.md");
        std::fs::write(path, format!("{head}{BEGIN}\n{made}{END}{tail}")).unwrap();
        return;
    }
    assert!(
        listed.trim_start() == made,
        "docs/cel.md is not what the table says: run this test with OBOL_WRITE_DOCS=1"
    );
}

#[test]
fn every_function_is_called_in_a_test() {
    let tests = concat!(include_str!("../tests/it/values.rs"), include_str!("../tests/it/libraries.rs"));
    let called = |name: &str| tests.contains(&format!("{name}("));
    let names = LIBRARIES.iter().flat_map(|library| library.rows).map(|row| row.name);
    let missing = names.filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()) && !called(name));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
}

fn tables() -> String {
    let mut page = String::from("### macros\n\n| macro | API server |\n|---|---|\n");
    for usage in macros::usages() {
        let there = if usage.starts_with("cel.") { "no" } else { "yes" };
        writeln!(page, "| `{usage}` | {there} |").unwrap();
    }
    for library in LIBRARIES {
        let there = if library.in_kubernetes { "yes" } else { "no" };
        writeln!(page, "\n### {}\n\n| function | gives | API server |\n|---|---|---|", library.name).unwrap();
        for row in library.rows {
            let operator = !row.name.starts_with(|c: char| c.is_ascii_alphabetic());
            for overload in row.overloads {
                let gives = overload.gives.filled(&crate::shape::Bound::default());
                let shown = if operator {
                    let sides = overload.args.iter().map(|arg| arg.filled(&crate::shape::Bound::default()));
                    let mut sides = sides.map(|side| side.to_string());
                    let name = row.name.trim_start_matches('@');
                    let filled = name.split('_').collect::<Vec<_>>();
                    match filled.as_slice() {
                        ["in"] => format!("{} in {}", sides.next().unwrap(), sides.next().unwrap()),
                        [before, after] => format!("{before}{}{after}", sides.next().unwrap()),
                        [_, sign, after] if sign.starts_with('[') => {
                            format!("{}{sign}{}{after}", sides.next().unwrap(), sides.next().unwrap())
                        }
                        [_, sign, _] => format!("{} {sign} {}", sides.next().unwrap(), sides.next().unwrap()),
                        _ => name.to_owned(),
                    }
                } else {
                    let either = if row.style == Style::Either { " or before it" } else { "" };
                    signature(row, overload, false) + either
                };
                writeln!(page, "| `{}` | `{gives}` | {there} |", shown.replace('|', "\\|")).unwrap();
            }
        }
    }
    page
}

const PAGE: &str = include_str!("../../../docs/cel.md");
const BEGIN: &str = "<!-- functions: made of the function table -->";
const END: &str = "<!-- end of functions -->";
