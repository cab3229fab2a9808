//! Files and folders that nobody else may have a hand in: whoever could put a file in the cache would choose which token
//! a command is sent with.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a folder (0700) if it is not there, and looks whose it is.
///
/// # Errors
/// What is wrong with it, and what to do about that.
pub(crate) fn folder(path: &Path) -> Result<(), String> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| e.to_string())?;
    // A link of ours to a folder of ours is our own business; one that somebody else made leads where they like.
    let named = std::fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    let meant = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !meant.is_dir() {
        return Err("it is no folder; remove it, or name another one".into());
    }
    for found in [&named, &meant] {
        if let Some(owner) = another_owner(found) {
            let what =
                format!("it belongs to another user ({owner}); name a folder of your own, or remove it");
            return Err(what);
        }
    }
    if is_writable_by_others(&meant) {
        return Err("other users may write there; take the right away (chmod 700)".into());
    }
    Ok(())
}

/// Opens a file of ours, which must be a regular one: no link is followed, and no pipe or device waited for.
///
/// # Errors
/// As for opening any file, and what to do where it is something else.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| if is_link(path) { not_regular(path) } else { error })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular(path)) }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

fn not_regular(path: &Path) -> io::Error {
    io::Error::other(format!("{} is no regular file; remove it", path.display()))
}

#[cfg(unix)]
fn another_owner(found: &std::fs::Metadata) -> Option<u32> {
    let owner = std::os::unix::fs::MetadataExt::uid(found);
    (owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

/// Elsewhere a user's folders are private by inheritance.
#[cfg(not(unix))]
fn another_owner(_: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn is_writable_by_others(folder: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&folder.permissions()) & 0o022 != 0
}

#[cfg(not(unix))]
fn is_writable_by_others(_: &std::fs::Metadata) -> bool {
    false
}
