//! Parts of the Kubernetes API server as programs that tests ask, built of pinned Go modules: its CEL, and its authenticator
//! of tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Cache, fingerprint};
use crate::shell::{output, run_logged, step, which};

/// Builds the CEL if its sources have changed since it was built; the program.
///
/// The cases of the CEL specification come with it: they are data of one of the modules.
pub(crate) fn cel(cache: &Cache) -> Result<PathBuf> {
    build(cache, "cel", |draft| {
        let mut list = Command::new("go");
        let list = list.current_dir(source("cel")).args(["list", "-m", "-f", "{{.Dir}}", "cel.dev/expr"]);
        let module = output(list)?;
        copy_cases(&Path::new(module.trim()).join("tests/simple/testdata"), &draft.join("testdata"))
    })
}

/// Builds the authenticator if its sources have changed since it was built; the program.
pub(crate) fn authn(cache: &Cache) -> Result<PathBuf> {
    build(cache, "authn", |_| Ok(()))
}

fn build(cache: &Cache, name: &str, more: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache.folder(&format!("{name}-{}", fingerprint(&sources(name)?)), |draft| {
        step(&format!("build the peer {name}"), || {
            which("go").context("go is not on the PATH: install Go 1.26 or newer")?;
            let mut go = Command::new("go");
            go.current_dir(source(name))
                .args(["build", "-trimpath", "-mod=readonly", "-o"])
                .arg(draft.join(name))
                .arg(".");
            run_logged(&mut go, &cache.log(name))?;
            more(draft)
        })
    })?;
    Ok(folder.join(name))
}

fn source(name: &str) -> PathBuf {
    Path::new("xtask/peers").join(name)
}

fn sources(name: &str) -> Result<String> {
    let mut files = fs::read_dir(source(name))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    files.iter().map(|file| fs::read_to_string(file).with_context(|| file.display().to_string())).collect()
}

fn copy_cases(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let file = entry?;
        // Not the module cache's read-only mode with it: the folder must be deletable.
        fs::write(to.join(file.file_name()), fs::read(file.path())?)?;
    }
    Ok(())
}
