//! `obol policy explain`: what an exchange would come to and why, of a file or of a running server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambient::{Clock as _, Secret, SystemClock, SystemRandom, Tasks};
use anyhow::{Context as _, bail};
use outbound::{Client, Dial, Identity, Options, Request, Trust};
use provider::Living;
use provider::grants::token_exchange::explain::{Subject, Supposed, explain};
use serde_json::{Value, json};
use url::Url;

use crate::admin::EXPLAIN;
use crate::cli::Usage;
use crate::configuration::{self, Reading, Surroundings};
use crate::door::Door;
use crate::terminal;

/// Explain what an exchange would come to: rule by rule, with the values that decided.
///
/// With CONFIG the file decides; a token is checked with the keys of its issuer, which is asked for them. With --server
/// a running server decides, by its administrators' listener (`admin` in its configuration). Claims need no token: nobody
/// has checked them, and the explanation says so. Nothing is issued, stored or used up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  obol policy explain config.yaml --client prod-cluster --connector gitlab --claims claims.json
  obol policy explain config.yaml --client prod-cluster --token-file - < token
  obol policy explain --server http://127.0.0.1:5560 --client prod-cluster --connector gitlab --claims claims.json --output json")]
pub(crate) struct Args {
    /// The configuration file (YAML)
    #[arg(required_unless_present = "server", conflicts_with = "server")]
    config: Option<PathBuf>,
    /// Ask the administrators' listener of a running server
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    /// The client that would ask
    #[arg(long, value_name = "ID")]
    client: String,
    /// The connector that would vouch; for a token only where several could
    #[arg(long, value_name = "ID")]
    connector: Option<String>,
    /// The subject token: a file, or - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "claims", conflicts_with = "claims")]
    token_file: Option<PathBuf>,
    /// The subject token's claims as a JSON object: a file, or - for standard input
    #[arg(long, value_name = "FILE", requires = "connector")]
    claims: Option<PathBuf>,
    /// Which audience would be asked for (repeatable)
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// Which scopes would be asked for, separated by spaces
    #[arg(long, value_name = "SCOPES", default_value = "")]
    scope: String,
    /// How to print the explanation
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// With --server: believe these CAs and no others (PEM)
    #[arg(long, value_name = "FILE", requires = "server")]
    certificate_authority: Option<PathBuf>,
    /// With --server: the administrator's certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["server", "client_key"])]
    client_certificate: Option<PathBuf>,
    /// With --server: its key (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["server", "client_certificate"])]
    client_key: Option<PathBuf>,
}

