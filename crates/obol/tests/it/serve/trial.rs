//! `obol serve --dev`: what it prints is copy-and-paste.

use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::peers::{Process, until};

use super::terminate;
use crate::run::{err, obol, out};

struct Trial {
    process: Process,
    folder: TempDir,
}

impl Trial {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = obol(&["serve", "--dev", "--port", "0"]);
        command.env("TMPDIR", folder.path());
        let process = Process::start("obol", &mut command, folder.path()).unwrap();
        let trial = Self { process, folder };
        let ready =
            async || trial.process.log().contains("serving").then_some(()).ok_or_else(|| trial.process.log());
        until("the trial serves", ready).await.unwrap();
        trial
    }

    /// The printed commands that begin with `program`, lines put together as a shell does.
    fn commands(&self, program: &str) -> Vec<String> {
        let log = self.process.log().replace("\\\n", "");
        let lines = log.lines().map(str::trim).filter(|line| line.starts_with(program));
        lines.map(str::to_owned).collect()
    }

    /// Runs a command as it stands, in another terminal.
    fn run(&self, line: &str) -> Output {
        let mut shell = Command::new("/bin/sh");
        let path = "/usr/local/bin:/usr/bin:/bin";
        shell.args(["-c", line]).env_clear().env("PATH", path).env("HOME", self.folder.path());
        shell.output().unwrap()
    }

    async fn stop(mut self) {
        terminate(&self.process);
        assert!(self.process.ended().await.unwrap().success(), "{}", self.process.log());
        let left: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("obol-dev-")), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_exchange_works_and_nothing_stays_behind() {
    let trial = Trial::start().await;
    // It was started with no search path, so that its name alone would not do.
    let commands = trial.commands(env!("CARGO_BIN_EXE_obol"));
    assert_eq!(commands.len(), 1, "{}", trial.process.log());
    let told = trial.run(&commands[0]);
    assert!(told.status.success(), "{}", err(&told));
    assert!(out(&told).contains("workload:reports") && out(&told).contains("readers"), "{}", out(&told));
    trial.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "peer: curl"]
async fn the_printed_curl_commands_work() {
    let trial = Trial::start().await;
    let commands = trial.commands("curl ");
    assert_eq!(commands.len(), 3, "{}", trial.process.log());
    for line in &commands {
        let told = trial.run(line);
        let answer: serde_json::Value = serde_json::from_str(out(&told))
            .unwrap_or_else(|error| panic!("{line}: {error}: {}", err(&told)));
        let good = answer["access_token"].is_string() || answer["token_endpoint"].is_string();
        assert!(good, "{line}: {answer}");
    }
    trial.stop().await;
}
