//! The options that `exchange` and `get-token` share: whom to ask, as whom, with which proof, for what. The names of
//! kubelogin and tokenxchange are aliases, so that their command lines keep working.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::{Observer, Secret, SystemClock, SystemRandom};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use client::{Ask, ClientAuth, ClusterConfig, Endpoint, Exchanger, Note, Subject};
use http::{HeaderMap, HeaderName, HeaderValue};
use outbound::{Client, Dial, Options, Trust};
use url::Url;

use crate::cli::Usage;
use crate::door::Door;
use crate::terminal;

/// Whom to ask, and whom to believe.
#[derive(Debug, Default, Args)]
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
    /// Believe anybody who says that they are the server: for trials, never for real tokens
    #[arg(long, env = "OBOL_INSECURE_SKIP_TLS_VERIFY")]
    insecure_skip_tls_verify: bool,
    /// Send this header with every request, as NAME=VALUE (repeatable, or separated by commas)
    #[arg(long, value_name = "NAME=VALUE", env = "OBOL_OIDC_REQUEST_HEADER", hide_env_values = true, value_delimiter = ',', value_parser = unread)]
    oidc_request_header: Vec<Secret<String>>,
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
        self.exchanger_believing(self.roots()?)
    }

    /// The same, believing these authorities (PEM) instead of those of the flags.
    pub(crate) fn exchanger_believing(&self, roots: Option<Vec<u8>>) -> anyhow::Result<Exchanger> {
        let clock = Arc::new(SystemClock::default());
        let trust = Trust { skip_verify: self.insecure_skip_tls_verify, ..Trust::only(roots) };
        if self.insecure_skip_tls_verify {
            terminal::say(
                "warning: --insecure-skip-tls-verify: anybody on the way can read and change everything",
            );
        }
        let options = Options { trust, deadline: ONE_TRY_WITHIN, ..Options::default() };
        let http = Client::new(&Dial::new(clock.clone()), options).map_err(client::Error::Trust)?;
        let exchanger = Exchanger::new(http, clock, Arc::new(SystemRandom), Arc::new(OnStderr));
        Ok(exchanger.with_headers(self.headers()?))
    }

    /// Sent with every request.
    pub(crate) fn headers(&self) -> anyhow::Result<HeaderMap> {
        let read = |text: &Secret<String>| {
            let wrong = |why| Usage(format!("--oidc-request-header: {why}"));
            Ok(parse_header(text.expose()).map_err(wrong)?)
        };
        self.oidc_request_header.iter().map(read).collect()
    }

    /// The authorities of the flags (PEM).
    pub(crate) fn roots(&self) -> anyhow::Result<Option<Vec<u8>>> {
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
        Ok(Ask {
            scope: self.scopes(&cluster, more_scopes),
            client: self.client(&cluster),
            endpoint: self.endpoint(cluster.issuer, cluster.token_endpoint)?,
            subject_token_type: self.subject_token_type.clone(),
            requested_token_type: Some(self.requested_token_type.clone()),
            audience: or(&self.audience, cluster.audience),
            resource: or(&self.resource, cluster.resource),
            connector_id: self.connector_id.clone().or(cluster.connector_id),
        })
    }

    /// The client and its secret.
    pub(crate) fn client(&self, cluster: &ClusterConfig) -> ClientAuth {
        ClientAuth {
            id: self.client_id.clone().or_else(|| cluster.client_id.clone()),
            secret: self.client_secret.clone().filter(|secret| !secret.expose().is_empty()),
        }
    }

    /// What is asked for: `openid` where nothing else is said, and `more`.
    pub(crate) fn scopes(&self, cluster: &ClusterConfig, more: &[String]) -> Vec<String> {
        let own = split(&self.scope);
        let mut scope = if own.is_empty() { split(&cluster.scope) } else { own };
        if scope.is_empty() {
            scope.push("openid".to_owned());
        }
        for more in split(more) {
            if !scope.contains(&more) {
                scope.push(more);
            }
        }
        scope
    }

    /// Whether the command line or the environment says where a subject token is.
    pub(crate) const fn names_subject(&self) -> bool {
        self.subject_token_file.is_some() || self.subject_token_env.is_some()
    }

    /// What only an exchange knows, if something of it was given.
    pub(crate) fn only_for_exchange(&self, cluster: &ClusterConfig) -> Option<&'static str> {
        let given = [
            (self.token_endpoint.is_some() || cluster.token_endpoint.is_some(), "a token endpoint"),
            (!self.audience.is_empty() || !cluster.audience.is_empty(), "an audience"),
            (!self.resource.is_empty() || !cluster.resource.is_empty(), "a resource"),
            (self.names_subject(), "a subject token"),
        ];
        given.into_iter().find_map(|(given, what)| given.then_some(what))
    }

    /// Which trust entry of the server is meant.
    pub(crate) fn connector(&self, cluster: &ClusterConfig) -> Option<String> {
        self.connector_id.clone().or_else(|| cluster.connector_id.clone())
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

/// Read where its faults can be told without telling what it is.
fn unread(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::from(text))
}

/// A header as kubelogin takes it. The error never repeats what was given, which clap's own would.
fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let name = name.trim().parse().map_err(|_| "the name of the header is none")?;
    let mut value =
        HeaderValue::from_str(value).map_err(|_| "the value holds characters that no header has")?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// A secret may stand in a file, where only its owner reads it. The error never repeats what was given.
pub(crate) fn parse_secret(text: &str) -> Result<Secret<String>, String> {
    match text.strip_prefix("file:") {
        None => Ok(Secret::from(text)),
        Some(path) => match std::fs::read_to_string(path).map(zeroize::Zeroizing::new) {
            Ok(text) => Ok(Secret::from(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(format!("{path} cannot be read: {error}")),
        },
    }
}

/// Where Kubernetes mounts the service account's token.
pub(crate) const POD_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const ONE_TRY_WITHIN: Duration = Duration::from_secs(15);
const MOST_PIPED: u64 = 64 * 1024;
