//! `obol get-token`: kubectl's exec plugin. Prints one ExecCredential and nothing else on standard output.

use client::{ClusterConfig, Issued, Lookup};
use wire::exec_credential::{ExecInfo, Version};

use crate::commands::cache_options::CacheOptions;
use crate::commands::exchange::exec_credential_of;
use crate::commands::sign_in_options::{Grant, SignInOptions};
use crate::commands::token_options::{Server, TokenOptions};
use crate::door::Door;
use crate::person::Here;
use crate::terminal;

/// Get a token for kubectl (exec credential plugin).
///
/// kubectl runs this by itself, as its kubeconfig says. People sign in by browser, device code or password, machines by a
/// client secret or by exchange. Tokens are kept until shortly before they end, and renewed while the session lasts; of
/// several kubectl processes one fetches, and opens one tab at most, and the others wait for it. kubelogin's flags work. With `provideClusterInfo: true`, a cluster's extension
/// client.authentication.k8s.io/exec may hold issuer, tokenEndpoint, clientID, connectorID, audience, resource and
/// scope (never a secret), so that one user entry serves many clusters; flags win over it.
#[derive(Debug, clap::Args)]
#[command(after_help = "In a kubeconfig, for a person (`obol login` writes it):
  users:
  - name: ana
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        interactiveMode: IfAvailable
        command: obol
        args:
        - get-token
        - --oidc-issuer-url=https://obol.example.com
        - --oidc-client-id=prod-cluster
        - --oidc-extra-scope=groups,offline_access

For a machine:
  users:
  - name: robot
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        interactiveMode: Never
        command: obol
        args:
        - get-token
        - --grant-type=token-exchange
        - --oidc-issuer-url=https://obol.example.com
        - --oidc-client-id=prod-cluster
        - --subject-token-file=/var/run/secrets/tokens/obol

Exec plugins inherit the environment, so OBOL_CLIENT_SECRET can be set there, or under `env:`.")]
pub(crate) struct Args {
    /// How to prove who is asking
    #[arg(long, value_name = "GRANT", env = "OBOL_GRANT_TYPE", default_value = "auto")]
    grant_type: Grant,
    #[command(flatten)]
    options: TokenOptions,
    /// Scopes beside openid (repeatable, or separated by commas)
    #[arg(
        long,
        value_name = "SCOPE",
        env = "OBOL_OIDC_EXTRA_SCOPE",
        value_delimiter = ',',
        help_heading = "Wanted token"
    )]
    oidc_extra_scope: Vec<String>,
    #[command(flatten)]
    sign_in: SignInOptions,
    #[command(flatten)]
    cache: CacheOptions,
    /// Fetch a new token although the kept one is still good
    #[arg(long, env = "OBOL_FORCE_REFRESH", help_heading = "Cache")]
    force_refresh: bool,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let info = door.exec_info()?;
        let issued = self.issued(door, info.as_ref())?;
        // A client-go that does not say which version it speaks is one that knows v1beta1 alone.
        let version = info.map_or(Version::V1Beta1, |info| info.version);
        door.print(&exec_credential_of(&issued, version))
    }

    /// The token, kept or fresh.
    pub(crate) fn issued(&self, door: &Door, info: Option<&ExecInfo>) -> anyhow::Result<Issued> {
        let beside = info.and_then(|info| info.cluster.as_ref()?.config.as_ref());
        let cluster = beside.map_or_else(|| Ok(ClusterConfig::default()), ClusterConfig::read)?;
        match self.grant_type.decided(&self.options, &self.sign_in, &cluster) {
            Grant::TokenExchange => self.exchange(door, cluster),
            grant => self.sign_in(door, grant, &cluster, info),
        }
    }

    /// Whom it asks.
    pub(crate) const fn server(&self) -> &Server {
        &self.options.server
    }

    fn exchange(&self, door: &Door, cluster: ClusterConfig) -> anyhow::Result<Issued> {
        let ask = self.options.ask(cluster, &self.oidc_extra_scope)?;
        let subject = self.options.subject(door)?;
        let exchanger = self.options.server.exchanger()?;
        let cache = self.cache.cache(door);
        door.block_on(async {
            Ok(match &cache {
                Some(cache) => exchanger.obtain(&ask, &subject, cache, self.lookup()).await?,
                None => exchanger.exchange(&ask, &subject).await?,
            })
        })
    }

    fn sign_in(
        &self,
        door: &Door,
        grant: Grant,
        cluster: &ClusterConfig,
        info: Option<&ExecInfo>,
    ) -> anyhow::Result<Issued> {
        let ask = self.sign_in.ask(grant, &self.options, cluster, &self.oidc_extra_scope)?;
        let exchanger = self.options.server.exchanger()?;
        let cache = self.cache.cache(door);
        let silent = match info {
            // What kubectl reads from standard input is its own then.
            Some(info) if !info.interactive => Some("kubectl says that nobody is at the terminal"),
            _ => (!terminal::is_interactive()).then_some("there is no terminal"),
        };
        let person = Here { browser: self.sign_in.browser(door), silent, patience: ask.patience };
        door.block_on(async { Ok(exchanger.sign_in(&ask, &person, cache.as_ref(), self.lookup()).await?) })
    }

    const fn lookup(&self) -> Lookup {
        if self.force_refresh { Lookup::Replace } else { Lookup::Use }
    }
}
