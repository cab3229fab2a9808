//! Writes a log that must lose no line unnoticed: a thread of its own writes in batches, so that no request waits for a disk
//! or a pipe, and who may not act unheard asks first whether there is room.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

/// Takes entries and lets a thread write them.
pub(crate) struct Scribe<T> {
    queue: SyncSender<Item<T>>,
    state: Arc<State>,
}

/// What is to be put into words.
pub(crate) enum Entry<'a, T> {
    /// As it was handed over.
    Told(&'a T),
    /// So many were handed over since the last time, and there was no room.
    Lost(u64),
}

enum Item<T> {
    Told(T),
    /// Somebody waits until everything before this is written.
    Mark(oneshot::Sender<()>),
}

/// What the thread tells of itself.
#[derive(Default)]
struct State {
    /// What stands in the queue: a channel does not say.
    waiting: AtomicUsize,
    /// Entries for which there was no room.
    lost: AtomicU64,
    /// The last write did not succeed.
    failing: AtomicBool,
}

impl<T: Send + 'static> Scribe<T> {
    /// Starts the thread. It ends when this is dropped.
    pub(crate) fn start(
        to: impl Write + Send + 'static,
        words: impl Fn(&mut String, Entry<'_, T>) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, items) = sync_channel(QUEUED + SPARE + MARKS);
        let state = Arc::<State>::default();
        let told = Arc::clone(&state);
        std::thread::Builder::new()
            .name("audit".into())
            .stack_size(STACK)
            .spawn(move || write(to, &items, &told, words))?;
        Ok(Self { queue, state })
    }

    /// Hands an entry over. What `happened` may take the room that is kept for requests that were let in before; what was
    /// refused has half of the queue, or whoever makes refusals could have everybody refused.
    pub(crate) fn tell(&self, entry: impl FnOnce() -> T, happened: bool) {
        if happened || !self.state.failing.load(Ordering::Relaxed) {
            let room = if happened { QUEUED + SPARE } else { REFUSED };
            // Counted first: the thread must not take off what is not counted yet.
            let before = self.state.waiting.fetch_add(1, Ordering::Relaxed);
            if before < room && self.queue.try_send(Item::Told(entry())).is_ok() {
                return;
            }
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.state.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there is room, and what was written last is written.
    pub(crate) fn listens(&self) -> bool {
        self.state.waiting.load(Ordering::Relaxed) < QUEUED && !self.state.failing.load(Ordering::Relaxed)
    }

    /// For how many entries there was no room.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// Resolves when everything so far is written, or never will be.
    pub(crate) async fn written(&self) {
        let (told, written) = oneshot::channel();
        if self.queue.try_send(Item::Mark(told)).is_ok() {
            let _ = written.await;
        }
    }
}

fn write<T>(
    mut to: impl Write,
    items: &Receiver<Item<T>>,
    state: &State,
    words: impl Fn(&mut String, Entry<'_, T>),
) {
    let (mut batch, mut lost_before) = (String::new(), 0);
    while let Ok(first) = items.recv() {
        if matches!(first, Item::Told(_)) {
            // Nobody is woken while this thread sleeps, and what comes meanwhile shares one write with it.
            std::thread::sleep(GATHERING);
        }
        let (mut next, mut taken, mut mark) = (Some(first), 0, None);
        while let Some(item) = next {
            match item {
                Item::Told(entry) => words(&mut batch, Entry::Told(&entry)),
                Item::Mark(told) => {
                    mark = Some(told);
                    break;
                }
            }
            taken += 1;
            next = if batch.len() < BATCH { items.try_recv().ok() } else { None };
        }
        let lost = state.lost.load(Ordering::Relaxed);
        if lost > lost_before {
            words(&mut batch, Entry::Lost(lost - lost_before));
            lost_before = lost;
        }
        persist(&mut to, batch.as_bytes(), &state.failing);
        batch.clear();
        state.waiting.fetch_sub(taken, Ordering::Relaxed);
        if let Some(told) = mark {
            let _ = told.send(());
        }
    }
}

/// Writes it all, however long that takes: while it does not succeed nobody is let in, and no line is lost.
fn persist(to: &mut impl Write, mut rest: &[u8], failing: &AtomicBool) {
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(written @ 1..) => {
                rest = rest.get(written..).unwrap_or_default();
                failing.store(false, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                failing.store(true, Ordering::Relaxed);
                std::thread::sleep(AGAIN);
            }
        }
    }
}

/// Entries that may wait before requests are refused; about 30 MiB at worst.
const QUEUED: usize = 16 * 1024;
/// The part of them that may be about requests that were refused.
const REFUSED: usize = QUEUED / 2;
/// Room beyond that for what was granted to requests that were let in before.
const SPARE: usize = 4 * 1024;
/// Room that no entry takes, so that whoever waits for a full queue to be written does wait.
const MARKS: usize = 8;
/// How long a line may be late, so that a busy server wakes the thread some hundred times a second and not for each line.
const GATHERING: Duration = Duration::from_millis(5);
/// Between tries to write what could not be written.
const AGAIN: Duration = Duration::from_millis(200);
const BATCH: usize = 64 * 1024;
const STACK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A log file whose every write waits for the test, and that may be full.
    struct Disk {
        go: Receiver<()>,
        full: Arc<AtomicBool>,
        tried: mpsc::Sender<()>,
        seen: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            let _ = self.tried.send(());
            if self.full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let some = bytes.get(..7).unwrap_or(bytes);
            let _ = self.seen.send(some.to_vec());
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Log {
        scribe: Scribe<&'static str>,
        go: mpsc::Sender<()>,
        full: Arc<AtomicBool>,
        tries: Receiver<()>,
        seen: Receiver<Vec<u8>>,
    }

    impl Log {
        fn new() -> Self {
            let ((go, going), (tried, tries), (sees, seen)) =
                (mpsc::channel(), mpsc::channel(), mpsc::channel());
            let full = Arc::<AtomicBool>::default();
            let disk = Disk { go: going, full: Arc::clone(&full), tried, seen: sees };
            let words = |out: &mut String, entry: Entry<'_, &'static str>| match entry {
                Entry::Told(text) => out.extend([*text, "\n"]),
                Entry::Lost(count) => out.extend([&*count.to_string(), " lost\n"]),
            };
            Self { scribe: Scribe::start(disk, words).unwrap(), go, full, tries, seen }
        }

        fn text(&self) -> String {
            String::from_utf8(self.seen.try_iter().flatten().collect()).unwrap()
        }
    }

    #[tokio::test]
    async fn attack_25_refusals_fill_half_of_the_log_and_nobody_else_is_refused_for_them() {
        let mut log = Log::new();
        for _ in 0..QUEUED * 2 {
            log.scribe.tell(|| "refused", false);
        }
        assert_eq!(log.scribe.lost(), u64::try_from(QUEUED * 2 - REFUSED).unwrap());
        assert!(log.scribe.listens());
        for _ in REFUSED..QUEUED {
            assert!(log.scribe.listens());
            log.scribe.tell(|| "granted", true);
        }
        assert!(!log.scribe.listens());
        log.go = mpsc::channel().0;
        log.scribe.written().await;
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_the_log_is_behind_and_it_recovers() {
        let mut log = Log::new();
        for _ in 0..REFUSED {
            log.scribe.tell(|| "refused", false);
        }
        while log.scribe.listens() {
            log.scribe.tell(|| "granted", true);
        }
        for _ in 0..SPARE {
            log.scribe.tell(|| "granted", true);
        }
        assert_eq!(log.scribe.lost(), 0, "what was let in before is heard");
        for _ in 0..3 {
            log.scribe.tell(|| "refused", false);
        }
        assert_eq!(
            log.scribe.lost(),
            3,
            "what is refused takes no room from what was granted, and is counted"
        );
        log.go = mpsc::channel().0;
        log.scribe.written().await;
        assert!(log.scribe.listens());
        let text = log.text();
        let count = |what: &str| text.lines().filter(|line| *line == what).count();
        assert_eq!(
            (count("refused"), count("granted"), count("3 lost")),
            (REFUSED, QUEUED - REFUSED + SPARE, 1)
        );
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_lines_cannot_be_written_and_none_is_lost() {
        let mut log = Log::new();
        log.full.store(true, Ordering::SeqCst);
        log.go = mpsc::channel().0;
        log.scribe.tell(|| "granted", true);
        // The second try comes after the first has failed.
        let _ = (log.tries.recv(), log.tries.recv());
        assert!(!log.scribe.listens());
        log.full.store(false, Ordering::SeqCst);
        log.scribe.written().await;
        assert!(log.scribe.listens());
        assert_eq!((&*log.text(), log.scribe.lost()), ("granted\n", 0));
    }
}
