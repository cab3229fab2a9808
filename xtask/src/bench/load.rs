//! `cargo xtask bench load`: as many requests as a server takes, and what they cost it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::usage::{self, Memory};
use super::wrk;

/// A load that ends by itself.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// On the loopback interface
    pub(super) url: String,
    /// The server's process
    #[arg(long)]
    pub(super) pid: u32,
    /// For how long
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) seconds: u64,
    /// How many at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) connections: u32,
    /// A wrk script that makes the requests: method, headers, body
    #[arg(long, value_name = "FILE")]
    pub(super) script: Option<PathBuf>,
}

/// What a load showed.
pub(crate) struct Measured {
    pub(super) load: wrk::Report,
    pub(super) cpu: Duration,
    /// The most there was of each during the load.
    pub(super) memory: Memory,
}

impl Measured {
    pub(super) fn requests_per_core_second(&self) -> f64 {
        self.load.requests_per_core_second(self.cpu)
    }
}

/// Puts a load on a server and reads what it used meanwhile.
pub(crate) fn measure(load: &Load) -> Result<Measured> {
    // Only ever against ourselves: a load tool pointed elsewhere is an attack.
    let is_local =
        ["http://127.0.0.1:", "https://127.0.0.1:"].iter().any(|prefix| load.url.starts_with(prefix));
    if !is_local || load.url.contains('@') {
        bail!("{} is not on the loopback interface: the URL must begin with http(s)://127.0.0.1:", load.url);
    }
    let before = usage::cpu(load.pid)?;
    let (report, memory) = while_watching(load.pid, || wrk::run(load))?;
    Ok(Measured { load: report, cpu: usage::cpu(load.pid)?.saturating_sub(before), memory })
}

fn while_watching<T>(pid: u32, work: impl FnOnce() -> Result<T>) -> Result<(T, Memory)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = Memory::of(pid)?;
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(200));
                most = most.max(Memory::of(pid)?);
            }
            Ok(most)
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        let most: Result<Memory> = watcher.join().unwrap_or_else(|_| bail!("the watching thread failed"));
        Ok((done?, most?))
    })
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self { load, cpu, memory }, per_core) = (self, self.requests_per_core_second());
        writeln!(f, "| figure | measured |\n|---|---|")?;
        writeln!(f, "| requests | {} ({} failed) |", load.requests, load.failed)?;
        writeln!(f, "| requests per second | {:.0} |", load.requests_per_second)?;
        writeln!(f, "| requests per core-second of the server | {per_core:.0} |")?;
        writeln!(f, "| server's CPU time | {:.2} s |", cpu.as_secs_f64())?;
        for (percentile, latency) in &load.latency {
            writeln!(f, "| latency, {percentile} | {latency} |")?;
        }
        writeln!(f, "| memory, anonymous | {:.1} MiB |", usage::mebibytes(memory.anonymous))?;
        writeln!(f, "| memory, resident | {:.1} MiB |", usage::mebibytes(memory.resident))
    }
}
