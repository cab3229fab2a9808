//! `obol logout`: forgets what `get-token` keeps, and tells the provider.

use ambient::Secret;
use client::{Session, Unrevoked};

use crate::commands::cache_options::CacheOptions;
use crate::commands::token_options::{Server, parse_secret};
use crate::door::Door;
use crate::terminal;

/// Sign out: forget all kept tokens, and end their sessions at the provider.
///
/// With --issuer, the sessions of that provider alone; only then is it sent a secret or a header of yours. What is kept here is removed first, whatever the provider says;
/// a session that it could not be told about ends there by itself.
#[derive(Debug, clap::Args)]
#[command(alias = "clean")]
pub(crate) struct Args {
    #[command(flatten)]
    server: Server,
    /// The client's secret, or file:PATH, where the provider wants it for ending a session
    #[arg(long, value_name = "SECRET", env = "OBOL_CLIENT_SECRET", hide_env_values = true, visible_alias = "oidc-client-secret", value_parser = parse_secret)]
    client_secret: Option<Secret<String>>,
    /// Only forget; tell no provider
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    cache: CacheOptions,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let chosen =
            |session: &Session| self.server.issuer.as_deref().is_none_or(|issuer| issuer == session.issuer());
        let (sessions, left) = self.cache.open(door)?.clear(chosen);
        if sessions.is_empty() && left.is_none() {
            terminal::say("no session was kept; forgot every token");
        }
        for session in sessions {
            let of = format!("the session of {} at {}", session.client_id(), session.issuer());
            if self.local {
                terminal::say(&format!("forgot {of}"));
                continue;
            }
            match self.revoke(door, &session) {
                Ok(()) => terminal::say(&format!("ended {of}")),
                Err(error) => {
                    terminal::say(&format!("forgot {of}; it ends there by itself, since {error:#}"));
                }
            }
        }
        left.map_or(Ok(()), |error| Err(error.into()))
    }

    fn revoke(&self, door: &Door, session: &Session) -> anyhow::Result<()> {
        // A secret, headers and whom to believe are one provider's: without its name they go to none.
        let everybodys = Server::default();
        let (server, secret) = match self.server.issuer {
            Some(_) => (&self.server, self.client_secret.clone()),
            None => (&everybodys, None),
        };
        let roots = match (server.roots()?, session.authorities()) {
            (Some(own), _) => Some(own),
            (None, kept) => kept.map(|pem| pem.as_bytes().to_vec()),
        };
        let exchanger = server.exchanger_believing(roots)?;
        let ended = async { Ok(session.revoke(&exchanger, secret).await) };
        door.block_on(ended)?.map_err(|error: Unrevoked| error.into())
    }
}
