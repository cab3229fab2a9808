//! `cargo xtask bench`: what a running server costs, measured from outside.

mod exchange;
mod policies;
mod usage;
mod wrk;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::shell::{cargo, run as run_command, step};
use usage::Usage;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Args {
    /// Token exchange against its two bare signatures; memory; binary size
    Exchange(exchange::Args),
    /// A decision among 1, 100 and 10,000 policies, and what reading them takes
    Policies,
    /// Load one URL of a server that runs on this machine, and say what a request costs it
    Load(Load),
    /// The size of the stripped release binary
    Size,
}

/// A load that ends by itself.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// On the loopback interface
    url: String,
    /// The server's process
    #[arg(long)]
    pid: u32,
    /// For how long
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How many at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    connections: u32,
    /// A wrk script that makes the requests: method, headers, body
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args {
        Args::Exchange(args) => exchange::run(args)?,
        Args::Policies => policies::run()?,
        Args::Load(load) => print!("{}", measure(load)?),
        Args::Size => println!("release binary: {:.1} MiB (bound: 25)", mebibytes(size()?)),
    }
    Ok(())
}

/// What a load showed.
pub(crate) struct Measured {
    load: wrk::Report,
    cpu: Duration,
    usage: Usage,
}

/// Puts a load on a server and reads what it used meanwhile.
pub(crate) fn measure(load: &Load) -> Result<Measured> {
    // Only ever against ourselves: a load tool pointed elsewhere is an attack.
    let is_local =
        ["http://127.0.0.1:", "https://127.0.0.1:"].iter().any(|prefix| load.url.starts_with(prefix));
    if !is_local || load.url.contains('@') {
        bail!("{} is not on the loopback interface: the URL must begin with http(s)://127.0.0.1:", load.url);
    }
    let before = Usage::of(load.pid)?;
    let report = wrk::run(load)?;
    let usage = Usage::of(load.pid)?;
    Ok(Measured { load: report, cpu: usage.cpu.saturating_sub(before.cpu), usage })
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self { load, cpu, usage }, seconds) = (self, self.cpu.as_secs_f64());
        writeln!(f, "| figure | measured |\n|---|---|")?;
        writeln!(f, "| requests | {} ({} failed) |", load.requests, load.failed)?;
        writeln!(f, "| requests per second | {:.0} |", load.requests_per_second)?;
        writeln!(
            f,
            "| requests per core-second of the server | {:.0} |",
            load.requests_per_core_second(*cpu)
        )?;
        writeln!(f, "| server's CPU time | {seconds:.2} s |")?;
        for (percentile, latency) in &load.latency {
            writeln!(f, "| latency, {percentile} | {latency} |")?;
        }
        writeln!(f, "| memory, anonymous | {:.1} MiB |", mebibytes(usage.anonymous))?;
        writeln!(f, "| memory, resident | {:.1} MiB |", mebibytes(usage.resident))
    }
}

/// Of the binary that a release would ship.
fn size() -> Result<u64> {
    step("release build", || {
        run_command(cargo().args(["build", "--release", "--locked", "--package", "obol"]))
    })?;
    Ok(std::fs::metadata("target/release/obol")?.len())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
