//! What a process uses, as the kernel counts it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell::output;

/// What a process holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Of its own.
    pub(crate) anonymous: u64,
    /// In RAM, shared or not.
    pub(crate) resident: u64,
}

impl Memory {
    /// Reads `/proc/PID/smaps_rollup`.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let rollup = read(pid, "smaps_rollup")?;
        let bytes =
            |name| kibibytes(&rollup, name).context("smaps_rollup has an unknown form").map(|kib| kib * 1024);
        Ok(Self { anonymous: bytes("Anonymous:")?, resident: bytes("Rss:")? })
    }

    /// The larger of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { anonymous: self.anonymous.max(other.anonymous), resident: self.resident.max(other.resident) }
    }
}

/// User and system time of all threads of a process, so far.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let ticks_per_second: u64 = output(Command::new("getconf").arg("CLK_TCK"))?.trim().parse()?;
    let ticks = ticks(&read(pid, "stat")?).context("/proc/PID/stat has an unknown form")?;
    Ok(Duration::from_millis(ticks * 1000 / ticks_per_second.max(1)))
}

/// For showing.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).context(path)
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
        let own = Memory::of(std::process::id()).unwrap();
        assert!(own.anonymous > 0 && own.resident >= own.anonymous, "{own:?}");
        cpu(std::process::id()).unwrap();
    }

    #[test]
    fn the_most_is_kept_of_each() {
        let (a, b) = (Memory { anonymous: 1, resident: 9 }, Memory { anonymous: 2, resident: 8 });
        assert_eq!(a.max(b), Memory { anonymous: 2, resident: 9 });
    }
}
