//! Where the database is: what Dex accepts as `file`, and a file that only its owner may read.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use config::{Field, Kind, Read};
use provider::store::StoreError;

/// Where a database lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In this process's memory, gone with it.
    Memory,
}

impl Place {
    /// Reads the value of `storage.config.file`: a path, `:memory:`, or the `file:` form with parameters after `?`
    /// that Dex's driver takes, of which only `mode=memory` has a meaning here. `None` if it names nothing: Dex would
    /// then keep everything in a file that is deleted at exit.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, parameters) = text.split_once('?').unwrap_or((text, ""));
        let path = path.strip_prefix("file:").map_or(path, without_authority);
        if path == ":memory:" || parameters.split('&').any(|p| p == "mode=memory") {
            return Some(Self::Memory);
        }
        (!path.is_empty()).then(|| Self::File(PathBuf::from(path)))
    }

    /// Makes sure that the file is there. SQLite would create it readable for everybody; its `-wal` and `-shm`
    /// companions take over the mode that they find here.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let Self::File(path) = self else { return Ok(()) };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => close_to_others(path),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(folder_missing(path)),
            Err(error) => {
                Err(StoreError::Unavailable(format!("{}: cannot be created: {error}", path.display())))
            }
        }
    }
}

impl Read for Place {
    const KIND: Kind = Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.string()?;
        let place = Self::parse(&text);
        match &place {
            None => field.error("names no file", "write a path, or `:memory:`"),
            Some(Self::File(_)) if text.contains('?') => {
                field
                    .warning("has parameters for Dex's driver, which have no effect", "write the path alone");
            }
            Some(_) => {}
        }
        place
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory => f.write_str(":memory:"),
        }
    }
}

/// A file that somebody else made, or copied, may be open to all; its companions from before are as open as it was.
/// Refused is only what everybody may open and we cannot close: a group may be the way in that we were given ourselves,
/// as on a volume with a Kubernetes `fsGroup`.
#[cfg(unix)]
fn close_to_others(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;

    // SQLite names the companions after the file itself, not after a link to it.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let Ok(found) = std::fs::metadata(&name) else { continue };
        let mode = found.permissions().mode();
        if !found.is_file() || mode & OTHERS == 0 {
            continue;
        }
        let closed = std::fs::Permissions::from_mode(mode & !OTHERS);
        if let Err(error) = std::fs::set_permissions(&name, closed)
            && mode & EVERYBODY != 0
        {
            let name = Path::new(&name).display();
            return Err(StoreError::Unavailable(format!(
                "{name} holds keys, is open to other users, and cannot be closed to them: {error}; `chmod go= {name}` as its owner"
            )));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

fn folder_missing(path: &Path) -> StoreError {
    let folder = path.parent().unwrap_or(path);
    StoreError::Unavailable(format!(
        "{}: the folder {} does not exist; create it, or change storage.config.file",
        path.display(),
        folder.display()
    ))
}

/// `file:///x`, `file://localhost/x` and `file:/x` all mean `/x`.
fn without_authority(path: &str) -> &str {
    let local = path.strip_prefix("//localhost/").or_else(|| path.strip_prefix("///"));
    local.map_or(path, |rest| path.get(path.len() - rest.len() - 1..).unwrap_or(path))
}

/// What a mode allows to the group and to everybody.
#[cfg(unix)]
const OTHERS: u32 = 0o077;
#[cfg(unix)]
const EVERYBODY: u32 = 0o007;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dex_reads() {
        let file = |path: &str| Some(Place::File(PathBuf::from(path)));
        assert_eq!(Place::parse("/var/dex/dex.db"), file("/var/dex/dex.db"));
        assert_eq!(Place::parse("dex.db"), file("dex.db"));
        assert_eq!(Place::parse("dex.db?_busy_timeout=5000"), file("dex.db"));
        assert_eq!(Place::parse("file:dex.db?cache=shared"), file("dex.db"));
        assert_eq!(Place::parse("file:/var/dex.db"), file("/var/dex.db"));
        assert_eq!(Place::parse("file:///var/dex.db"), file("/var/dex.db"));
        assert_eq!(Place::parse("file://localhost/var/dex.db"), file("/var/dex.db"));
        assert_eq!(Place::parse(":memory:"), Some(Place::Memory));
        assert_eq!(Place::parse("file::memory:?cache=shared"), Some(Place::Memory));
        assert_eq!(Place::parse("file:x?cache=shared&mode=memory"), Some(Place::Memory));
        assert_eq!(Place::parse(""), None);
        assert_eq!(Place::parse("file:"), None);
    }
}
