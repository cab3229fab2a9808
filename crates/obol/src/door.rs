//! What a command gets from the process it runs in. Nothing behind this door reaches for it by itself.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use config::Environment;
use wire::exec_credential::ExecInfo;

/// The process, as commands see it.
#[derive(Debug)]
pub(crate) struct Door {
    /// Its environment when it started.
    pub(crate) environment: Environment,
}

impl Door {
    /// Of the running process.
    pub(crate) fn open() -> Self {
        Self { environment: Environment::from_process() }
    }

    /// What kubectl says about itself, if it is kubectl that started us.
    pub(crate) fn exec_info(&self) -> anyhow::Result<Option<ExecInfo>> {
        let text = self.environment.get("KUBERNETES_EXEC_INFO").filter(|text| !text.is_empty());
        Ok(text.map(ExecInfo::parse).transpose()?)
    }

    /// The person's home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        let home = self.environment.get("HOME").or_else(|| self.environment.get("USERPROFILE"));
        home.filter(|home| !home.is_empty()).map(PathBuf::from)
    }

    /// Runs a command that does one thing and ends.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("cannot start the runtime")?.block_on(work)
    }

    /// Writes a result to stdout, whole, with a line feed at its end. Words for people go to stderr.
    pub(crate) fn print(&self, result: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let end = if result.ends_with('\n') { "" } else { "\n" };
        write!(out, "{result}{end}").and_then(|()| out.flush()).context("cannot write to standard output")
    }
}
