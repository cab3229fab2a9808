//! A real kube-apiserver, and a kubectl of its age. No registry ships the former, so it is built once per machine from
//! Debian's source.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::{Cache, apt};
use crate::shell::{output, run_logged, step};

/// Builds it if it is not there: some four minutes on two idle cores.
pub(crate) fn build(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&folder_name(), |draft| {
        step("build kube-apiserver", || {
            // Links in the Go tree and logs name absolute paths: work where the result will not stand.
            let work = cache.path("kube-apiserver.work");
            if work.exists() {
                fs::remove_dir_all(&work)?;
            }
            fs::create_dir_all(&work)?;
            apt::download_source(cache, "kubernetes", &work)?;
            let mut recipe = Command::new("nice");
            recipe.args(["-n", "10", "sh", "xtask/peers/kube-apiserver.sh"]).arg(&work).arg(VERSION);
            run_logged(&mut recipe, &cache.log("kube-apiserver"))?;
            fs::rename(work.join(PROGRAM), draft.join(PROGRAM))?;
            fs::remove_dir_all(&work)?;
            Ok(())
        })
    })?;
    let program = folder.join(PROGRAM);
    let said = output(Command::new(&program).arg("--version"))?;
    if said.trim() != format!("Kubernetes v{VERSION}") {
        bail!("{} calls itself {:?}; delete it to have it built anew", program.display(), said.trim());
    }
    Ok(program)
}

/// The kubectl that Debian built of the same source, many releases behind the one from PyPI. Not installed: a newer one may
/// have its place.
pub(crate) fn old_kubectl(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("kubectl-{VERSION}"), |draft| {
        step("unpack Debian's kubectl", || apt::unpack(cache, "kubernetes-client", draft))
    })?;
    Ok(folder.join("usr/bin/kubectl"))
}

/// Whether the build was done before.
pub(crate) fn is_built(cache: &Cache) -> bool {
    cache.path(&folder_name()).is_dir()
}

fn folder_name() -> String {
    format!("{PROGRAM}-{VERSION}-{RECIPE}")
}

/// What the recipe needs, besides a shell and tar. Debian's Go of that age: newer ones refuse this tree.
pub(crate) const BUILT_WITH: [&str; 2] = ["golang-1.19-go", "golang-github-modern-go-reflect2-dev"];

const PROGRAM: &str = "kube-apiserver";

/// What Debian's source package `kubernetes` holds.
const VERSION: &str = "1.20.2";

/// Counts up when the recipe changes what comes out of it.
const RECIPE: u32 = 1;
