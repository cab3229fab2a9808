//! npm packages, by the committed lock file.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Cache, fingerprint};
use crate::shell::{run_logged, step};

/// Installs them if they are not there; the folder `node_modules`.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    let lock = fs::read_to_string("xtask/peers/node/package-lock.json")?;
    let folder = cache.folder(&format!("node-{}", fingerprint(&lock)), |draft| {
        step("npm ci", || {
            fs::write(draft.join("package-lock.json"), &lock)?;
            fs::copy("xtask/peers/node/package.json", draft.join("package.json"))?;
            let mut npm = Command::new("npm");
            npm.current_dir(draft).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            run_logged(&mut npm, &cache.log("npm"))
        })
    })?;
    Ok(folder.join("node_modules"))
}
