//! How a person signs in: kubelogin's flags by their names, so that its command lines keep working.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use ambient::Secret;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use client::{ClusterConfig, Landing, Pair, SignIn, Wanted, Way};
use url::Url;

use crate::browser::Browser;
use crate::cli::Usage;
use crate::commands::token_options::{TokenOptions, parse_secret};
use crate::door::Door;

/// How a person signs in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing in")]
pub(crate) struct SignInOptions {
    /// Hand out the access token instead of the ID token
    #[arg(long, env = "OBOL_OIDC_USE_ACCESS_TOKEN")]
    oidc_use_access_token: bool,
    /// The redirect URL as it is registered; a loopback address without a port gets a free one [default:
    /// http://localhost:PORT]
    #[arg(long, value_name = "URL", env = "OBOL_OIDC_REDIRECT_URL")]
    oidc_redirect_url: Option<String>,
    /// Where to wait for the browser: the first of these that is free (repeatable, or separated by commas) [default:
    /// 127.0.0.1:8000,127.0.0.1:18000, then any port]
    #[arg(long, value_name = "ADDRESS", env = "OBOL_LISTEN_ADDRESS", value_delimiter = ',')]
    listen_address: Vec<String>,
    /// Print the address instead of opening a browser
    #[arg(long, env = "OBOL_SKIP_OPEN_BROWSER", visible_alias = "no-browser")]
    skip_open_browser: bool,
    /// The program that opens the browser; it gets the address as its argument [default: what BROWSER names, or the
    /// machine's own]
    #[arg(long, value_name = "PROGRAM", env = "OBOL_BROWSER_COMMAND")]
    browser_command: Option<String>,
    /// For how many seconds a person is waited for
    #[arg(long, value_name = "SECONDS", env = "OBOL_AUTHENTICATION_TIMEOUT_SEC", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    authentication_timeout_sec: u64,
    /// Wait for the browser by HTTPS, with this certificate
    #[arg(long, value_name = "FILE", env = "OBOL_LOCAL_SERVER_CERT", requires = "local_server_key")]
    local_server_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", env = "OBOL_LOCAL_SERVER_KEY", requires = "local_server_cert")]
    local_server_key: Option<PathBuf>,
    /// Where the browser goes in the end, instead of a page of ours
    #[arg(long, value_name = "URL", env = "OBOL_OPEN_URL_AFTER_AUTHENTICATION")]
    open_url_after_authentication: Option<Url>,
    /// Further parameters of the authorization request, as NAME=VALUE (repeatable, or separated by commas)
    #[arg(long, value_name = "NAME=VALUE", env = "OBOL_OIDC_AUTH_REQUEST_EXTRA_PARAMS", value_delimiter = ',', value_parser = parse_pair)]
    oidc_auth_request_extra_params: Vec<(String, String)>,
    /// The name for the grant password; asked for if it is not given
    #[arg(long, value_name = "NAME", env = "OBOL_USERNAME")]
    username: Option<String>,
    /// The password, or file:PATH; asked for if it is not given. Better given as OBOL_PASSWORD: the command line is
    /// visible to every process of the machine
    #[arg(long, value_name = "PASSWORD", env = "OBOL_PASSWORD", hide_env_values = true, value_parser = parse_secret)]
    password: Option<Secret<String>>,
    /// Whether the code is bound to this process (RFC 7636); `auto` is S256, which providers that do not know it ignore
    #[arg(long, value_name = "METHOD", env = "OBOL_OIDC_PKCE_METHOD", default_value = "auto")]
    oidc_pkce_method: Pkce,
    /// What `auto` means anyway
    #[arg(long, hide = true)]
    oidc_use_pkce: bool,
    /// TLS as it is spoken here has no renegotiation
    #[arg(long, hide = true)]
    tls_renegotiation_once: bool,
    /// TLS as it is spoken here has no renegotiation
    #[arg(long, hide = true)]
    tls_renegotiation_freely: bool,
    /// kubelogin's verbosity; what matters is said anyway
    #[arg(long, short = 'v', hide = true, value_name = "LEVEL", num_args = 0..=1, default_missing_value = "1")]
    v: Option<u8>,
}

/// How to prove who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grant {
    /// token-exchange if a subject token is named, password if a name is; else token-exchange in a pod that has a service
    /// account's token, and authcode elsewhere
    Auto,
    /// In a browser on this machine
    #[value(alias = "authcode-browser")]
    Authcode,
    /// In a browser elsewhere; the code is carried over by hand
    AuthcodeKeyboard,
    /// In a browser elsewhere, by a code that is shown here (RFC 8628)
    DeviceCode,
    /// With name and password
    Password,
    /// As the client itself
    ClientCredentials,
    /// With a token that this machine already has (RFC 8693)
    TokenExchange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pkce {
    /// S256
    Auto,
    /// None: for providers that choke on it. The code can be stolen on its way then
    No,
    /// SHA-256
    #[value(name = "S256", alias = "s256")]
    S256,
}

impl Grant {
    /// Decides what `auto` leaves open.
    pub(crate) fn decided(
        self,
        options: &TokenOptions,
        sign_in: &SignInOptions,
        cluster: &ClusterConfig,
    ) -> Self {
        match self {
            Self::Auto if options.names_subject() => Self::TokenExchange,
            Self::Auto if sign_in.username().is_some() => Self::Password,
            // Asked for and never guessed: a pod's token is nothing for whoever only signs people in.
            Self::Auto if options.only_for_exchange(cluster).is_some() => Self::TokenExchange,
            Self::Auto => Self::Authcode,
            other => other,
        }
    }
}

