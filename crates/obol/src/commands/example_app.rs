//! `obol example-app`: an application that people sign in to, to see what a provider gives.

mod page;
mod party;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Ignore, Secret, SystemClock, SystemRandom, Tasks};
use anyhow::{Context as _, ensure};
use client::{ClientAuth, SignIn, Wanted, Way};
use inbound::{Limits, Listener, Setting};
use url::Url;

use crate::cli::Usage;
use crate::commands::token_options::{Server, parse_secret};
use crate::door::Door;
use party::App;

/// Run an application that people sign in to: see every token that a provider gives, decoded and verified.
///
/// The relying party of the Kubernetes guide, for trying a provider out. It keeps sessions in memory, and shows ID and
/// access tokens to whoever signed in, so that they can be tried elsewhere; it is not for production.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, with a client {id: example-app, secret: …, redirectURIs: [http://127.0.0.1:5555/callback]}:
  OBOL_CLIENT_SECRET=… obol example-app --issuer https://dex.example.com:5556 --issuer-root-ca ssl/ca.pem"
)]
pub(crate) struct Args {
    /// The provider
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5556/dex")]
    issuer: String,
    /// Believe this CA and no other: a PEM file
    #[arg(long, value_name = "FILE")]
    issuer_root_ca: Option<PathBuf>,
    /// The client's id
    #[arg(long, value_name = "ID", env = "OBOL_CLIENT_ID", default_value = "example-app")]
    client_id: String,
    /// The client's secret, or file:PATH; none for a public client. Better given as OBOL_CLIENT_SECRET
    #[arg(long, value_name = "SECRET", env = "OBOL_CLIENT_SECRET", hide_env_values = true, value_parser = parse_secret)]
    client_secret: Option<Secret<String>>,
    /// Where the provider sends people back to, as the client has it registered
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5555/callback")]
    redirect_uri: Url,
    /// Where to listen
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5555")]
    listen: Url,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        let address = self.address()?;
        let roots = self.issuer_root_ca.as_ref().map(|path| {
            std::fs::read(path).with_context(|| format!("cannot read --issuer-root-ca {}", path.display()))
        });
        let exchanger = Server::default().exchanger_believing(roots.transpose()?)?;
        let ask = SignIn {
            issuer: self.issuer,
            client: ClientAuth {
                id: Some(self.client_id),
                secret: self.client_secret.filter(|secret| !secret.expose().is_empty()),
            },
            scope: Vec::new(),
            way: Way::Keyboard { redirect_uri: self.redirect_uri.to_string() },
            wanted: Wanted::IdToken,
            extra: Vec::new(),
            pkce: true,
            headers: http::HeaderMap::new(),
            patience: Duration::ZERO,
            authorities: None,
        };
        let app = Arc::new(App::new(exchanger, ask, self.redirect_uri, Arc::new(SystemRandom)));
        door.block_on(async {
            let listener =
                Listener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            door.print(&format!("the example is at http://{}/", listener.address()?))?;
            let tasks = Tasks::default();
            crate::signals::stop_on_end(&tasks)?;
            let setting = Setting {
                tls: None,
                limits: Limits { connections: 100, drain: Duration::from_secs(2), ..Limits::default() },
                clock: Arc::new(SystemClock::default()),
                tasks: tasks.clone(),
                observer: Arc::new(Ignore),
            };
            let service = tower::service_fn(move |request| {
                let app = Arc::clone(&app);
                async move { Ok::<_, std::convert::Infallible>(app.answer(request).await) }
            });
            listener.serve(service, setting).await;
            Ok(())
        })
    }

    fn address(&self) -> anyhow::Result<SocketAddr> {
        ensure!(
            self.listen.scheme() == "http",
            Usage(
                "--listen must be an http URL: tokens are shown there, so it is for this machine alone"
                    .into()
            )
        );
        let host = self.listen.host_str().context("--listen names no host")?;
        let port = self.listen.port_or_known_default().unwrap_or_default();
        let mut found =
            (host.trim_matches(['[', ']']), port).to_socket_addrs().context("--listen cannot be resolved")?;
        let address = found.next().context("--listen cannot be resolved")?;
        ensure!(
            address.ip().is_loopback(),
            Usage("--listen must be a loopback address: tokens are shown there in the clear".into())
        );
        Ok(address)
    }
}
