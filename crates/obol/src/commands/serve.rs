//! `obol serve`: the provider.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ambient::{SystemClock, SystemRandom, Tasks};
use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use crate::cli::Usage;
use crate::compose::{self, Bound};
use crate::configuration::{self, Reading, Surroundings};
use crate::dev;
use crate::door::Door;
use crate::reload::Origin;
use crate::signals;

/// Serve the OpenID Connect provider and its token exchange.
///
/// CONFIG is a Dex configuration, or one of Obol's own; `obol check CONFIG` says what is wrong with it. With --dev no
/// configuration is needed: everything is made up, kept in a temporary folder, and what to try next is printed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obol serve --dev\n  obol serve /etc/obol/config.yaml\n\nSIGTERM and SIGINT end it after what is under way. A configuration or certificate that\nchanges is read again, at once on SIGHUP; the last good one stays in use if the new one has faults."
)]
pub(crate) struct Args {
    /// The configuration file (YAML)
    #[arg(env = "OBOL_CONFIG", required_unless_present = "dev")]
    config: Option<PathBuf>,
    /// Serve on loopback with a made-up configuration
    #[arg(long, conflicts_with = "config")]
    dev: bool,
    /// With --dev: the port; taken by somebody else, any free one
    #[arg(long, default_value_t = 5556, requires = "dev", value_name = "PORT")]
    port: u16,
    /// Refuse keys that are not known instead of warning
    #[arg(long, env = "DEX_CONFIG_DISALLOW_UNKNOWN_FIELDS")]
    strict: bool,
    /// Instead of web.http
    #[arg(long, value_name = "ADDR", value_parser = address)]
    web_http_addr: Option<SocketAddr>,
    /// Instead of web.https; tlsCert and tlsKey stay the configuration's
    #[arg(long, value_name = "ADDR", value_parser = address)]
    web_https_addr: Option<SocketAddr>,
    /// Instead of telemetry.http
    #[arg(long, value_name = "ADDR", value_parser = address)]
    telemetry_addr: Option<SocketAddr>,
    /// Instead of grpc.addr: accepted, and not there yet
    #[arg(long, value_name = "ADDR")]
    grpc_addr: Option<String>,
}

impl Args {
    pub(crate) fn run(self, door: &Door) -> anyhow::Result<()> {
        runtime().context("cannot start the runtime")?.block_on(self.serve(door))
    }

    async fn serve(self, door: &Door) -> anyhow::Result<()> {
        let around = Surroundings {
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            tasks: Tasks::default(),
        };
        signals::stop_on_end(&around.tasks)?;
        if self.dev {
            return dev::serve(self.port, door, around).await;
        }
        let path = self.config.ok_or_else(|| Usage("name a configuration file, or use --dev".into()))?;
        let listen = web::Instead { http: self.web_http_addr, https: self.web_https_addr };
        let reading = Reading { strict: self.strict, listen };
        let mut configuration = configuration::load(&path, &door.environment, &around, reading)?;
        if self.grpc_addr.is_some() {
            tracing::warn!("not there yet and without effect: --grpc-addr");
        }
        configuration.telemetry.http = self.telemetry_addr.or(configuration.telemetry.http);
        let bound = Bound::new(&configuration).await?;
        let origin = Origin { path, environment: door.environment.clone(), strict: self.strict, listen };
        compose::serve(bound, configuration, around, Some(origin)).await
    }
}

/// A thread for each core. Where there is one core, the main thread is it: nobody is there to share tasks with.
fn runtime() -> std::io::Result<Runtime> {
    let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = if alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    web::socket_address(text).ok_or("is not host:port; write it as 127.0.0.1:5556 or :5556")
}
