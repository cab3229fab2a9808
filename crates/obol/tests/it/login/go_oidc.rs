//! Go's `go-oidc`, which the Kubernetes API server, Argo CD and many others stand on, as the application.

use testkit::peers::{node, place};
use tokio::process::Command;

use super::{PERSON, passes, provider};

/// Discovery, the key set, the ID token with its `at_hash`, a refresh, and tokens that are not good: all of it is
/// `go-oidc`'s and `golang.org/x/oauth2`'s to judge. The person is a script.
#[tokio::test]
#[ignore = "peer: go-oidc, node"]
async fn go_oidc_accepts_what_is_good_and_nothing_else() {
    let provider = provider().await;
    let folder = provider.folder.path();
    std::fs::write(folder.join("person.mjs"), PERSON).unwrap();
    // Prepares the script; the program calls it with the URL that a person is sent to.
    node(folder, "browser", include_str!("browser.mjs")).unwrap();
    let mut command = Command::new(place("GO_OIDC").unwrap());
    command
        .arg(place("NODE").unwrap())
        .arg(folder.join("browser.mjs"))
        .env("SSL_CERT_FILE", &provider.ca_file)
        .env("NODE_EXTRA_CA_CERTS", &provider.ca_file);
    passes(command, &provider, "go_oidc").await;
}
