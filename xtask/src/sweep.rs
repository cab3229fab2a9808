//! Stops what a run left behind, and nothing else.
//!
//! Everything that a run starts inherits a variable with the run's own mark; a process that still carries it when
//! the run is over was started by it.

use std::fs;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The mark that `shell` puts on everything.
pub(crate) static THIS_RUN: LazyLock<Mark> = LazyLock::new(Mark::new);

/// The mark of one run.
pub(crate) struct Mark(String);

impl Mark {
    /// A mark that no other run has.
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self(format!("{}-{now}", std::process::id()))
    }

    /// Makes a child, and what it starts, carry the mark.
    pub(crate) fn put_on(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }

    /// Stops what still carries it; returns what those programs were called.
    pub(crate) fn sweep(&self) -> Vec<String> {
        let carried = format!("{VARIABLE}={}", self.0);
        let mut stopped = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(pid) = name.parse::<u32>() else { continue };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == carried.as_bytes()) {
                let program = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                if Command::new("kill")
                    .args(["-9", &pid.to_string()])
                    .status()
                    .is_ok_and(|status| status.success())
                {
                    stopped.push(program.trim().to_owned());
                }
            }
        }
        stopped
    }
}

const VARIABLE: &str = "OBOL_TEST_RUN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_carries_the_mark_is_stopped() {
        let (mine, other) = (Mark::new(), Mark("another".to_owned()));
        let start = |mark: &Mark| {
            let mut command = Command::new("cat");
            mark.put_on(&mut command);
            command.stdin(std::process::Stdio::piped()).spawn().unwrap()
        };
        let (mut swept, mut left) = (start(&mine), start(&other));
        assert_eq!(mine.sweep(), ["cat"]);
        assert!(!swept.wait().unwrap().success());
        assert!(left.try_wait().unwrap().is_none());
        drop(left.stdin.take());
        assert!(left.wait().unwrap().success());
    }
}
