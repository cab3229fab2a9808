//! Events in a file, one a line: a thread of its own writes them, and renames the file when it is large enough.
//!
//! Names and bounds are those of the API server's log: `audit.log` becomes `audit-2026-01-02T03-04-05.678.log`; of these so
//! many are kept, and none for longer than so many days.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Time};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::backend::Sink;

/// Where the log is and how large it grows.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// The file; `-`: standard output, which is not rotated.
    pub path: PathBuf,
    /// Bytes after which it is renamed; 0: never.
    pub most_bytes: u64,
    /// Renamed files that are kept; 0: all.
    pub most_backups: usize,
    /// How long one is kept; zero: for ever.
    pub most_age: Duration,
}

/// Hands lines to the thread.
pub(super) struct Log(Sender<Job>);

struct Job {
    lines: Vec<Bytes>,
    done: oneshot::Sender<Result<(), String>>,
}

impl Log {
    /// Opens the file and starts the thread, which ends when this is dropped.
    pub(super) fn start(file: LogFile, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let mut out: Box<dyn Out> = if file.path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(Rotating::open(file, clock)?)
        };
        let (queue, jobs) = channel();
        std::thread::Builder::new()
            .name("audit-log".into())
            .stack_size(STACK)
            .spawn(move || write(&mut *out, &jobs))?;
        Ok(Self(queue))
    }
}

impl Sink for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn store(&self, lines: Vec<Bytes>) -> BoxFuture<'static, Result<(), String>> {
        let (done, stored) = oneshot::channel();
        let sent = self.0.send(Job { lines, done });
        Box::pin(async move {
            match (sent, stored.await) {
                (Ok(()), Ok(stored)) => stored,
                _ => Err("the thread that writes it has ended".into()),
            }
        })
    }
}

/// Takes whole lines, or none of them.
trait Out: Send {
    fn put(&mut self, lines: &[u8]) -> io::Result<()>;
}

impl Out for io::Stdout {
    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        self.write_all(lines)?;
        self.flush()
    }
}

/// What waits together is written together.
fn write(out: &mut dyn Out, jobs: &Receiver<Job>) {
    let mut batch = Vec::new();
    while let Ok(first) = jobs.recv() {
        let mut told = Vec::new();
        let mut next = Some(first);
        while let Some(Job { lines, done }) = next {
            lines.iter().for_each(|line| batch.extend_from_slice(line));
            told.push(done);
            next = if batch.len() < BATCH { jobs.try_recv().ok() } else { None };
        }
        let put = out.put(&batch).map_err(|error| error.to_string());
        batch.clear();
        batch.shrink_to(BATCH);
        for done in told {
            let _ = done.send(put.clone());
        }
    }
}

/// A file that is renamed when it is large enough.
struct Rotating {
    settings: LogFile,
    clock: Arc<dyn Clock>,
    file: File,
    size: u64,
    /// What could not be written stands in it in part.
    torn: bool,
    /// The last renaming did not succeed, and that was told.
    stuck: bool,
}

impl Rotating {
    fn open(settings: LogFile, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (file, size, torn) = open(&settings.path)?;
        Ok(Self { settings, clock, file, size, torn, stuck: false })
    }

    /// Begins a new file where the old one was taken away, as other programs rotate.
    fn follow(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let there = fs::metadata(&self.settings.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(());
        }
        (self.file, self.size, self.torn) = open(&self.settings.path)?;
        Ok(())
    }

    /// A log that cannot be renamed grows on: a full file is worth more than a lost event.
    fn rotate_if_full(&mut self, more: usize) {
        let most = self.settings.most_bytes;
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        if most == 0 || self.size == 0 || self.size.saturating_add(more) <= most {
            return;
        }
        match self.rotate() {
            Ok(()) => self.stuck = false,
            Err(error) if !self.stuck => {
                self.stuck = true;
                let (path, why) = (self.settings.path.display(), error.to_string());
                tracing::error!(%path, why, "the audit log cannot be rotated and grows on");
            }
            Err(_) => {}
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.settings.path;
        let mut at = self.clock.now();
        let mut backup = backup(path, at);
        while backup.exists() {
            at = at + Duration::from_millis(1);
            backup = self::backup(path, at);
        }
        fs::rename(path, &backup)?;
        match open(path) {
            Ok((file, size, torn)) => (self.file, self.size, self.torn) = (file, size, torn),
            Err(error) => {
                fs::rename(&backup, path)?;
                return Err(error);
            }
        }
        self.prune();
        Ok(())
    }

    /// Removes old files beyond the bounds. What cannot be removed now is tried again next time.
    fn prune(&self) {
        let LogFile { path, most_backups, most_age, .. } = &self.settings;
        let Ok(entries) = fs::read_dir(folder(path)) else { return };
        let dated = entries.filter_map(|entry| {
            let entry = entry.ok()?.path();
            Some((dated(path, &entry)?, entry))
        });
        let mut backups: Vec<_> = dated.collect();
        backups.sort_by(|a, b| b.cmp(a));
        let too_many = if *most_backups == 0 { usize::MAX } else { *most_backups };
        let now = self.clock.now();
        for (index, (at, backup)) in backups.into_iter().enumerate() {
            if index >= too_many || !most_age.is_zero() && now.since(at) > *most_age {
                let _ = fs::remove_file(backup);
            }
        }
    }

    /// Takes back what was written in part, or sets it off from what comes next.
    fn take_back(&mut self) {
        self.torn = self.file.set_len(self.size).is_err();
    }
}

impl Out for Rotating {
    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        self.follow()?;
        self.rotate_if_full(lines.len());
        if self.torn {
            self.file.write_all(b"\n")?;
            (self.torn, self.size) = (false, self.size + 1);
        }
        if let Err(error) = self.file.write_all(lines) {
            self.take_back();
            return Err(error);
        }
        self.size += u64::try_from(lines.len()).unwrap_or_default();
        Ok(())
    }
}

