//! A program that runs beside a test: its output kept, its readiness awaited, its end certain.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running program. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints goes to `NAME.log` in `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> io::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log)?;
        command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
        let child =
            command.spawn().map_err(|error| io::Error::other(format!("{name} does not start: {error}")))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Asks `probe` until it says yes.
    ///
    /// # Errors
    /// If the program ends, or time runs out; with the end of its log.
    pub async fn ready(&mut self, mut probe: impl AsyncFnMut() -> bool) -> io::Result<()> {
        let polling = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    break Err(io::Error::other(format!("{} ended with {status}", self.name)));
                }
                if probe().await {
                    break Ok(());
                }
                pause().await;
            }
        };
        let outcome = tokio::time::timeout(DEADLINE, polling).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(io::Error::other(format!("{} is not ready in time", self.name))));
        outcome.map_err(|error| io::Error::other(format!("{error}; its log ends:\n{}", self.log_end())))
    }

    /// The same with a probe that does not wait, whose future may go from thread to thread.
    ///
    /// # Errors
    /// If the program ends, or time runs out; with the end of its log.
    pub async fn ready_when(&mut self, mut probe: impl FnMut() -> bool + Send) -> io::Result<()> {
        let polling = async {
            while !probe() {
                if let Some(status) = self.child.try_wait()? {
                    return Err(io::Error::other(format!("{} ended with {status}", self.name)));
                }
                pause().await;
            }
            Ok(())
        };
        let outcome = tokio::time::timeout(DEADLINE, polling).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(io::Error::other(format!("{} is not ready in time", self.name))));
        outcome.map_err(|error| io::Error::other(format!("{error}; its log ends:\n{}", self.log_end())))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// If time runs out; with the end of its log.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        let child = &mut self.child;
        let ended = until("the end of the program", async || {
            let status = child.try_wait().map_err(|error| error.to_string())?;
            status.ok_or_else(|| String::from("it runs"))
        });
        let outcome = ended.await;
        outcome.map_err(|error| {
            io::Error::other(format!("{}: {error}; its log ends:\n{}", self.name, self.log_end()))
        })
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|raw| String::from_utf8_lossy(&raw).into_owned()).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(30)).copied().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself: nothing to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `probe` until it has an answer, for programs that say nothing when they are done with something.
///
/// # Errors
/// If time runs out; `what` says what was waited for, and the probe's last refusal why not.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> io::Result<T> {
    let mut last = String::new();
    let polling = async {
        loop {
            match probe().await {
                Ok(answer) => break answer,
                Err(refusal) => last = refusal,
            }
            pause().await;
        }
    };
    let outcome = tokio::time::timeout(DEADLINE, polling).await;
    outcome.map_err(|_| io::Error::other(format!("{what}: not in time; last: {last}")))
}

#[expect(clippy::disallowed_methods, reason = "a program of another maker lives by the wall clock")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A port that is free now, for programs that cannot choose one themselves and say which.
///
/// It lies below the range from which the system gives out ports: to lose it, another caller would have to draw the
/// same of twelve thousand in the moment before the program binds it.
///
/// # Errors
/// If there is none.
pub fn free_port() -> io::Result<u16> {
    let seed = RandomState::new();
    let candidates =
        (0..1000_u32).filter_map(|turn| u16::try_from(20_000 + seed.hash_one(turn) % 12_000).ok());
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    candidates.into_iter().find(is_free).ok_or_else(|| io::Error::other("no free port"))
}

/// For anything that is waited for. Long, since the machine may be busy; a test that passes never waits for it.
const DEADLINE: Duration = Duration::from_secs(120);
