//! The pages of the repository against the repository: what they name exists.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found
}

/// The last cells of a page's table.
fn last_cells(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').rsplit('|').next().unwrap().trim().to_owned()).collect()
}

#[test]
fn every_row_of_what_fails_names_tests_that_exist() {
    let mut sources = String::new();
    for path in files(&root().join("crates"), "rs") {
        sources.push_str(&fs::read_to_string(path).unwrap());
    }
    let page = fs::read_to_string(root().join("docs/failing.md")).unwrap();
    let cells = last_cells(&page);
    assert!(cells.len() > 20, "{cells:?}");
    for cell in cells {
        let names: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "a row without a test: {cell}");
        for name in names {
            assert!(sources.contains(&format!("fn {name}(")), "no such test: {name}");
        }
    }
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut pages = files(&root().join("docs"), "md");
    let beside = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(beside.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(page.parent().unwrap().join(file).exists(), "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn the_index_of_the_docs_is_whole() {
    let docs = root().join("docs");
    let index = fs::read_to_string(docs.join("README.md")).unwrap();
    for page in files(&docs, "md") {
        let name = page.strip_prefix(&docs).unwrap().to_str().unwrap().to_owned();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md lacks {name}");
    }
}
