//! Tokens on disk, for kubectl runs that follow each other. One file a token (0600, in a folder 0700), replaced whole.
//!
//! Nothing in here is believed more than it must be: what cannot be read, was not written by us or has ended is fetched
//! again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ambient::Time;

use crate::error::Error;
use crate::issued::{Entry, Issued};
use crate::key::Key;
use crate::private;

/// A folder of tokens.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens a folder and makes it if it is not there.
    ///
    /// # Errors
    /// [`Error::Cache`]: it cannot be made, is somebody else's, or others may write into it and so choose which token is
    /// used.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        private::folder(&folder).map_err(|reason| Error::Cache { path: folder.clone(), reason })?;
        Ok(Self { folder })
    }

    /// The token under `key`, if it may still be handed out.
    pub(crate) fn load(&self, key: &Key, now: Time) -> Option<Issued> {
        self.entry(key).map(|entry| entry.issued).filter(|issued| issued.is_fresh(now))
    }

    /// Whatever stands under `key`.
    pub(crate) fn entry(&self, key: &Key) -> Option<Entry> {
        read(&self.path(key))
    }

    /// Everything that is kept, and where.
    pub(crate) fn entries(&self) -> Vec<(PathBuf, Option<Entry>)> {
        let Ok(found) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let paths = found.flatten().map(|entry| entry.path());
        let ours = paths.filter(|path| path.extension().is_some_and(|end| end == "json" || end == "part"));
        ours.map(|path| (path.clone(), read(&path))).collect()
    }

    /// Forgets the session under `key`, and the token with it.
    pub(crate) fn forget(&self, key: &Key) {
        let _ = std::fs::remove_file(self.path(key));
    }

    /// Keeps a token and forgets those that have ended. One that does not say when it ends is not kept.
    pub(crate) fn store(&self, key: &Key, entry: &Entry, now: Time) -> Result<(), Error> {
        let Some(text) = entry.to_kept().map(zeroize::Zeroizing::new) else { return Ok(()) };
        let (path, part) = (self.path(key), self.folder.join(format!("{}.part", key.as_str())));
        let replace = || -> io::Result<()> {
            match std::fs::remove_file(&part) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut file = private::open(&part, OpenOptions::new().write(true).create_new(true))?;
            file.write_all(text.as_bytes())?;
            std::fs::rename(&part, &path)
        };
        replace().map_err(|e| Error::Cache { path: path.clone(), reason: e.to_string() })?;
        self.forget_ended(now);
        Ok(())
    }

    /// The file whose lock says that somebody is fetching. Shared by a 256th of all keys: lock files cannot be
    /// removed safely, so there must not be one for every token there ever was.
    pub(crate) fn lock_file(&self, key: &Key) -> io::Result<File> {
        let path = self.folder.join(format!("{}.lock", key.bucket()));
        private::open(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.json", key.as_str()))
    }

    /// Every CI run is another subject, so ended entries would pile up.
    fn forget_ended(&self, now: Time) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten().take(MOST_LOOKED_AT) {
            let path = entry.path();
            let ours = path.extension().is_some_and(|end| end == "json");
            if ours && read(&path).is_some_and(|kept| kept.is_over(now)) {
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}

fn read(path: &Path) -> Option<Entry> {
    let mut text = zeroize::Zeroizing::new(Vec::new());
    let file = private::open(path, OpenOptions::new().read(true)).ok()?;
    file.take(MOST_KEPT).read_to_end(&mut text).ok()?;
    Entry::from_kept(&text)
}

const MOST_KEPT: u64 = 1 << 20;
const MOST_LOOKED_AT: usize = 1000;
