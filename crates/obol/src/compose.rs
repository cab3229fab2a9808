//! The one place that knows every crate: a configuration becomes running listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock as _, Observer};
use anyhow::{Context as _, bail};
use inbound::{Limits, Listener, Pair, PairFiles, ServerTls, Setting};
use provider::keys::Keeper;
use provider::login::Cookies;
use provider::records::{Records, Sealing};
use provider::settings::Settings;
use provider::store::Store;
use provider::{Around, Living, Provider, sweep};
use tokio::sync::Notify;

use crate::configuration::{AtRest, Configuration, Surroundings};
use crate::signals;
use crate::telemetry::{self, Audit, Metrics};

/// Listeners that are bound and not yet serving.
pub(crate) struct Bound {
    http: Option<Listener>,
    https: Option<(Listener, web::TlsFiles)>,
    telemetry: Option<Listener>,
}

impl Bound {
    /// Binds first of all, so that clients wait instead of being refused while the rest gets ready.
    pub(crate) async fn new(configuration: &Configuration) -> anyhow::Result<Self> {
        let listen = &configuration.web.listen;
        let https = match &listen.https {
            Some((address, files)) => Some((bind(*address).await?, files.clone())),
            None => None,
        };
        Ok(Self {
            http: bind_some(listen.http).await?,
            https,
            telemetry: bind_some(configuration.telemetry.http).await?,
        })
    }

    /// Uses a listener that is bound already.
    pub(crate) const fn over(http: Listener) -> Self {
        Self { http: Some(http), https: None, telemetry: None }
    }
}

/// Serves until the task group stops, then lets what is under way finish.
pub(crate) async fn serve(
    bound: Bound,
    configuration: Configuration,
    around: Surroundings,
) -> anyhow::Result<()> {
    let tasks = around.tasks.clone();
    let audit = Audit::start(&configuration.telemetry.logger).context("cannot start the audit thread")?;
    let metrics = Metrics::new(audit);
    let clock = Arc::clone(&around.clock);
    let around = Around {
        clock: around.clock,
        random: around.random,
        tasks: around.tasks,
        events: Arc::clone(&metrics) as Arc<dyn Observer<provider::event::Event>>,
    };
    let store = configuration
        .storage
        .open(Arc::clone(&around.clock))
        .await
        .context("the storage cannot be opened")?;
    let sealing = at_rest(configuration.sealing, &*store)?;
    let records = Records::new(store, sealing, Arc::clone(&around.random));
    let provider = provider(configuration.provider, configuration.connectors, records, around).await?;
    tasks.spawn_until_stop(sweep::run(Arc::clone(&provider)));

    let pages = web::Pages::new(
        configuration.web.frontend.issuer.as_deref(),
        provider.living().settings.issuer.path(),
    )?;
    let hangups = signals::hangups(&tasks)?;
    let routes = web::router(Arc::clone(&provider), configuration.web, pages);
    let setting = Setting {
        tls: None,
        limits: Limits::default(),
        clock: Arc::clone(&clock) as Arc<dyn ambient::Clock>,
        tasks: tasks.clone(),
        observer: Arc::clone(&metrics) as Arc<dyn Observer<inbound::Event>>,
    };
    if let Some(listener) = bound.telemetry {
        let service = hyper_service(telemetry::service(Arc::clone(&provider), Arc::clone(&metrics)));
        tasks.spawn(listener.serve(service, setting.clone()));
    }
    if let Some((listener, files)) = bound.https {
        let tls = tls(&files, &setting, hangups)?;
        tasks.spawn(
            listener.serve(hyper_service(routes.clone()), Setting { tls: Some(tls), ..setting.clone() }),
        );
    }
    if let Some(listener) = bound.http {
        tasks.spawn(listener.serve(hyper_service(routes), setting));
    }
    tracing::info!(issuer = &*provider.living().settings.issuer.text, "serving");
    tasks.stopping().await;
    tokio::select! {
        () = tasks.ended() => {}
        () = clock.sleep(LAST_CALL) => tracing::warn!("some connections did not end in time"),
    }
    metrics.flush();
    Ok(())
}

async fn provider(
    settings: Settings,
    connectors: Vec<provider::connector::Opened>,
    records: Records,
    around: Around,
) -> anyhow::Result<Arc<Provider>> {
    let keeper = Keeper::new(records.clone(), &settings, around.clone())?;
    let cookies = keeper.load().await.context("the signing keys cannot be loaded")?;
    let cookies = Cookies::new(&cookies).context("the stored cookie secret is too short")?;
    let ring = Arc::clone(keeper.ring());
    around.tasks.spawn_until_stop(keeper.run());
    for opened in &connectors {
        opened.connector.warm();
    }
    Ok(Provider::new(Living { settings, connectors }, records, ring, cookies, around))
}

/// DESIGN section 4.10: secrets at rest are sealed, or somebody said that they need not be.
fn at_rest(configured: AtRest, store: &dyn Store) -> anyhow::Result<Sealing> {
    match configured {
        AtRest::Sealed(sealing) => Ok(sealing),
        AtRest::Plain => Ok(Sealing::None),
        _ if !store.persistent() => Ok(Sealing::None),
        AtRest::Unsaid => {
            tracing::warn!(
                "signing keys and upstream tokens are stored UNSEALED in {}: whoever reads it can sign as this issuer. \
                 Add `sealing: {{keyFile: …}}`, or `sealing: none` to say that this is meant",
                store.name()
            );
            Ok(Sealing::None)
        }
        AtRest::Forgotten => {
            bail!(
                "{} outlives the process and no sealing key is configured; write `sealing: {{keyFile: …}}` or `sealing: none`",
                store.name()
            )
        }
    }
}

fn tls(files: &web::TlsFiles, setting: &Setting, look: Arc<Notify>) -> anyhow::Result<Arc<ServerTls>> {
    let paths = PairFiles { chain: files.cert.clone(), key: files.key.clone() };
    let pair: Pair = paths.read()?;
    let tls =
        Arc::new(ServerTls::new(&pair, files.versions).context("web.tlsCert and web.tlsKey cannot be used")?);
    let (clock, observer) = (Arc::clone(&setting.clock), Arc::clone(&setting.observer));
    setting.tasks.spawn_until_stop(Arc::clone(&tls).follow(paths, pair, clock, look, observer));
    Ok(tls)
}

async fn bind_some(address: Option<SocketAddr>) -> anyhow::Result<Option<Listener>> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<Listener> {
    Listener::bind(address).await.with_context(|| format!("cannot listen on {address}; is it in use?"))
}

/// axum's router as hyper hands it requests.
fn hyper_service(
    routes: axum::Router,
) -> impl tower::Service<
    http::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::util::MapRequest::new(routes, |request: http::Request<hyper::body::Incoming>| {
        request.map(axum::body::Body::new)
    })
}

/// Longer than any listener drains.
const LAST_CALL: Duration = Duration::from_secs(30);
