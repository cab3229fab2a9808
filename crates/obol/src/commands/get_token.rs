//! `obol get-token`: kubectl's exec plugin. Prints one ExecCredential and nothing else on standard output.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use client::{Cache, ClusterConfig, Issued, Lookup};
use wire::exec_credential::{ExecInfo, Version};

use crate::commands::exchange::exec_credential_of;
use crate::commands::token_options::TokenOptions;
use crate::door::Door;
use crate::terminal;

/// Get a token for kubectl (exec credential plugin).
///
/// kubectl runs this by itself, as its kubeconfig says. The token is kept until shortly before it ends; of several
/// kubectl processes one fetches and the others wait for it. With `provideClusterInfo: true`, a cluster's extension
/// client.authentication.k8s.io/exec may hold issuer, tokenEndpoint, clientID, connectorID, audience, resource and
/// scope (never a secret), so that one user entry serves many clusters; flags win over it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, in a kubeconfig:
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
    #[arg(long, value_name = "GRANT", env = "OBOL_GRANT_TYPE", default_value = "token-exchange")]
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
    /// Where tokens are kept [default: $KUBECACHEDIR/obol, or ~/.kube/cache/obol]
    #[arg(long, value_name = "FOLDER", env = "OBOL_TOKEN_CACHE_DIR", help_heading = "Cache")]
    token_cache_dir: Option<PathBuf>,
    /// Whether tokens are kept
    #[arg(
        long,
        value_name = "KIND",
        env = "OBOL_TOKEN_CACHE_STORAGE",
        default_value = "disk",
        help_heading = "Cache"
    )]
    token_cache_storage: Storage,
    /// Fetch a new token although the kept one is still good
    #[arg(long, env = "OBOL_FORCE_REFRESH", help_heading = "Cache")]
    force_refresh: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Grant {
    /// With a token that this machine already has (RFC 8693)
    TokenExchange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Storage {
    /// In files that only their owner can read
    Disk,
    /// Not at all
    None,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let info = door.exec_info()?;
        let issued = match self.grant_type {
            Grant::TokenExchange => self.exchange(door, info.as_ref())?,
        };
        // A client-go that does not say which version it speaks is one that knows v1beta1 alone.
        let version = info.map_or(Version::V1Beta1, |info| info.version);
        door.print(&exec_credential_of(&issued, version))
    }

    fn exchange(&self, door: &Door, info: Option<&ExecInfo>) -> anyhow::Result<Issued> {
        let beside = info.and_then(|info| info.cluster.as_ref()?.config.as_ref());
        let cluster = beside.map_or_else(|| Ok(ClusterConfig::default()), ClusterConfig::read)?;
        let ask = self.options.ask(cluster, &self.oidc_extra_scope)?;
        let subject = self.options.subject(door)?;
        let exchanger = self.options.server.exchanger()?;
        let cache = self.cache(door);
        let lookup = if self.force_refresh { Lookup::Replace } else { Lookup::Use };
        door.block_on(async {
            Ok(match &cache {
                Some(cache) => exchanger.obtain(&ask, &subject, cache, lookup).await?,
                None => exchanger.exchange(&ask, &subject).await?,
            })
        })
    }

    /// A cache that cannot be used costs time and nothing else, so it is said and done without.
    fn cache(&self, door: &Door) -> Option<Cache> {
        if self.token_cache_storage == Storage::None {
            return None;
        }
        let opened = self.cache_folder(door).and_then(|folder| Ok(Cache::open(folder)?));
        opened.map_err(|error| terminal::say(&format!("{error:#}; going on without it"))).ok()
    }

    fn cache_folder(&self, door: &Door) -> anyhow::Result<PathBuf> {
        let home = door.environment.get("HOME").or_else(|| door.environment.get("USERPROFILE"));
        let home = home.filter(|home| !home.is_empty()).map(PathBuf::from);
        let no_home = "there is no home folder to keep tokens in: give --token-cache-dir";
        match &self.token_cache_dir {
            Some(folder) => match folder.strip_prefix("~") {
                Ok(inside) => Ok(home.context(no_home)?.join(inside)),
                Err(_) => Ok(folder.clone()),
            },
            None => match door.environment.get("KUBECACHEDIR").filter(|folder| !folder.is_empty()) {
                Some(folder) => Ok(PathBuf::from(folder).join("obol")),
                None => Ok(home.context(no_home)?.join(".kube/cache/obol")),
            },
        }
    }
}
