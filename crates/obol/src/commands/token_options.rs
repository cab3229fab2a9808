//! The options that `exchange` and `get-token` share: whom to ask, as whom, with which proof, for what. The names of
//! kubelogin and tokenxchange are aliases, so that their command lines keep working.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::{Observer, Secret, SystemClock, SystemRandom};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use client::{Ask, ClientAuth, ClusterConfig, Endpoint, Exchanger, Note, Subject};
use outbound::{Client, Dial, Options, Trust};
use url::Url;

use crate::cli::Usage;
use crate::door::Door;
use crate::terminal;

/// Whom to ask, and whom to believe.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// The issuer; its discovery document names the token endpoint
    #[arg(long, value_name = "URL", env = "OBOL_ISSUER", visible_alias = "oidc-issuer-url")]
    pub(crate) issuer: Option<String>,
    /// Believe these CAs and no others: a PEM file (repeatable)
    #[arg(long, value_name = "FILE", env = "OBOL_CERTIFICATE_AUTHORITY")]
    certificate_authority: Vec<PathBuf>,
    /// The same as base64 of PEM, as a kubeconfig holds it (repeatable)
    #[arg(long, value_name = "BASE64", env = "OBOL_CERTIFICATE_AUTHORITY_DATA", hide_env_values = true)]
    certificate_authority_data: Vec<String>,
}

/// Everything about an exchange.
#[derive(Debug, Args)]
pub(crate) struct TokenOptions {
    #[command(flatten)]
    pub(crate) server: Server,
    /// The token endpoint itself, where there is no discovery
    #[arg(
        long,
        value_name = "URL",
        env = "OBOL_TOKEN_ENDPOINT",
        alias = "oidc-endpoint",
        help_heading = "Server"
    )]
    token_endpoint: Option<String>,
    /// The client's id
    #[arg(
        long,
        value_name = "ID",
        env = "OBOL_CLIENT_ID",
        visible_alias = "oidc-client-id",
        help_heading = "Client"
    )]
    client_id: Option<String>,
    /// The client's secret, or file:PATH to read it from; none for public clients. Better given as OBOL_CLIENT_SECRET:
    /// the command line is visible to every process of the machine
    #[arg(
        long,
        value_name = "SECRET",
        env = "OBOL_CLIENT_SECRET",
        hide_env_values = true,
        visible_alias = "oidc-client-secret",
        value_parser = parse_secret,
        help_heading = "Client"
    )]
    client_secret: Option<Secret<String>>,
    /// Where the subject token is: a file, or - for standard input [default: the pod's service account token]
    #[arg(
        long,
        value_name = "FILE",
        env = "OBOL_SUBJECT_TOKEN_FILE",
        alias = "token-file",
        help_heading = "Subject token"
    )]
    subject_token_file: Option<PathBuf>,
    /// Which environment variable holds the subject token (CI jobs)
    #[arg(
        long,
        value_name = "NAME",
        env = "OBOL_SUBJECT_TOKEN_ENV",
        conflicts_with = "subject_token_file",
        help_heading = "Subject token"
    )]
    subject_token_env: Option<String>,
    /// What it is: id_token, access_token, jwt or a URI
    #[arg(
        long,
        value_name = "TYPE",
        env = "OBOL_SUBJECT_TOKEN_TYPE",
        default_value = "id_token",
        value_parser = parse_type,
        help_heading = "Subject token"
    )]
    subject_token_type: String,
    /// What is wanted: id_token, access_token, jwt or a URI
    #[arg(
        long,
        value_name = "TYPE",
        env = "OBOL_REQUESTED_TOKEN_TYPE",
        default_value = "id_token",
        value_parser = parse_type,
        help_heading = "Wanted token"
    )]
    requested_token_type: String,
    /// Which place it is for, by name (repeatable)
    #[arg(long, value_name = "NAME", env = "OBOL_AUDIENCE", help_heading = "Wanted token")]
    audience: Vec<String>,
    /// Which place it is for, by URI (repeatable)
    #[arg(long, value_name = "URI", env = "OBOL_RESOURCE", help_heading = "Wanted token")]
    resource: Vec<String>,
    /// Scopes (repeatable, or separated by commas or spaces) [default: openid]
    #[arg(
        long,
        value_name = "SCOPE",
        env = "OBOL_SCOPE",
        alias = "scopes",
        value_delimiter = ',',
        help_heading = "Wanted token"
    )]
    scope: Vec<String>,
    /// Which trust entry of the server vouches for the subject token
    #[arg(
        long,
        value_name = "ID",
        env = "OBOL_CONNECTOR_ID",
        alias = "dex-connector",
        help_heading = "Wanted token"
    )]
    connector_id: Option<String>,
}

impl Server {
    /// An exchanger that talks to it and tells the person at stderr what takes long.
    pub(crate) fn exchanger(&self) -> anyhow::Result<Exchanger> {
        let clock = Arc::new(SystemClock::default());
        let options =
            Options { trust: Trust::only(self.roots()?), deadline: ONE_TRY_WITHIN, ..Options::default() };
        let http = Client::new(&Dial::new(clock.clone()), options).map_err(client::Error::Trust)?;
        Ok(Exchanger::new(http, clock, Arc::new(SystemRandom), Arc::new(OnStderr)))
    }

