//! Programs that tests ask, built of pinned Go modules: the Kubernetes API server's CEL, its authenticator of tokens and its
//! audit policies, a stub of a kubelet on its streaming library, and an application on go-oidc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Cache, fingerprint};
use crate::shell::{output, run_logged, step, which};

/// Builds the CEL peer if its sources have changed since it was built; the program.
///
/// The cases of the CEL specification come with it: they are data of one of the modules.
pub(crate) fn cel(cache: &Cache) -> Result<PathBuf> {
    build(cache, "cel", |sources, draft| {
        let mut list = Command::new("go");
        let module =
            output(list.current_dir(sources).args(["list", "-m", "-f", "{{.Dir}}", "cel.dev/expr"]))?;
        copy_cases(&Path::new(module.trim()).join("tests/simple/testdata"), &draft.join("testdata"))
    })
}

/// The same for the authenticator.
pub(crate) fn authn(cache: &Cache) -> Result<PathBuf> {
    build(cache, "authn", |_, _| Ok(()))
}

/// The same for audit policies and requests.
pub(crate) fn audit(cache: &Cache) -> Result<PathBuf> {
    build(cache, "audit", |_, _| Ok(()))
}

/// The same for the stub of a kubelet.
pub(crate) fn kubelet(cache: &Cache) -> Result<PathBuf> {
    build(cache, "kubelet", |_, _| Ok(()))
}

/// The same for the application on go-oidc.
pub(crate) fn oidc(cache: &Cache) -> Result<PathBuf> {
    build(cache, "oidc", |_, _| Ok(()))
}

/// Builds what lies in `xtask/peers/NAME`, and whatever else belongs beside it.
fn build(cache: &Cache, name: &str, more: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let sources = Path::new("xtask/peers").join(name);
    let folder = cache.folder(&format!("{name}-{}", fingerprint(&text(&sources)?)), |draft| {
        step(&format!("build the {name} peer"), || {
            which("go").context("go is not on the PATH: install Go 1.26 or newer")?;
            let mut go = Command::new("go");
            go.current_dir(&sources)
                .args(["build", "-trimpath", "-mod=readonly", "-o"])
                .arg(draft.join(name))
                .arg(".");
            run_logged(&mut go, &cache.log(name))?;
            more(&sources, draft)
        })
    })?;
    Ok(folder.join(name))
}

fn text(sources: &Path) -> Result<String> {
    let mut files = fs::read_dir(sources)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
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
