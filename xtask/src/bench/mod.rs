//! `cargo xtask bench`: what a running server costs, measured from outside, in one run and as one table.
//!
//! A bench is one file and one line in [`BENCHES`]. Servers run on the first core and loads come from the last one, so
//! that what is compared ran on the same core. Every load is bounded, and goes to the loopback interface alone.

mod arrivals;
mod exchange;
mod expr;
mod latency;
mod load;
mod memory;
mod policies;
mod scene;
mod size;
mod start;
mod table;
mod usage;
mod wrk;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, output, run as run_command, step};
use table::Section;

/// What to measure.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    plan: Plan,
    /// These benches alone: exchange, latency, policies, expr, memory, start, size
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Write the table to docs/benchmarks.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
    #[command(subcommand)]
    other: Option<Other>,
}

/// How much of it.
#[derive(clap::Args)]
pub(crate) struct Plan {
    /// Seconds for each load
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: u64,
    /// How often what is compared takes turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    rounds: u64,
}

/// What is not part of the table.
#[derive(clap::Subcommand)]
enum Other {
    /// Load one URL of a server that runs on this machine, and say what a request costs it
    Load(load::Load),
}

/// Something to measure.
struct Bench {
    name: &'static str,
    measure: fn(&Plan) -> Result<Section>,
}

/// In the table's order.
const BENCHES: &[Bench] = &[
    exchange::BENCH,
    latency::BENCH,
    policies::BENCH,
    expr::BENCH,
    memory::BENCH,
    start::BENCH,
    size::BENCH,
];

/// Measures and prints.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(Other::Load(load)) = &args.other {
        print!("{}", load::measure(load)?);
        return Ok(());
    }
    let benches = chosen(&args.only)?;
    build()?;
    stay_on_last_core()?;
    let sections = benches.into_iter().map(|bench| step(bench.name, || (bench.measure)(&args.plan)));
    let text = table::render(&head(&args.plan)?, &sections.collect::<Result<Vec<_>>>()?);
    print!("{text}");
    if args.write {
        fs::write(PAGE, text).context(PAGE)?;
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Bench>> {
    if let Some(unknown) = names.iter().find(|name| !BENCHES.iter().any(|bench| bench.name == *name)) {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no bench {unknown:?}; there are {}", known.join(", "));
    }
    let wanted = |bench: &&Bench| names.is_empty() || names.iter().any(|name| name == bench.name);
    Ok(BENCHES.iter().filter(wanted).collect())
}

fn build() -> Result<()> {
    let build =
        |what: &[&str]| run_command(cargo().args(["build", "--release", "--locked", "--package"]).args(what));
    step("release build", || build(&["obol"]))?;
    step("raw signatures", || build(&["token", "--example", "raw"]))?;
    step("policies", || build(&["provider", "--example", "policies"]))?;
    step("evaluations", || build(&["expr", "--example", "evaluations"]))
}

/// Only this thread and what it starts: the generator of [`arrivals`] must not take the server's core.
fn stay_on_last_core() -> Result<()> {
    let own = std::process::id().to_string();
    output(Command::new("taskset").args(["--pid", "--cpu-list", &last_core()?, &own])).map(drop)
}

/// Where loads come from.
fn last_core() -> Result<String> {
    Ok((cores()? - 1).to_string())
}

/// All of the machine's, however few this thread may use. At least one.
fn cores() -> Result<usize> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    Ok(processors.lines().filter(|line| line.starts_with("processor")).count().max(1))
}

/// A program on the core that servers and raw signatures share.
fn on_first_core(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", FIRST_CORE, program]);
    command
}

fn head(plan: &Plan) -> Result<String> {
    let (seconds, rounds) = (plan.seconds, plan.rounds);
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let busy = fs::read_to_string("/proc/loadavg")?;
    let busy = busy.split(' ').next().unwrap_or("?");
    Ok(format!(
        "Made by `cargo xtask bench --seconds {seconds} --rounds {rounds} --write` on {} cores ({}), where {busy} threads \
         wanted to run on average just before. The server and what it is compared with run on the first core, loads \
         come from the last one. A figure is the median of its turns, beside it the least and the most. Ratios hold on \
         a busy machine; absolute figures and latencies do not.",
        cores()?,
        model.trim_start_matches([' ', '\t', ':'])
    ))
}

const FIRST_CORE: &str = "0";
const BINARY: &str = "target/release/obol";
const PAGE: &str = "docs/benchmarks.md";
