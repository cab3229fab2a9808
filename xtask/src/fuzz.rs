//! `cargo xtask fuzz`: every target of fuzz/ for a while. A find becomes a plain test beside the parser it broke.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{run as run_command, step};
use crate::tools;

/// What to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    only: Option<String>,
}

/// Runs the targets; the first find stops it, with the input in fuzz/artifacts.
pub(crate) fn run(args: &Args) -> Result<()> {
    let fuzz = tools::cargo_fuzz()?;
    let mut targets = targets()?;
    if let Some(only) = &args.only {
        targets.retain(|target| target == only);
    }
    if targets.is_empty() {
        bail!("no such target in fuzz/targets");
    }
    for target in &targets {
        step(&format!("fuzz {target}"), || {
            // Without a sanitizer it runs on a stable compiler; there is no unsafe code of ours to sanitize.
            let mut command = Command::new(&fuzz);
            command.args(["fuzz", "run", "--sanitizer", "none", target, "--"]);
            command
                .arg(format!("-max_total_time={}", args.seconds))
                .args(["-timeout=10", "-print_final_stats=1"]);
            run_command(&mut command)
        })?;
    }
    println!("fuzz: {} targets without a find", targets.len());
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let files = fs::read_dir("fuzz/targets").context("fuzz/targets")?;
    let mut names: Vec<_> =
        files.flatten().filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}
