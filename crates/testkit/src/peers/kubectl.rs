//! kubectl, as its makers build it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// kubectl with one kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    variables: Vec<(String, String)>,
}

/// What it answered.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended with 0.
    pub is_ok: bool,
    /// With what it ended.
    pub code: Option<i32>,
    /// Its result.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
}

impl Kubectl {
    /// kubectl that knows nothing but this kubeconfig.
    ///
    /// # Errors
    /// If nobody said where kubectl is.
    pub fn new(kubeconfig: &Path) -> io::Result<Self> {
        Ok(Self::of(super::place("KUBECTL")?, kubeconfig))
    }

    /// The same of many releases ago.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn old(kubeconfig: &Path) -> io::Result<Self> {
        Ok(Self::of(super::place("KUBECTL_OLD")?, kubeconfig))
    }

    fn of(program: PathBuf, kubeconfig: &Path) -> Self {
        let cache = kubeconfig.with_extension("cache").display().to_string();
        let variables = vec![("KUBECACHEDIR".to_owned(), cache)];
        Self { program, kubeconfig: kubeconfig.to_owned(), variables }
    }

    /// The same with one more environment variable, which exec plugins see too.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command.
    ///
    /// # Errors
    /// If kubectl cannot be run; that it failed is in the answer.
    pub async fn run(&self, args: &[&str]) -> io::Result<Said> {
        self.run_with(args, "").await
    }

    /// Runs a command that reads its standard input.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_with(&self, args: &[&str], input: &str) -> io::Result<Said> {
        let mut child = self.command(args).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that fails early does not read to the end; its own complaint says more than a broken pipe.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        Ok(Said {
            is_ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A command that is not run yet, for those that go on until somebody ends them.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        command.env_remove("KUBECONFIG").envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Creates or changes the objects of a YAML text.
    ///
    /// # Errors
    /// If the API server does not take them.
    pub async fn apply(&self, yaml: &str) -> io::Result<()> {
        // The oldest API server here does not publish the schema that this kubectl validates by.
        self.run_with(&["apply", "--validate=false", "-f", "-"], yaml).await?.result().map(drop)
    }
}

impl Said {
    /// The result, if the command ended well.
    ///
    /// # Errors
    /// Its complaints.
    pub fn result(self) -> io::Result<String> {
        if self.is_ok { Ok(self.stdout) } else { Err(io::Error::other(format!("kubectl: {}", self.stderr))) }
    }
}
