//! `obol whoami`: what the token says, whether its provider stands by it, and who the cluster takes its bearer for.

mod credential;
mod report;

use std::sync::Arc;

use ambient::{Clock as _, SystemClock};
use anyhow::{Context as _, ensure};
use client::Inspection;
use cluster::Reviews;
use outbound::{Bearer, Client, Credential, Dial, Options, Roots, Trust};
use serde_json::Value;
use url::Url;

use crate::commands::kubeconfig::entry::plugin;
use crate::commands::token_options::Server;
use crate::door::Door;
use crate::kubeconfigs::{Context, KubeconfigOption, Kubeconfigs};
use credential::Shown;
use report::{Cluster, Provider, Report};

/// Show who the cluster thinks you are, next to what your token says.
///
/// Asks the API server (SelfSubjectReview; older ones are told from their refusals) with the credential of the
/// kubeconfig, whichever plugin makes it, and the token's issuer for its keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The context [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: KubeconfigOption,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let report = look(door, &self.file.open(door)?, self.context.as_deref())?;
        door.print(&if self.json { report.json() } else { report.text() })
    }
}

/// Asks everybody.
pub(crate) fn look(door: &Door, files: &Kubeconfigs, name: Option<&str>) -> anyhow::Result<Report> {
    let context = files.context(name)?;
    let shown = credential::of(&context)?;
    let token = match &shown {
        Shown::Token(token) => Some(token.expose().clone()),
        Shown::Certificate(_) => None,
    };
    let cluster = door.block_on(ask_cluster(&context, shown))?;
    let now = SystemClock::default().now();
    let inspected = token.as_deref().and_then(|token| Inspection::of(token, now).ok());
    let provider = match (&token, &inspected) {
        (Some(token), Some(inspected)) => Some(ask_provider(door, &context, token, inspected)),
        _ => None,
    };
    Ok(Report { context: context.name, cluster, token: inspected, provider })
}

async fn ask_cluster(context: &Context<'_>, shown: Shown) -> anyhow::Result<Cluster> {
    let (path, cluster) = context.cluster;
    let text = |key: &str| cluster.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    for key in ["tls-server-name", "proxy-url"] {
        ensure!(
            text(key).is_none(),
            "the cluster has {key}, which whoami does not know; ask kubectl: auth whoami"
        );
    }
    let server =
        Url::parse(text("server").context("the cluster has no server")?).context("its server is no URL")?;
    let roots = credential::bytes(path, cluster, "certificate-authority")?;
    let mut trust = Trust { roots: roots.map_or(Roots::System, Roots::Only), ..Trust::default() };
    trust.skip_verify = cluster.get("insecure-skip-tls-verify") == Some(&Value::Bool(true));
    let mut bearer = None;
    match shown {
        Shown::Token(token) => bearer = Some(Bearer::Fixed(token)),
        Shown::Certificate(identity) => trust.identity = Some(identity),
    }
    // A token goes where nobody can listen.
    ensure!(server.scheme() == "https", "the cluster's server is not https: no token is sent there");
    let credential = Credential { origin: server.clone(), bearer, headers: http::HeaderMap::new() };
    let clock = Arc::new(SystemClock::default());
    let options = Options { trust, credential: Some(credential), ..Options::default() };
    let reviews = Reviews::new(Client::new(&Dial::new(clock), options)?, server.clone());
    let said = match reviews.ourselves().await? {
        Some(subject) => report::Said::Reviewed(subject),
        None => report::Said::Refusing(reviews.name_of_refusal().await?),
    };
    Ok(Cluster { server: server.to_string(), said })
}

/// Whether the issuer's keys verify the token; asked as the plugin of the kubeconfig would.
fn ask_provider(door: &Door, context: &Context<'_>, token: &str, inspected: &Inspection) -> Provider {
    let issuer = inspected.claim("iss").unwrap_or_default().to_owned();
    let verify = || -> anyhow::Result<&'static str> {
        let arguments = context.user.1.pointer("/exec/args").and_then(Value::as_array);
        let arguments = arguments.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let arguments = arguments.collect::<Vec<_>>();
        let ours = arguments.first().is_some_and(|first| first == "get-token");
        let exchanger = match ours.then(|| plugin(&arguments).ok()).flatten() {
            Some(plugin) if plugin.server().issuer.as_deref() == Some(&issuer) => {
                plugin.server().exchanger()?
            }
            _ => Server::default().exchanger()?,
        };
        door.block_on(async { Ok(client::verify(&exchanger, &issuer, token).await?) })
    };
    let outcome = verify().map_err(|error| format!("{error:#}"));
    Provider { issuer, outcome }
}
