//! Cargo's own tools, installed into the cache at a pinned version when they are missing.

use std::path::PathBuf;

use anyhow::Result;

use crate::peers::Cache;
use crate::shell::{cargo, run_logged, step};

/// cargo-fuzz.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    tool("cargo-fuzz", "0.13.2")
}

/// cargo-mutants.
pub(crate) fn cargo_mutants() -> Result<PathBuf> {
    tool("cargo-mutants", "27.1.0")
}

fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let cache = Cache::open()?;
    let folder = cache.folder(&format!("{name}-{version}"), |draft| {
        step(&format!("cargo install {name}"), || {
            let mut install = cargo();
            install.args(["install", "--locked", "--version", version, name, "--root"]).arg(draft);
            // Outside the workspace its settings do not apply; the target folder goes with the draft's build.
            run_logged(install.current_dir(draft), &cache.log(name))
        })
    })?;
    Ok(folder.join("bin").join(name))
}
