//! `cargo xtask bench policies`: what policies cost, alone and in an exchange. The decision must not grow with policies that
//! cannot match.

use anyhow::{Context, Result, bail};
use std::process::Command;

use crate::shell::{cargo, output, run as run_command, step};

/// Measures and prints a table.
pub(crate) fn run() -> Result<()> {
    step("release build", || {
        run_command(cargo().args([
            "build",
            "--release",
            "--locked",
            "-p",
            "provider",
            "--example",
            "policies",
        ]))
    })?;
    println!(
        "| policies | YAML | read, compile, index | decision: found | decision: none matches | found, against one policy |\n\
         |---|---|---|---|---|---|"
    );
    let mut one = None;
    for count in COUNTS {
        let (bytes, load, found, missed) = measure(count)?;
        let first = *one.get_or_insert(found);
        println!(
            "| {count} | {:.1} KiB | {load:.1} ms | {found:.0} ns | {missed:.0} ns | {:.2} |",
            bytes / 1024.0,
            found / first
        );
        if found > BOUND * first {
            bail!("a decision among {count} policies takes {:.1} times as long as with one", found / first);
        }
    }
    Ok(())
}

fn measure(count: u32) -> Result<(f64, f64, f64, f64)> {
    let mut command = Command::new("target/release/examples/policies");
    let printed = output(command.arg(count.to_string()))?;
    let figures: Vec<f64> =
        printed.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("figures")?;
    let [bytes, load, found, missed] = figures.as_slice() else { bail!("four figures, not {printed:?}") };
    Ok((*bytes, *load, *found, *missed))
}

const COUNTS: [u32; 3] = [1, 100, 10_000];
/// Caches are colder among many; a scan of ten thousand would be thousands of times slower.
const BOUND: f64 = 4.0;
