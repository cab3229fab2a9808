//! Journey 2 as applications and people meet it: a real `obol serve` over HTTPS under a path, npm's `openid-client` as
//! the application, and Chromium as the browser.

mod authlib;
mod chromium;
mod go_oidc;
mod mod_auth_openidc;
mod oauth4webapi;
mod relying_party;

use std::fs;
use std::path::Path;

use testkit::peers::{node, place};
use tokio::process::Command;

use crate::run::{fed, obol, out};
use crate::scenarios::{Page, Place, Provider};

/// Starts the provider and runs one scenario of a script in front of it, which asserts for itself.
async fn play(script: &str, source: &str, scenario: &str) {
    let provider = provider().await;
    let folder = provider.folder.path();
    fs::write(folder.join("person.mjs"), PERSON).unwrap();
    let mut command = Command::from(node(folder, script, source).unwrap());
    command.arg(scenario).env("NODE_EXTRA_CA_CERTS", &provider.ca_file);
    passes(command, &provider, scenario).await;
}

/// The provider of [`CONFIG`].
async fn provider() -> Provider {
    let hash = fed(&mut obol(&["hash-password"]), PASSWORD);
    let database = tempfile::tempdir().unwrap();
    let page = Page::of(CONFIG)
        .with("HASH", out(&hash).trim_end())
        .with("/var/lib/obol.db", database.path().join("obol.db").display());
    let mut provider = Provider::start(page, Place::choose()).await;
    provider.database = Some(database);
    provider
}

/// Runs an application, which says `passed` at the end.
async fn passes(mut command: Command, provider: &Provider, scenario: &str) {
    command
        .env("ISSUER", format!("{}/dex", provider.issuer))
        .env("PASSWORD", PASSWORD)
        .env("CHROMIUM", place("CHROMIUM").unwrap_or_default())
        .env("PICTURES", pictures(provider.folder.path()))
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.ends_with("passed\n");
    assert!(passed, "{scenario}:\n{said}\n{errors}\n{}", provider.log());
    assert!(!provider.log().contains(PASSWORD), "the password is in the log");
}

/// Where the pictures go: a folder that a person names to look at them, or one that goes away with the test.
fn pictures(folder: &Path) -> std::path::PathBuf {
    let pictures = place("PICTURES").unwrap_or_else(|_| folder.join("pictures"));
    fs::create_dir_all(&pictures).unwrap();
    pictures
}

const PASSWORD: &str = "canary correct horse";

const PERSON: &str = include_str!("person.mjs");

const CONFIG: &str = r#"
issuer: https://obol.example.com/dex
storage: {type: sqlite3, config: {file: /var/lib/obol.db}}
sealing: none
web:
  https: 0.0.0.0:5556
  tlsCert: /etc/obol/tls.crt
  tlsKey: /etc/obol/tls.key
frontend: {issuer: Example Company}
expiry:
  refreshTokens: {reuseInterval: 0s}
oauth2:
  responseTypes: [code, token, id_token]
  passwordConnector: local
enablePasswordDB: true
staticPasswords:
- email: ana@example.com
  hash: "HASH"
  username: ana
  name: Ana B
  preferredUsername: ana-b
  userID: 08a8684b-db88-4b73-90a9-3cd1661f5466
  groups: [admins, developers]
- email: ben@example.com
  hash: "HASH"
  username: ben
  userID: 2c1f5a7e-1a52-4f2a-9a43-f9ff2cd1a9d0
connectors:
- {type: mockCallback, id: mock, name: Everybody}
staticClients:
- id: web-app
  name: Example Web Application
  secret: a secret with %, & and +
  redirectURIs: ["https://app.example/callback"]
- id: web-app-es256
  name: Another Application
  secret: other-secret
  idTokenSignedResponseAlg: ES256
  redirectURIs: ["https://app.example/callback"]
- id: native
  name: Command Line
  public: true
  redirectURIs: ["http://127.0.0.1/callback", "https://app.example/callback", "urn:ietf:wg:oauth:2.0:oob"]
"#;
