//! One process fetches, the others wait for what it fetched; never for ever.
//!
//! Who fails leaves word of it: of those that waited, none tries the same again, or twenty commands would open twenty
//! tabs one after the other. Who dies leaves none, and the next in line takes over.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::time::Duration;

use ambient::Time;

use crate::cache::Cache;
use crate::flow::Exchanger;
use crate::key::Key;
use crate::note::Note;

/// Held until dropped. The operating system lets go of it when the process ends, however that happens.
pub(crate) struct Held {
    file: File,
    key: Key,
}

/// What waiting came to.
pub(crate) enum Turn {
    /// Nobody else is at it.
    Mine(Held),
    /// The disk cannot lock: the work is done without.
    Unlocked,
    /// Somebody has been at it for too long.
    Late {
        /// Its process id, if it wrote one down.
        holder: Option<u32>,
    },
    /// Somebody whom we waited for has failed.
    Failed(String),
}

impl Held {
    /// Leaves word for those who wait. Only time is saved by it, so a failure is none.
    pub(crate) fn failed(&mut self, now: Time, why: &str) {
        let why = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect::<String>();
        let line = format!("\n{} {} {why}", self.key.as_str(), now.millis());
        let _ = self.file.write_all(line.as_bytes());
    }
}

impl Exchanger {
    /// Waits for its turn, as long as one turn may take.
    pub(crate) async fn take_turn(&self, cache: &Cache, key: &Key, patience: Duration) -> Turn {
        let mut file = match cache.lock_file(key) {
            Ok(file) => file,
            Err(error) => return self.no_lock(cache, &error),
        };
        let (start, since) = (self.clock.monotonic(), self.clock.now());
        let (mut told, mut queued) = (false, false);
        loop {
            let waited = self.clock.monotonic().saturating_sub(start);
            match file.try_lock() {
                Ok(()) => {
                    let failure = failure(&mut file, key).filter(|_| queued);
                    if let Some((_, why)) = failure.filter(|(at, _)| *at >= since) {
                        return Turn::Failed(why);
                    }
                    sign(&mut file);
                    return Turn::Mine(Held { file, key: key.clone() });
                }
                Err(TryLockError::WouldBlock) => queued = true,
                Err(TryLockError::Error(error)) => return self.no_lock(cache, &error),
            }
            if waited >= patience {
                return Turn::Late { holder: holder(&mut file) };
            }
            if waited >= SAY_AFTER && !told {
                self.tell(&Note::Waiting { holder: holder(&mut file) });
                told = true;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    fn no_lock(&self, cache: &Cache, error: &std::io::Error) -> Turn {
        self.tell(&Note::NoCache { path: cache.folder().to_owned(), reason: error.to_string() });
        Turn::Unlocked
    }
}

/// Leaves the process id for those who wait. Only words hang on it, so a failure is none.
fn sign(file: &mut File) {
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
}

fn holder(file: &mut File) -> Option<u32> {
    text(file)?.lines().next()?.parse().ok()
}

/// When the last holder failed at this, and how.
fn failure(file: &mut File, key: &Key) -> Option<(Time, String)> {
    let text = text(file)?;
    let (of, rest) = text.lines().nth(1)?.split_once(' ')?;
    let (at, why) = rest.split_once(' ')?;
    (of == key.as_str()).then_some((Time::from_millis(at.parse().ok()?), why.to_owned()))
}

fn text(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MOST_READ).read_to_string(&mut text).ok()?;
    Some(text)
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
const SAY_AFTER: Duration = Duration::from_secs(1);
const MOST_READ: u64 = 8192;
