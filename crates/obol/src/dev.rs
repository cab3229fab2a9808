//! `obol serve --dev`: a made-up configuration that goes through the same loader as a written one.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ambient::{Clock as _, RandomExt as _};
use anyhow::Context as _;
use config::Faults;
use inbound::Listener;
use serde_json::json;
use token::{Alg, LocalSigner, Signer as _, SigningPool};

use crate::compose::{self, Bound};
use crate::configuration::{self, Surroundings};
use crate::door::Door;
use crate::terminal::tell;

/// Serves until the process is told to stop; the folder goes away with it.
pub(crate) async fn serve(port: u16, door: &Door, around: Surroundings) -> anyhow::Result<()> {
    let listener = bind(port).await?;
    let address = listener.address().context("the listener has no address")?;
    let folder = Folder::new(&around)?;
    let made = make(&address, &folder.0, &around, &quoted(&door.command())).await?;
    let faults = Faults::new();
    let path = folder.0.join("config.yaml");
    let listen = web::Instead::default();
    let configuration = configuration::read(&made.config, &path, &door.environment, &around, listen, &faults);
    configuration::report(&path, &faults);
    let configuration = configuration.context("the made-up configuration is faulty; please report this")?;
    std::fs::write(&path, &made.config).with_context(|| format!("cannot write {}", path.display()))?;
    configuration.telemetry.logger.install();
    tell(&made.hints);
    compose::serve(Bound::over(listener), configuration, around, None).await
}

struct Made {
    config: String,
    hints: String,
}

/// The wished port, or any: two trials at once must not get into each other's way.
async fn bind(port: u16) -> anyhow::Result<Listener> {
    match Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .context("cannot listen on loopback"),
    }
}

async fn make(
    address: &SocketAddr,
    folder: &Path,
    around: &Surroundings,
    program: &str,
) -> anyhow::Result<Made> {
    let issuer = format!("http://{address}");
    let (password, secret) = (around.random.hex(8), around.random.hex(16));
    let hash = bcrypt::hash(&password, 10).context("cannot hash the password")?;
    let pool = SigningPool::start(1, 4).context("cannot start a signing thread")?;
    let private = LocalSigner::generate(Alg::Es256, &pool).await?;
    let signer = LocalSigner::from_pkcs8(Alg::Es256, &private, &pool)?;
    let jwks = json!({ "keys": [signer.public_jwk()] }).to_string();
    let subject = folder.join("workload.jwt");
    write_private(
        &subject,
        token::sign_jwt(&signer, Some("JWT"), workload(&issuer, around).as_bytes()).await?.as_bytes(),
    )?;
    let storage = folder.join("obol.db");
    let config = format!(
        r#"issuer: {issuer}
storage: {{type: sqlite3, config: {{file: "{storage}"}}}}
sealing: none
web: {{http: "{address}"}}
oauth2: {{grantTypes: [authorization_code, refresh_token, client_credentials, "urn:ietf:params:oauth:grant-type:token-exchange"]}}
staticClients:
- {{id: dev, name: Trial client, public: true}}
- {{id: dev-secret, name: Trial client with a secret, secret: "{secret}", redirectURIs: ["http://127.0.0.1/callback"]}}
enablePasswordDB: true
staticPasswords:
- {{email: admin@example.com, username: admin, userID: "1", hash: '{hash}', groups: [admins]}}
connectors:
- type: jwt
  id: workloads
  name: Trial workloads
  config: {{issuer: "https://workloads.example.com", jwks: '{jwks}'}}
tokenExchange:
  policies:
  - name: trial
    subject: {{connector: workloads, match: claims.sub == "reports"}}
    clients: [dev]
    audiences: [dev]
    issue: {{subject: '"workload:" + claims.sub', groups: '["readers"]'}}
"#,
        storage = storage.display()
    );
    Ok(Made { hints: hints(program, &issuer, &password, &secret, &subject), config })
}

/// The claims of a workload's token, as some issuer would sign them.
fn workload(issuer: &str, around: &Surroundings) -> String {
    let now = around.clock.now().unix();
    let (id, day) = (around.random.uuid(), 24 * 3600);
    json!({ "iss": "https://workloads.example.com", "sub": "reports", "aud": issuer, "iat": now, "exp": now + day, "jti": id }).to_string()
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn hints(program: &str, issuer: &str, password: &str, secret: &str, subject: &Path) -> String {
    let mut out = String::new();
    let subject = subject.display();
    let _ = write!(
        out,
        "Obol serves {issuer} for a trial: loopback only, everything is forgotten at the end.\n\n\
         A person:    admin@example.com, password {password}\n\
         Clients:     dev (public), dev-secret (secret {secret})\n\
         A workload:  its token is in {subject}\n\n\
         Try, in another terminal:\n\n\
         # trade the workload's token for one of this issuer, and look at it\n\
         {program} exchange --issuer {issuer} --client-id dev --subject-token-file {subject} \\\n  \
         --subject-token-type urn:ietf:params:oauth:token-type:jwt | {program} inspect -\n\n\
         # the same by hand\n\
         curl -s {issuer}/token -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\\n  \
         -d client_id=dev -d subject_token_type=urn:ietf:params:oauth:token-type:jwt --data-urlencode subject_token@{subject}\n\n\
         # a client as itself, and what its token is worth\n\
         curl -s {issuer}/token -u dev-secret:{secret} -d grant_type=client_credentials -d scope='openid profile'\n\n\
         # what applications are told\n\
         curl -s {issuer}/.well-known/openid-configuration\n"
    );
    out
}

fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(content).with_context(|| format!("cannot write {}", path.display()))
}

/// A temporary folder that only this user may read.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(around: &Surroundings) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("obol-dev-{}", around.random.hex(6)));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_word_of_a_shell() {
        assert_eq!(quoted("/opt/obol-1.0/obol"), "/opt/obol-1.0/obol");
        assert_eq!(quoted("/my files/it's"), r"'/my files/it'\''s'");
    }
}
