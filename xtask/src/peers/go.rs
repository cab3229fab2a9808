//! The CEL of the Kubernetes API server as a program that tests ask, built of pinned Go modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Cache, fingerprint};
use crate::shell::{output, run_logged, step, which};

/// Builds it if its sources have changed since it was built; the program.
///
/// The cases of the CEL specification come with it: they are data of one of the modules.
pub(crate) fn build(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("cel-{}", fingerprint(&sources()?)), |draft| {
        step("build the CEL peer", || {
            which("go").context("go is not on the PATH: install Go 1.26 or newer")?;
            let mut go = Command::new("go");
            go.current_dir(SOURCES)
                .args(["build", "-trimpath", "-mod=readonly", "-o"])
                .arg(draft.join("cel"))
                .arg(".");
            run_logged(&mut go, &cache.log("cel"))?;
            let mut list = Command::new("go");
            let module =
                output(list.current_dir(SOURCES).args(["list", "-m", "-f", "{{.Dir}}", "cel.dev/expr"]))?;
            copy_cases(&Path::new(module.trim()).join("tests/simple/testdata"), &draft.join("testdata"))
        })
    })?;
    Ok(folder.join("cel"))
}

fn sources() -> Result<String> {
    let mut files = fs::read_dir(SOURCES)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
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

const SOURCES: &str = "xtask/peers/cel";
