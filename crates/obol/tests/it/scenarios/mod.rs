//! The scenarios of `docs/scenarios`, run as they stand there: the configuration of a page, real API servers in the place
//! of its clusters, real kubectl with the plugin.

mod argo_cd;
mod authmesh;
mod gitlab_and_spiffe;
mod service_account_issuer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::TestCa;
use testkit::peers::{Process, free_port, until};

use crate::run::obol;

/// A page of the docs, with its example names replaced by real ones.
pub(super) struct Page {
    text: String,
    names: Vec<(String, String)>,
}

impl Page {
    pub(super) fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios").join(name);
        Self { text: fs::read_to_string(path).unwrap(), names: Vec::new() }
    }

    /// A page that holds only a configuration.
    pub(super) fn of(config: &str) -> Self {
        Self { text: format!("```yaml\n{config}```\n"), names: Vec::new() }
    }

    /// Puts a real name in the place of an example's.
    pub(super) fn with(mut self, example: &str, real: impl std::fmt::Display) -> Self {
        assert!(self.text.contains(example), "the page does not mention {example}");
        self.names.push((example.to_owned(), real.to_string()));
        self
    }

    /// The first fenced block of that language that holds `mark`.
    pub(super) fn block(&self, language: &str, mark: &str) -> String {
        let fence = format!("```{language}\n");
        let blocks = self.text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
        let block = blocks.into_iter().find(|block| block.contains(mark)).expect("the page has such a block");
        self.names.iter().fold(block.to_owned(), |text, (example, real)| text.replace(example, real))
    }
}

/// What stands in the first element of a YAML list: pages show kubeconfigs in YAML, kubectl's tests speak JSON.
pub(super) fn first_of(yaml: &str, list: &str) -> serde_json::Value {
    let faults = config::Faults::new();
    let root = config::parse(yaml, &faults).expect("YAML");
    let mut fields = root.fields(config::KeyStyle::Ours, &faults);
    let value: serde_json::Value = fields.required(list).expect("the list");
    fields.finish();
    value[0].clone()
}

/// `obol serve` with a page's configuration, over HTTPS with a CA of its own.
pub(super) struct Provider {
    process: Process,
    pub(super) issuer: String,
    pub(super) ca_file: PathBuf,
    pub(super) folder: TempDir,
    /// A folder that goes away with it, where the configuration names one.
    pub(super) database: Option<TempDir>,
    _place: Place,
}

impl Provider {
    /// Chooses a port before anything else, since others must be told the issuer.
    pub(super) async fn start(page: Page, place: Place) -> Self {
        let folder = TempDir::new().unwrap();
        let leaf = place.ca.leaf(&[]);
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let (cert, key) = (file("tls.crt", &leaf.cert_pem), file("tls.key", &leaf.key_pem));
        let page = page
            .with("https://obol.example.com", &place.issuer)
            .with("0.0.0.0:5556", place.issuer.trim_start_matches("https://"))
            .with("/etc/obol/tls.crt", cert.display())
            .with("/etc/obol/tls.key", key.display());
        let config = file("config.yaml", &page.block("yaml", "storage:"));
        let checked = obol(&["check", "--strict", config.to_str().unwrap()]).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let mut process =
            Process::start("obol", &mut obol(&["serve", config.to_str().unwrap()]), folder.path()).unwrap();
        let address = place.issuer.trim_start_matches("https://").to_owned();
        process.ready(async || listens(&address).await).await.unwrap();
        let (issuer, ca_file) = (place.issuer.clone(), place.ca_file.clone());
        Self { process, issuer, ca_file, folder, database: None, _place: place }
    }

    /// Writes a file beside the configuration.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// What the provider printed once all marks are in it: audit lines are written behind the answers.
    pub(super) async fn log_with(&self, marks: &[&str]) -> String {
        let found = until("the log holds what is looked for", async || {
            let log = self.log();
            if marks.iter().all(|mark| log.contains(mark)) { Ok(log) } else { Err(log) }
        });
        found.await.unwrap()
    }

    /// What the provider printed.
    pub(super) fn log(&self) -> String {
        self.process.log()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test looks whether the server listens")]
pub(super) async fn listens(address: &str) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// Where a provider will be, before it is.
pub(super) struct Place {
    pub(super) issuer: String,
    pub(super) ca_file: PathBuf,
    ca: TestCa,
    folder: TempDir,
}

impl Place {
    pub(super) fn choose() -> Self {
        let (ca, folder) = (TestCa::new(), TempDir::new().unwrap());
        let ca_file = folder.path().join("ca.pem");
        fs::write(&ca_file, ca.pem()).unwrap();
        let issuer = format!("https://127.0.0.1:{}", free_port().unwrap());
        Self { issuer, ca_file, ca, folder }
    }

    /// Writes a file that the configuration names.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// The plugin by its full path.
pub(super) fn binary() -> String {
    Command::new(env!("CARGO_BIN_EXE_obol")).get_program().to_str().unwrap().to_owned()
}
