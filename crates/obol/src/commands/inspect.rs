//! `obol inspect`: what a token says, and whether its issuer really said it.

use ambient::{Clock as _, SystemClock};
use anyhow::Context as _;
use client::Inspection;

use crate::cli::Usage;
use crate::commands::token_options::Server;
use crate::door::Door;
use crate::terminal;

/// Explain a JWT: header, claims, times, and what is odd about it.
///
/// The signature is never shown. Without --verify nothing is checked: the output tells what the token claims, which
/// anybody could have written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol inspect - < /var/run/secrets/kubernetes.io/serviceaccount/token
  kubectl create token default | obol inspect --json - | jq .claims.sub
  obol exchange … | obol inspect --verify --issuer https://obol.example.com -")]
pub(crate) struct Args {
    /// The token, or - for standard input, which keeps it out of the process list
    #[arg(default_value = "-")]
    token: String,
    /// Check signature, issuer and times with the keys that the issuer publishes
    #[arg(long, requires = "issuer")]
    verify: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let raw = match self.token.as_str() {
            "-" => terminal::read_piped(MOST_PIPED)?,
            token => zeroize::Zeroizing::new(token.to_owned()),
        };
        let token = raw.trim();
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        let inspection = Inspection::of(token, SystemClock::default().now())?;
        door.print(&if self.json { inspection.json() } else { inspection.text() })?;
        if !self.verify {
            return Ok(());
        }
        let issuer = self.server.issuer.as_deref().context(Usage("--verify needs --issuer URL".into()))?;
        let exchanger = self.server.exchanger()?;
        let algorithm = door.block_on(async { Ok(client::verify(&exchanger, issuer, token).await?) })?;
        terminal::say(&format!("verified: {issuer} signed this token ({algorithm}) and it is valid now"));
        Ok(())
    }
}

const MOST_PIPED: u64 = 64 * 1024;