    fn roots(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut pem = Vec::new();
        for path in &self.certificate_authority {
            let read = std::fs::read(path);
            pem.extend(
                read.with_context(|| format!("cannot read --certificate-authority {}", path.display()))?,
            );
            pem.push(b'\n');
        }
        for data in &self.certificate_authority_data {
            let decoded = STANDARD.decode(data.trim());
            pem.extend(decoded.context("--certificate-authority-data is not base64")?);
            pem.push(b'\n');
        }
        Ok((!pem.is_empty()).then_some(pem))
    }
}

impl TokenOptions {
    /// What to ask; flags and environment win over what stands beside the cluster.
    pub(crate) fn ask(&self, cluster: ClusterConfig, more_scopes: &[String]) -> anyhow::Result<Ask> {
        let or = |own: &Vec<String>, other: Vec<String>| if own.is_empty() { other } else { own.clone() };
        let mut scope = or(&split(&self.scope), split(&cluster.scope));
        if scope.is_empty() {
            scope.push("openid".to_owned());
        }
        scope.extend(split(more_scopes).into_iter().filter(|more| more != "openid"));
        Ok(Ask {
            endpoint: self.endpoint(cluster.issuer, cluster.token_endpoint)?,
            client: ClientAuth {
                id: self.client_id.clone().or(cluster.client_id),
                secret: self.client_secret.clone().filter(|secret| !secret.expose().is_empty()),
            },
            subject_token_type: self.subject_token_type.clone(),
            requested_token_type: Some(self.requested_token_type.clone()),
            audience: or(&self.audience, cluster.audience),
            resource: or(&self.resource, cluster.resource),
            scope,
            connector_id: self.connector_id.clone().or(cluster.connector_id),
        })
    }

    /// The subject token, from where it was said to be, or from the pod's mount.
    pub(crate) fn subject(&self, door: &Door) -> anyhow::Result<Subject> {
        if let Some(name) = &self.subject_token_env {
            let value = door.environment.get(name).with_context(|| {
                format!("the environment variable {name} that --subject-token-env names is not set")
            })?;
            return Ok(Subject::new(&Secret::from(value), &format!("the environment variable {name}"))?);
        }
        match self.subject_token_file.as_deref() {
            Some(path) if path == Path::new("-") => {
                let text = terminal::read_piped(MOST_PIPED)?;
                Ok(Subject::new(&Secret::from(text.as_str()), "standard input")?)
            }
            Some(path) => Ok(client::read_subject_file(path)?),
            None if Path::new(POD_MOUNT).exists() => Ok(client::read_subject_file(Path::new(POD_MOUNT))?),
            None => Err(Usage(
                "there is no subject token: name one with --subject-token-file FILE (- for standard input) or \
                 --subject-token-env NAME"
                    .into(),
            )
            .into()),
        }
    }

    fn endpoint(&self, issuer: Option<String>, token_endpoint: Option<String>) -> anyhow::Result<Endpoint> {
        // What was written on the command line or in the environment wins as a whole.
        let (issuer, token_endpoint) = match (&self.server.issuer, &self.token_endpoint) {
            (None, None) => (issuer, token_endpoint),
            (issuer, token_endpoint) => (issuer.clone(), token_endpoint.clone()),
        };
        match (issuer, token_endpoint) {
            (_, Some(url)) => {
                let parsed = Url::parse(&url).map_err(|e| Usage(format!("--token-endpoint {url:?}: {e}")))?;
                Ok(Endpoint::Token(parsed))
            }
            (Some(issuer), None) => {
                Url::parse(&issuer).map_err(|e| Usage(format!("--issuer {issuer:?}: {e}")))?;
                Ok(Endpoint::Issuer(issuer))
            }
            (None, None) => bail!(Usage("nobody to ask: give --issuer URL or --token-endpoint URL".into())),
        }
    }
}

/// Notes are for a person who waits; a script's log gets them too, since they say why something took long.
struct OnStderr;

impl Observer<Note> for OnStderr {
    fn observe(&self, note: &Note) {
        terminal::say(&note.to_string());
    }
}

fn split(scopes: &[String]) -> Vec<String> {
    scopes
        .iter()
        .flat_map(|scope| scope.split([' ', ',']))
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect()
}

fn parse_type(text: &str) -> Result<String, &'static str> {
    client::token_type_uri(text).ok_or("write id_token, access_token, jwt or the URI of another type")
}

/// A secret may stand in a file, where only its owner reads it. The error never repeats what was given.
fn parse_secret(text: &str) -> Result<Secret<String>, String> {
    match text.strip_prefix("file:") {
        None => Ok(Secret::from(text)),
        Some(path) => match std::fs::read_to_string(path).map(zeroize::Zeroizing::new) {
            Ok(text) => Ok(Secret::from(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(format!("{path} cannot be read: {error}")),
        },
    }
}

/// Where Kubernetes mounts the service account's token.
const POD_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const ONE_TRY_WITHIN: Duration = Duration::from_secs(15);
const MOST_PIPED: u64 = 64 * 1024;
