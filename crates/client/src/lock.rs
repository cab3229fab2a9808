//! One process fetches, the others wait for what it fetched; never for ever.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use crate::cache::Cache;
use crate::flow::Exchanger;
use crate::key::Key;
use crate::note::Note;

/// Held until dropped. The operating system lets go of it when the process ends, however that happens.
pub(crate) struct Held(#[expect(dead_code, reason = "the lock is the open file")] File);

impl Exchanger {
    /// Waits for its turn. `None` if that took too long or the disk cannot lock: then the work is done without.
    pub(crate) async fn take_turn(&self, cache: &Cache, key: &Key) -> Option<Held> {
        let mut file = match cache.lock_file(key) {
            Ok(file) => file,
            Err(error) => return self.no_lock(cache, &error),
        };
        let start = self.clock.monotonic();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    sign(&mut file);
                    return Some(Held(file));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return self.no_lock(cache, &error),
            }
            let waited = self.clock.monotonic().saturating_sub(start);
            if waited >= PATIENCE {
                self.tell(&Note::GaveUpWaiting { holder: holder(&mut file) });
                return None;
            }
            if waited >= SAY_AFTER && !told {
                self.tell(&Note::Waiting { holder: holder(&mut file) });
                told = true;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    fn no_lock(&self, cache: &Cache, error: &std::io::Error) -> Option<Held> {
        self.tell(&Note::NoCache { path: cache.folder().to_owned(), reason: error.to_string() });
        None
    }
}

/// Leaves the process id for those who wait. Only words hang on it, so a failure is none.
fn sign(file: &mut File) {
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
const SAY_AFTER: Duration = Duration::from_secs(1);

/// As long as one exchange may take with all its tries.
const PATIENCE: Duration = Duration::from_secs(60);
