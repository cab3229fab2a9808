//! `obol exchange`: RFC 8693 from a script or a CI job.

use clap::ValueEnum;
use client::{ClusterConfig, Issued};
use wire::exec_credential::{self, Version};

use crate::commands::token_options::TokenOptions;
use crate::door::Door;

/// Exchange a token for one that another place accepts (RFC 8693).
///
/// Takes a token that this machine already has (a pod's service account token, a CI job's ID token) and prints the one
/// that the server issues for it. Only the result goes to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  A pod gets a token for another cluster:
    obol exchange --issuer https://obol.example.com --client-id prod-cluster --audience prod-cluster

  A GitLab job, with `id_tokens: {OBOL_ID_TOKEN: {aud: https://obol.example.com}}`:
    obol exchange --issuer https://obol.example.com --client-id deploy --subject-token-env OBOL_ID_TOKEN

  From a pipe, answered as JSON:
    kubectl create token builder --audience https://obol.example.com |
      obol exchange --issuer https://obol.example.com --client-id deploy --subject-token-file - --output json

  tokenxchange's flags work too; its scopes were openid,email,federated:id and it wrote an exec credential:
    obol exchange --oidc-endpoint https://dex.example.com/token --dex-connector cluster-a \\
      --client-id target-cluster --scopes openid,email,federated:id --output exec-credential")]
pub(crate) struct Args {
    #[command(flatten)]
    options: TokenOptions,
    /// What is printed
    #[arg(long, short, value_name = "FORM", env = "OBOL_OUTPUT", default_value = "token")]
    output: Output,
}

/// How the token is printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// The token alone
    Token,
    /// The server's answer as JSON, with `expires_at`
    Json,
    /// What kubectl wants of a plugin
    ExecCredential,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let ask = self.options.ask(ClusterConfig::default(), &[])?;
        let subject = self.options.subject(door)?;
        let exchanger = self.options.server.exchanger()?;
        let issued = door.block_on(async { Ok(exchanger.exchange(&ask, &subject).await?) })?;
        match self.output {
            Output::Token => door.print(issued.token.expose()),
            Output::Json => door.print(&json(&issued)),
            Output::ExecCredential => {
                let version = door.exec_info()?.map_or(Version::V1Beta1, |info| info.version);
                door.print(&exec_credential_of(&issued, version))
            }
        }
    }
}

/// The credential that kubectl keeps until shortly before the token ends.
pub(crate) fn exec_credential_of(issued: &Issued, version: Version) -> String {
    let until = issued.fresh_until.map(ambient::Time::rfc3339);
    exec_credential::answer(version, issued.token.expose(), until.as_deref())
}

fn json(issued: &Issued) -> String {
    let document = serde_json::json!({
        "access_token": issued.token.expose(),
        "issued_token_type": issued.issued_token_type,
        "token_type": issued.token_type,
        "scope": issued.scope,
        "expires_at": issued.expires.map(ambient::Time::rfc3339),
    });
    client::plain_json(&document)
}
