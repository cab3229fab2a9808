//! A kubeconfig on disk: one editor at a time, and a whole file at every moment.
//!
//! `NAME.lock` beside the file is the lock that kubectl takes for its own edits, so they wait for each other. Ours says
//! that it is ours, and is held open: one whose owner died is known by that and taken away by the next.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BadKubeconfig, Kubeconfig};
use crate::private;

/// Why a kubeconfig is as before.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// The disk.
    #[error("{} cannot be written: {reason}", path.display())]
    Disk {
        /// What was tried.
        path: PathBuf,
        /// What the disk said.
        reason: io::Error,
    },
    /// Another program.
    #[error("{} says that another program is writing there; if none is, remove it", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// Somebody who takes no lock.
    #[error("{} was changed by another program meanwhile; try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What stands in it.
    #[error("{} is left as it is: {reason}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: BadKubeconfig,
    },
}

/// Changes a kubeconfig, or makes it.
///
/// # Errors
/// [`NotWritten`]: it is as before.
pub fn edit(
    path: &Path,
    change: impl FnOnce(&mut Kubeconfig) -> Result<(), BadKubeconfig>,
) -> Result<(), NotWritten> {
    let named = path;
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |reason| NotWritten::Disk { path, reason }
    };
    // A link stays one: what it leads to is written.
    let path = match fs::canonicalize(named) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => named.to_owned(),
        Err(error) => return Err(disk(named)(error)),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(disk(folder))?;
    }
    let _lock = Lock::take(&beside(&path, ".lock"))?;
    let before = read(&path).map_err(disk(&path))?;
    let bad = |reason| NotWritten::Bad { path: path.clone(), reason };
    let text = String::from_utf8(before.clone().unwrap_or_default());
    let text = text.map_err(|_| bad(BadKubeconfig::Shape("content is not UTF-8")))?;
    let mut config = Kubeconfig::parse(text).map_err(bad)?;
    change(&mut config).map_err(bad)?;
    if before.as_deref() == Some(config.text().as_bytes()) {
        return Ok(());
    }
    let part = beside(&path, ".obol-new");
    write_whole(&part, config.text(), fs::metadata(&path).ok()).map_err(disk(&part))?;
    if read(&path).map_err(disk(&path))? != before {
        let _ = fs::remove_file(&part);
        return Err(NotWritten::Changed { path });
    }
    fs::rename(&part, &path).map_err(disk(&path))
}

/// For its owner alone, or as the file was before; on the disk before it gets its name.
fn write_whole(part: &Path, text: &str, like: Option<fs::Metadata>) -> io::Result<()> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private::open(part, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        file.set_permissions(like.permissions())?;
    }
    file.sync_all()
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(raw) => Ok(Some(raw)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

/// Held until dropped.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> Result<Self, NotWritten> {
        let disk = |reason| NotWritten::Disk { path: path.to_owned(), reason };
        for _ in 0..LOOKS {
            match make(path) {
                // Whoever takes away dead locks may have been faster than we were at holding it.
                Ok(file) if is_at(&file, path) => return Ok(Self { path: path.to_owned(), _file: file }),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !take_away_if_dead(path) {
                        std::thread::sleep(BETWEEN_LOOKS);
                    }
                }
                Err(error) => return Err(disk(error)),
            }
        }
        Err(NotWritten::Locked { path: path.to_owned() })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the lock with its mark in it and held, and only then gives it its name: whoever dies in between leaves nothing.
#[cfg(target_os = "linux")]
fn make(path: &Path) -> io::Result<File> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let Ok(nameless) = open(folder, flags, Mode::RUSR | Mode::WUSR) else { return make_by_name(path) };
    let file = marked(File::from(nameless))?;
    let way = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, way, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::EXIST) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => make_by_name(path),
    }
}

#[cfg(not(target_os = "linux"))]
fn make(path: &Path) -> io::Result<File> {
    make_by_name(path)
}

/// Where files without a name do not exist.
fn make_by_name(path: &Path) -> io::Result<File> {
    marked(private::open(path, OpenOptions::new().read(true).write(true).create_new(true))?)
}

fn marked(mut file: File) -> io::Result<File> {
    file.try_lock().map_err(io::Error::other)?;
    file.write_all(OURS)?;
    Ok(file)
}

/// A lock of ours that nobody holds open.
fn take_away_if_dead(path: &Path) -> bool {
    let Ok(file) = private::open(path, OpenOptions::new().read(true)) else { return false };
    let mut text = Vec::new();
    let ours = (&file).take(64).read_to_end(&mut text).is_ok() && text == OURS;
    ours && file.try_lock().is_ok() && is_at(&file, path) && fs::remove_file(path).is_ok()
}

/// Whether the open file is still the one of that name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

const OURS: &[u8] = b"obol\n";

/// An edit takes milliseconds: ten seconds is for a machine on its knees.
const LOOKS: u32 = 400;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubeconfig::List;

    fn put(path: &Path, name: &str) -> Result<(), NotWritten> {
        edit(path, |config| config.put(List::Users, name, &json!({"token": "t"})))
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_rights_stay_rights() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("deep/link"));
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(&real, "users: []\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        put(&link, "ana").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&real).unwrap().contains("ana"));
        let new = folder.path().join("a/b/config");
        put(&new, "ana").unwrap();
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 3, "no lock and no part is left");
    }

    #[test]
    fn many_editors_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::thread::scope(|scope| {
            for editor in 0..8 {
                let path = &path;
                scope.spawn(move || (0..5).for_each(|n| put(path, &format!("u{editor}-{n}")).unwrap()));
            }
        });
        let config = Kubeconfig::parse(fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(config.items(List::Users).count(), 40);
    }

    #[test]
    fn a_dead_lock_of_ours_is_taken_away_and_kubectls_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lock) = (folder.path().join("config"), folder.path().join("config.lock"));
        fs::write(&lock, OURS).unwrap();
        put(&path, "ana").unwrap();
        assert!(!lock.exists());
        fs::write(&lock, "").unwrap();
        assert!(!take_away_if_dead(&lock) && lock.exists());
        let held = File::create(&lock).unwrap();
        (&held).write_all(OURS).unwrap();
        held.lock().unwrap();
        assert!(!take_away_if_dead(&lock) && lock.exists());
    }
}
