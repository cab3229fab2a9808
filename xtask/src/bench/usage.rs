//! What a process uses, as the kernel counts it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell::output;

/// Of one process, so far.
#[derive(Debug)]
pub(crate) struct Usage {
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// Memory of its own, in bytes.
    pub(crate) anonymous: u64,
    /// Memory that is in RAM, shared or not, in bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// Reads `/proc`.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).context(path)
        };
        let ticks_per_second: u64 = output(Command::new("getconf").arg("CLK_TCK"))?.trim().parse()?;
        let ticks = ticks(&read("stat")?).context("/proc/PID/stat has an unknown form")?;
        let rollup = read("smaps_rollup")?;
        let memory =
            |name| kibibytes(&rollup, name).context("smaps_rollup has an unknown form").map(|kib| kib * 1024);
        Ok(Self {
            cpu: Duration::from_millis(ticks * 1000 / ticks_per_second.max(1)),
            anonymous: memory("Anonymous:")?,
            resident: memory("Rss:")?,
        })
    }
}

/// utime and stime, fields 14 and 15. The name in field 2 may hold blanks: count from its closing parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn kibibytes(rollup: &str, name: &str) -> Option<u64> {
    rollup.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_read_as_it_writes() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 70 5 6 7 20 0";
        assert_eq!(ticks(stat), Some(75));
        assert_eq!(
            kibibytes("Rss:                1632 kB\nAnonymous:            88 kB\n", "Anonymous:"),
            Some(88)
        );
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.anonymous > 0 && usage.resident >= usage.anonymous, "{usage:?}");
    }
}