impl SignInOptions {
    /// What to ask; flags and environment win over what stands beside the cluster.
    pub(crate) fn ask(
        &self,
        grant: Grant,
        options: &TokenOptions,
        cluster: &ClusterConfig,
        more_scopes: &[String],
    ) -> anyhow::Result<SignIn> {
        if let Some(what) = options.only_for_exchange(cluster) {
            bail!(Usage(format!(
                "{what} is given, and only the grant token-exchange knows what to do with it"
            )));
        }
        let issuer = options.server.issuer.clone().or_else(|| cluster.issuer.clone());
        let issuer =
            issuer.ok_or_else(|| Usage("--oidc-issuer-url is missing: who signs people in?".into()))?;
        Url::parse(&issuer).map_err(|e| Usage(format!("--oidc-issuer-url {issuer:?}: {e}")))?;
        let client = options.client(cluster);
        ensure!(client.id.is_some(), Usage("--oidc-client-id is missing: as which client?".into()));
        let wanted = if self.oidc_use_access_token { Wanted::AccessToken } else { Wanted::IdToken };
        let mut scope = options.scopes(cluster, more_scopes);
        if wanted == Wanted::IdToken && !scope.iter().any(|scope| scope == "openid") {
            scope.push("openid".to_owned());
        }
        let way = self.way(grant)?;
        let mut extra = self.oidc_auth_request_extra_params.clone();
        if let Some(connector) = options.connector(cluster) {
            ensure!(
                matches!(way, Way::Browser(_) | Way::Keyboard { .. }),
                Usage(
                    "--connector-id chooses among the ways to sign in in a browser, and for an exchange"
                        .into()
                )
            );
            extra.push(("connector_id".to_owned(), connector));
        }
        let authorities = options.server.roots()?.and_then(|pem| String::from_utf8(pem).ok());
        Ok(SignIn {
            issuer,
            client,
            scope,
            way,
            wanted,
            extra,
            pkce: self.oidc_pkce_method != Pkce::No,
            headers: options.server.headers()?,
            patience: Duration::from_secs(self.authentication_timeout_sec),
            authorities,
        })
    }

    fn username(&self) -> Option<&str> {
        self.username.as_deref().filter(|name| !name.is_empty())
    }

    /// What opens pages.
    pub(crate) fn browser<'a>(&self, door: &'a Door) -> Browser<'a> {
        Browser {
            environment: &door.environment,
            command: self.browser_command.clone(),
            skip: self.skip_open_browser,
        }
    }

    fn way(&self, grant: Grant) -> anyhow::Result<Way> {
        Ok(match grant {
            Grant::Auto | Grant::Authcode => Way::Browser(self.landing()?),
            Grant::AuthcodeKeyboard => {
                let own = self.oidc_redirect_url.clone();
                Way::Keyboard { redirect_uri: own.unwrap_or_else(|| BY_HAND.to_owned()) }
            }
            Grant::DeviceCode => Way::Device,
            Grant::Password => {
                // An empty variable says nothing.
                let given = self.password.clone().filter(|password| !password.expose().is_empty());
                Way::Password { username: self.username().map(str::to_owned), password: given }
            }
            Grant::ClientCredentials => Way::Client,
            Grant::TokenExchange => bail!(Usage("nobody signs in for the grant token-exchange".into())),
        })
    }

    fn landing(&self) -> anyhow::Result<Landing> {
        let pair = match (&self.local_server_cert, &self.local_server_key) {
            (Some(cert), Some(key)) => {
                let read = |path: &PathBuf| {
                    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
                };
                Some(Pair { chain_pem: read(cert)?, key_pem: Secret::new(read(key)?) })
            }
            _ => None,
        };
        let afterwards = self.open_url_after_authentication.clone();
        if let Some(url) = &afterwards {
            ensure!(
                matches!(url.scheme(), "https" | "http"),
                Usage("--open-url-after-authentication must be an https or http URL".into())
            );
        }
        Ok(Landing {
            addresses: self.addresses()?,
            redirect_uri: self.oidc_redirect_url.clone(),
            pair,
            afterwards,
        })
    }

    /// Where to listen: as given, else on the port of a loopback redirect URL, else as kubelogin does.
    fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        if self.listen_address.is_empty() {
            let redirect = self.oidc_redirect_url.as_deref().and_then(|raw| Url::parse(raw).ok());
            let own =
                redirect.filter(|url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")));
            return Ok(match own {
                Some(url) => {
                    let host = if url.host_str() == Some("[::1]") { "[::1]" } else { "127.0.0.1" };
                    resolve(&format!("{host}:{}", url.port().unwrap_or_default()))?
                }
                None => ["127.0.0.1:8000", "127.0.0.1:18000", "127.0.0.1:0"]
                    .into_iter()
                    .filter_map(|address| address.parse().ok())
                    .collect(),
            });
        }
        let all =
            self.listen_address.iter().map(|address| resolve(address)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.into_iter().flatten().collect())
    }
}

fn resolve(address: &str) -> anyhow::Result<Vec<SocketAddr>> {
    // As in Go, a bare port is every address.
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    let found = address.to_socket_addrs().map_err(|e| Usage(format!("--listen-address {address:?}: {e}")))?;
    Ok(found.collect())
}

fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() { Err("the name is empty") } else { Ok((name.to_owned(), value.to_owned())) }
}

/// Where providers show the code instead of sending it on.
const BY_HAND: &str = "urn:ietf:wg:oauth:2.0:oob";