/// A token or claims, if that is what was given.
type Piece = Option<zeroize::Zeroizing<String>>;

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let (token, claims) = self.subject()?;
        let explanation = match (&self.config, &self.server) {
            (Some(path), _) => {
                door.block_on(self.on_paper(path, door, token.as_deref(), claims.as_deref()))?
            }
            (None, Some(server)) => {
                door.block_on(self.by_server(server, token.as_deref(), claims.as_deref()))?
            }
            (None, None) => bail!(Usage("name a configuration file, or --server".into())),
        };
        match self.output {
            Output::Json => door.print(&serde_json::to_string_pretty(&explanation)?),
            Output::Text => door.print(&text(&explanation)),
        }
    }

    fn subject(&self) -> anyhow::Result<(Piece, Piece)> {
        let read = |path: &Option<PathBuf>| match path {
            None => Ok(None),
            Some(path) if path == Path::new("-") => terminal::read_piped(LARGEST).map(Some),
            Some(path) => std::fs::read_to_string(path)
                .map(|text| Some(zeroize::Zeroizing::new(text.trim().to_owned())))
                .with_context(|| format!("cannot read {}", path.display())),
        };
        Ok((read(&self.token_file)?, read(&self.claims)?))
    }

    async fn on_paper(
        &self,
        path: &Path,
        door: &Door,
        token: Option<&String>,
        claims: Option<&String>,
    ) -> anyhow::Result<Value> {
        let around = Surroundings {
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            tasks: Tasks::default(),
        };
        let now = around.clock.now();
        let configuration = configuration::load(path, &door.environment, &around, Reading::default())?;
        let living = Living::on_paper(configuration.provider, configuration.connectors);
        let subject = match (token, claims) {
            (Some(token), _) => Subject::Token(token),
            (None, claims) => Subject::Claims(claims.map_or(&[][..], |claims| claims.as_bytes())),
        };
        let supposed = Supposed {
            client: &self.client,
            connector: self.connector.as_deref(),
            subject,
            audience: self.audience.clone(),
            scope: &self.scope,
        };
        let explanation = explain(&living, supposed, now).await.map_err(|error| match error {
            provider::error::Error::Refusal(refusal) => anyhow::anyhow!("{}", refusal.reason),
            provider::error::Error::Fault(fault) => {
                anyhow::anyhow!("{fault}; to go by claims alone, write --claims instead of --token-file")
            }
        })?;
        Ok(serde_json::to_value(explanation)?)
    }

    async fn by_server(
        &self,
        server: &Url,
        token: Option<&String>,
        claims: Option<&String>,
    ) -> anyhow::Result<Value> {
        let claims: Option<Value> = claims
            .map(|claims| serde_json::from_str(claims))
            .transpose()
            .context("the claims are no JSON")?;
        let asked = json!({
            "client": self.client, "connector": self.connector, "token": token, "claims": claims,
            "audience": self.audience, "scope": self.scope,
        });
        let url = server.join(EXPLAIN).context("--server is no base URL")?;
        let client = Client::new(&Dial::new(Arc::new(SystemClock::default())), self.options()?)?;
        let answer = client.send(Request::json(&url, asked.to_string())).await?;
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status.is_success() {
            return Ok(document);
        }
        let reason = document.get("reason").and_then(Value::as_str).unwrap_or("is this the admin listener?");
        bail!("{url} answers {}: {reason}", answer.status.as_u16())
    }

    fn options(&self) -> anyhow::Result<Options> {
        let read =
            |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let mut trust = Trust::only(self.certificate_authority.as_ref().map(read).transpose()?);
        if let (Some(chain), Some(key)) = (&self.client_certificate, &self.client_key) {
            trust.identity = Some(Identity { chain_pem: read(chain)?, key_pem: Secret::new(read(key)?) });
        }
        Ok(Options { trust, ..Options::default() })
    }
}

/// For people.
fn text(explanation: &Value) -> String {
    let word = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let names = |value: &Value| {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let asked = names(&explanation["asked"]);
    let mut out = format!(
        "{} asks for {} with a token of {} ({})\n\n",
        word(explanation, "client"),
        if asked.is_empty() { "no audience in particular" } else { &asked },
        word(explanation, "connector"),
        if explanation["verified"] == true { "checked" } else { "supposed: nobody checked these claims" },
    );
    let steps = explanation["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let concerned: Vec<&Value> = steps.iter().filter(|step| step["concerned"] == true).collect();
    let width = concerned.iter().map(|step| word(step, "policy").chars().count()).max().unwrap_or(0);
    for step in &concerned {
        let mark = if step["applies"] == true { '*' } else { ' ' };
        let (kind, policy, why) = (word(step, "kind"), word(step, "policy"), word(step, "why"));
        let _ = writeln!(out, "{mark} {kind:12} {policy:width$}  {}", printable(&why));
        for seen in step["values"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let value = if seen["value"].is_null() { "absent".to_owned() } else { seen["value"].to_string() };
            let _ = writeln!(out, "{:15}{} = {}", "", word(seen, "path"), printable(&value));
        }
    }
    let (others, elsewhere) = (steps.len() - concerned.len(), &explanation["elsewhere"]);
    let _ = writeln!(
        out,
        "  ({others} more are about other clients or audiences, {elsewhere} about other connectors)\n"
    );
    let outcome = &explanation["outcome"];
    if outcome["decision"] == "granted" {
        let once = if outcome["single_use"] == true { ", once for each subject token" } else { "" };
        let token = serde_json::to_string_pretty(&outcome["token"]).unwrap_or_default();
        let token: Vec<String> = token.lines().map(printable).collect();
        let _ = writeln!(
            out,
            "granted by {}{once}. The token would say:\n{}",
            word(outcome, "policy"),
            token.join("\n")
        );
    } else {
        let _ = writeln!(
            out,
            "refused; the client would learn {}, and the audit log:\n{}",
            word(outcome, "error"),
            printable(&word(outcome, "reason"))
        );
    }
    out
}

/// Claims are written by strangers: nothing in them drives the terminal.
fn printable(text: &str) -> String {
    let unseen = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if unseen(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

const LARGEST: u64 = 64 * 1024;
