//! What a command gets from the process it runs in. Nothing behind this door reaches for it by itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};

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

    /// How this program is called in a terminal: by its name if the search path leads here, else by its place.
    pub(crate) fn command(&self) -> String {
        let Ok(here) = std::env::current_exe().and_then(|path| path.canonicalize()) else {
            return "obol".into();
        };
        let path = self.environment.get("PATH").unwrap_or_default();
        let folders = path.split(':').filter(|folder| !folder.is_empty());
        let found =
            folders.map(|folder| Path::new(folder).join("obol")).find_map(|path| path.canonicalize().ok());
        if found.is_some_and(|found| found == here) {
            "obol".into()
        } else {
            here.to_string_lossy().into_owned()
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_called_by_its_name_only_where_the_search_path_leads_to_it() {
        let here = std::env::current_exe().unwrap().canonicalize().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let with =
            |path: &Path| Door { environment: [("PATH", path.to_str().unwrap())].into_iter().collect() };
        assert_eq!(with(folder.path()).command(), here.to_str().unwrap());
        std::os::unix::fs::symlink(&here, folder.path().join("obol")).unwrap();
        assert_eq!(with(folder.path()).command(), "obol");
        assert_eq!(Door { environment: Environment::default() }.command(), here.to_str().unwrap());
    }
}