/// The file, its size, and whether it ends amid a line, as after a crash. Only its owner may read it.
fn open(path: &Path) -> io::Result<(File, u64, bool)> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder(path))?;
    let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok((file, size, last != [b'\n']))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `audit.log` as of a moment.
fn backup(path: &Path, at: Time) -> PathBuf {
    let (stem, end) = parted(path);
    let moment = at.rfc3339().trim_end_matches('Z').replace(':', "-");
    path.with_file_name(format!("{stem}-{moment}.{:03}{end}", at.millis().rem_euclid(1000)))
}

/// When a file was renamed, if it is one of ours.
fn dated(path: &Path, found: &Path) -> Option<Time> {
    let (stem, end) = parted(path);
    let moment = found.file_name()?.to_str()?.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&end)?;
    let (day, time) = moment.split_once('T')?;
    Time::parse_rfc3339(&format!("{day}T{}Z", time.replacen('-', ":", 2)))
}

/// `audit` and `.log`.
fn parted(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let end = text(path.extension()).map(|end| format!(".{end}")).unwrap_or_default();
    (text(path.file_stem()).unwrap_or_default(), end)
}

const BATCH: usize = 256 * 1024;
const STACK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct Moments(AtomicI64);

    impl Clock for Moments {
        fn now(&self) -> Time {
            Time::from_millis(self.0.load(Ordering::Relaxed))
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn settings(folder: &Path) -> LogFile {
        LogFile {
            path: folder.join("logs/audit.log"),
            most_bytes: 10,
            most_backups: 2,
            most_age: Duration::from_secs(86_400),
        }
    }

    #[test]
    fn a_full_log_is_renamed_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Moments(AtomicI64::new(1_767_323_045_678)));
        let mut log = Rotating::open(settings(folder.path()), clock.clone()).unwrap();
        let logs = folder.path().join("logs");
        log.put(b"one\n").unwrap();
        log.put(b"two\n").unwrap();
        assert_eq!(names(&logs), ["audit.log"]);
        log.put(b"three\n").unwrap();
        assert_eq!(names(&logs), ["audit-2026-01-02T03-04-05.678.log", "audit.log"]);
        // Again in the same moment, and a line that is longer than a file may be.
        log.put(b"a line of more than ten bytes\n").unwrap();
        log.put(b"four\n").unwrap();
        assert_eq!(
            names(&logs),
            ["audit-2026-01-02T03-04-05.679.log", "audit-2026-01-02T03-04-05.680.log", "audit.log"]
        );
        assert_eq!(fs::read_to_string(logs.join("audit.log")).unwrap(), "four\n");
        fs::write(logs.join("audit-of-something-else.log"), "").unwrap();
        clock.0.fetch_add(2 * 86_400_000, Ordering::Relaxed);
        log.put(b"five six\n").unwrap();
        assert_eq!(
            names(&logs),
            ["audit-2026-01-04T03-04-05.678.log", "audit-of-something-else.log", "audit.log"]
        );
        let mode = fs::metadata(logs.join("audit.log")).unwrap().mode();
        assert_eq!((mode & 0o777, fs::metadata(&logs).unwrap().mode() & 0o777), (0o600, 0o700));
    }

    #[test]
    fn a_log_that_others_take_away_begins_anew_and_half_a_line_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let settings = LogFile { most_bytes: 0, ..settings(folder.path()) };
        let path = settings.path.clone();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "half a").unwrap();
        let clock = Arc::new(Moments(AtomicI64::new(0)));
        let mut log = Rotating::open(settings, clock).unwrap();
        log.put(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "half a\none\n");
        fs::rename(&path, path.with_extension("1")).unwrap();
        log.put(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        log.put(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_log_that_cannot_be_rotated_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Moments(AtomicI64::new(0)));
        let mut log = Rotating::open(settings(folder.path()), clock).unwrap();
        log.put(b"12345678\n").unwrap();
        // A name that is longer than names may be.
        log.settings.path = folder.path().join("logs/audit.log");
        let long = format!("{}.log", "a".repeat(240));
        fs::rename(&log.settings.path, log.settings.path.with_file_name(&long)).unwrap();
        log.settings.path.set_file_name(&long);
        log.put(b"more of it\n").unwrap();
        assert!(log.stuck);
        assert_eq!(fs::read_to_string(&log.settings.path).unwrap(), "12345678\nmore of it\n");
    }

    #[test]
    fn what_a_full_disk_took_in_part_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Moments(AtomicI64::new(0)));
        let mut log = Rotating::open(LogFile { most_bytes: 0, ..settings(folder.path()) }, clock).unwrap();
        log.put(b"one\n").unwrap();
        // As write_all leaves it when the disk is full amid a line.
        log.file.write_all(b"tw").unwrap();
        log.take_back();
        log.put(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&log.settings.path).unwrap(), "one\nthree\n");
    }
}
