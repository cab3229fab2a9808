//! Node with the npm packages that are pinned in `xtask/peers/node`.

use std::io;
use std::path::Path;
use std::process::Command;

/// A command that runs `source` as an ES module named `NAME.mjs` in `folder`, where imports find the packages.
///
/// # Errors
/// If the script cannot be written, or nobody said where Node and the packages are.
pub fn node(folder: &Path, name: &str, source: &str) -> io::Result<Command> {
    let packages = folder.join("node_modules");
    if !packages.exists() {
        std::os::unix::fs::symlink(super::place("NODE_MODULES")?, &packages)?;
    }
    let script = folder.join(format!("{name}.mjs"));
    std::fs::write(&script, source)?;
    let mut command = Command::new(super::place("NODE")?);
    command.arg(script).current_dir(folder);
    Ok(command)
}
