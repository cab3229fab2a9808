//! A log that must not lose lines unnoticed: a thread of its own writes them, so that no request waits for a disk or a
//! pipe, and who may not act unheard asks first whether there is room.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::oneshot;

/// Takes lines and lets a thread write them.
pub(crate) struct Lines {
    queue: SyncSender<Entry>,
    state: Arc<State>,
}

enum Entry {
    Line(String),
    /// Somebody waits until everything before this is written.
    Mark(oneshot::Sender<()>),
}

#[derive(Default)]
struct State {
    /// What stands in the queue: a channel does not say.
    waiting: AtomicUsize,
    /// Lines that nobody will read, since the last one that says so.
    lost: AtomicU64,
    /// The last write failed.
    broken: AtomicBool,
}

impl Lines {
    /// Starts the thread. It ends when this is dropped.
    pub(crate) fn start(name: &str, to: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUED + SPARE);
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK)
            .spawn(move || Writer { to, batch: Vec::new() }.run(&entries, &shared))?;
        Ok(Self { queue, state })
    }

    /// Whether there is room, and what was written last is written.
    pub(crate) fn listens(&self) -> bool {
        self.has_room() && !self.state.broken.load(Ordering::Relaxed)
    }

    /// Writes a line, whose end is added. What `happened` may take the room that is kept for what was let in before;
    /// what did not happen may not.
    pub(crate) fn write(&self, line: String, happened: bool) {
        if happened || self.has_room() {
            // Counted first: the thread must not take off what is not counted yet.
            self.state.waiting.fetch_add(1, Ordering::Relaxed);
            if self.queue.try_send(Entry::Line(line)).is_ok() {
                return;
            }
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.state.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Resolves when every line so far is written, or never will be.
    pub(crate) async fn written(&self) {
        let (told, written) = oneshot::channel();
        if self.queue.try_send(Entry::Mark(told)).is_ok() {
            let _ = written.await;
        }
    }

    fn has_room(&self) -> bool {
        self.state.waiting.load(Ordering::Relaxed) < QUEUED
    }
}

struct Writer<W> {
    to: W,
    batch: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, entries: &Receiver<Entry>, state: &State) {
        while let Ok(first) = entries.recv() {
            let (mut next, mut taken, mut mark) = (Some(first), 0, None);
            while let Some(entry) = next {
                match entry {
                    Entry::Line(line) => {
                        self.batch.extend_from_slice(line.as_bytes());
                        self.batch.push(b'\n');
                        taken += 1;
                    }
                    Entry::Mark(told) => {
                        mark = Some(told);
                        break;
                    }
                }
                next = if self.batch.len() < BATCH { entries.try_recv().ok() } else { None };
            }
            self.flush(state);
            state.waiting.fetch_sub(taken, Ordering::Relaxed);
            if let Some(told) = mark {
                let _ = told.send(());
            }
        }
    }

    /// What cannot be written is tried again with the next line, unless it grows too long.
    fn flush(&mut self, state: &State) {
        let lost = state.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.batch.extend_from_slice(format!("WARN audit: lost_lines={lost}\n").as_bytes());
        }
        let done = self.write_all();
        state.broken.store(done.is_err(), Ordering::Relaxed);
        if done.is_err() && self.batch.len() >= BATCH {
            let lines = self.batch.iter().filter(|byte| **byte == b'\n').count();
            state.lost.fetch_add(lines.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            self.batch.clear();
        }
    }

    fn write_all(&mut self) -> io::Result<()> {
        while !self.batch.is_empty() {
            match self.to.write(&self.batch) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.batch.drain(..written.min(self.batch.len()))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Lines that may wait before requests are refused; some 8 MiB.
const QUEUED: usize = 16 * 1024;
/// Room beyond that for what happened to requests that were let in before.
const SPARE: usize = 4 * 1024;
const BATCH: usize = 64 * 1024;
const STACK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;

    /// A log file that takes bytes when the test says so, or says that the disk is full.
    struct Disk {
        go: Receiver<()>,
        full: Arc<AtomicBool>,
        seen: Arc<Mutex<String>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            if self.full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.seen.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Log {
        lines: Lines,
        go: mpsc::Sender<()>,
        full: Arc<AtomicBool>,
        seen: Arc<Mutex<String>>,
    }

    fn log() -> Log {
        let ((go, going), full, seen) =
            (mpsc::channel(), Arc::<AtomicBool>::default(), Arc::<Mutex<String>>::default());
        let disk = Disk { go: going, full: Arc::clone(&full), seen: Arc::clone(&seen) };
        Log { lines: Lines::start("test", disk).unwrap(), go, full, seen }
    }

    #[tokio::test]
    async fn a_log_that_is_behind_does_not_listen_and_says_what_it_lost() {
        let Log { lines, go, seen, .. } = log();
        while lines.listens() {
            lines.write("refused".into(), false);
        }
        for _ in 0..3 {
            lines.write("refused".into(), false);
        }
        lines.write("passed".into(), true);
        drop(go);
        lines.written().await;
        assert!(lines.listens());
        let seen = seen.lock().unwrap();
        let count = |text: &str| seen.lines().filter(|line| line.contains(text)).count();
        assert_eq!((count("refused"), count("passed"), count("lost_lines=3")), (QUEUED, 1, 1));
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_does_not_listen_until_it_can() {
        let Log { lines, go, full, seen } = log();
        drop(go);
        full.store(true, Ordering::SeqCst);
        lines.write("one".into(), true);
        lines.written().await;
        assert!(!lines.listens());
        full.store(false, Ordering::SeqCst);
        lines.write("two".into(), false);
        lines.written().await;
        assert!(lines.listens());
        assert_eq!(*seen.lock().unwrap(), "one\ntwo\n");
    }
}
