//! The one place that knows every crate: a configuration becomes running listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock as _, Observer, Secret};
use anyhow::{Context as _, bail};
use inbound::{Limits, Listener, Pair, PairFiles, ServerTls, Setting, Versions};
use provider::keys::{Keeper, LongestToken};
use provider::login::Cookies;
use provider::records::{Records, Sealing};
use provider::settings::Settings;
use provider::store::Store;
use provider::{Around, Living, Provider, sweep};

use crate::admin;
use crate::configuration::{AtRest, Configuration, Surroundings};
use crate::reload::{InUse, Origin, Reloader};
use crate::signals;
use crate::starting::{self, Gate, Reason};
use crate::telemetry::{self, Audit, Metrics};

/// Listeners that are bound and not yet serving.
pub(crate) struct Bound {
    http: Option<Listener>,
    https: Option<(Listener, web::TlsFiles)>,
    telemetry: Option<Listener>,
    admin: Option<Listener>,
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
            admin: bind_some(configuration.admin.as_ref().map(admin::Settings::address)).await?,
        })
    }

    /// Uses a listener that is bound already.
    pub(crate) const fn over(http: Listener) -> Self {
        Self { http: Some(http), https: None, telemetry: None, admin: None }
    }
}

/// Serves until the task group stops, then lets what is under way finish.
pub(crate) async fn serve(
    bound: Bound,
    configuration: Configuration,
    around: Surroundings,
    origin: Option<Origin>,
) -> anyhow::Result<()> {
    let surroundings = around.clone();
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
    let events = Arc::clone(&around.events);
    let connectors = configuration.connectors;
    let setting = Setting {
        tls: None,
        limits: small(),
        clock: Arc::clone(&clock) as Arc<dyn ambient::Clock>,
        tasks: tasks.clone(),
        observer: Arc::clone(&metrics) as Arc<dyn Observer<inbound::Event>>,
    };
    let keeper = Keeper::new(records.clone(), &configuration.provider, around.clone())?;
    let reason = Reason::default();
    let gates =
        Gates { routes: Gate::new(starting::later()), telemetry: Gate::new(starting::probes(&reason)) };
    let mut fronts = Some((bound.http, bound.https, bound.telemetry));
    let mut listen = || match fronts.take() {
        Some(fronts) => gates.listen(fronts, &setting),
        None => Ok(()),
    };
    let loading = starting::load(&keeper, &*clock, &reason, &mut listen);
    let loaded = tokio::select! {
        loaded = loading => loaded.context("the signing keys cannot be loaded")?,
        () = tasks.stopping() => return Ok(()),
    };
    let (provider, longest) =
        provider(configuration.provider, connectors.clone(), records, keeper, &loaded, around)?;
    if let Some(origin) = origin {
        let in_use = InUse { outline: configuration.outline, connectors };
        let provider = Arc::clone(&provider);
        let reloader = Reloader { origin, around: surroundings, provider, longest, in_use, events };
        tasks.spawn_until_stop(reloader.run());
    }
    tasks.spawn_until_stop(sweep::run(Arc::clone(&provider)));

    let pages = web::Pages::new(&configuration.web.frontend, provider.living().settings.issuer.path())?;
    gates.routes.open(web::router(Arc::clone(&provider), configuration.web, pages));
    gates.telemetry.open(telemetry::service(Arc::clone(&provider), Arc::clone(&metrics)));
    if let (Some(listener), Some(admin)) = (bound.admin, &configuration.admin) {
        let loopback = matches!(admin, admin::Settings::Loopback(_));
        let tls = mutual_tls(admin, &setting)?;
        let service = Gate::new(admin::service(Arc::clone(&provider), loopback));
        tasks.spawn(listener.serve(service, Setting { tls, ..setting.clone() }));
    }
    listen()?;
    tracing::info!(issuer = &*provider.living().settings.issuer.text, "serving");
    tasks.stopping().await;
    tokio::select! {
        () = tasks.ended() => {}
        () = clock.sleep(LAST_CALL) => tracing::warn!("some connections did not end in time"),
    }
    tokio::select! {
        () = metrics.written() => {}
        () = clock.sleep(LAST_CALL) => tracing::error!("the last audit lines could not be written in time"),
    }
    Ok(())
}

fn provider(
    settings: Settings,
    connectors: Vec<provider::connector::Opened>,
    records: Records,
    keeper: Keeper,
    cookies: &Secret<Vec<u8>>,
    around: Around,
) -> anyhow::Result<(Arc<Provider>, LongestToken)> {
    let cookies = Cookies::new(cookies).context("the stored cookie secret is too short")?;
    let ring = Arc::clone(keeper.ring());
    let longest = keeper.longest();
    around.tasks.spawn_until_stop(keeper.run());
    for opened in &connectors {
        opened.connector.warm();
    }
    Ok((Provider::new(Living { settings, connectors }, records, ring, cookies, around), longest))
}

/// What the listeners answer with.
struct Gates {
    routes: Gate,
    telemetry: Gate,
}

/// Without TLS, with it, and for probes.
type Fronts = (Option<Listener>, Option<(Listener, web::TlsFiles)>, Option<Listener>);

impl Gates {
    fn listen(&self, (http, https, telemetry): Fronts, setting: &Setting) -> anyhow::Result<()> {
        let tasks = &setting.tasks;
        if let Some(listener) = telemetry {
            tasks.spawn(listener.serve(self.telemetry.clone(), setting.clone()));
        }
        if let Some((listener, files)) = https {
            let tls = Some(tls(&files, setting)?);
            tasks.spawn(listener.serve(self.routes.clone(), Setting { tls, ..setting.clone() }));
        }
        if let Some(listener) = http {
            tasks.spawn(listener.serve(self.routes.clone(), setting.clone()));
        }
        Ok(())
    }
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

/// `None` for a listener on loopback.
fn mutual_tls(admin: &admin::Settings, setting: &Setting) -> anyhow::Result<Option<Arc<ServerTls>>> {
    let admin::Settings::Mutual(_, files) = admin else { return Ok(None) };
    let paths = PairFiles { chain: files.cert.clone(), key: files.key.clone() };
    let pair: Pair = paths.read()?;
    let authority = std::fs::read(&files.client_ca)
        .with_context(|| format!("admin.clientCA: cannot read {}", files.client_ca.display()))?;
    let tls = ServerTls::mutual(&pair, Versions::default(), &authority)
        .context("admin.tlsCert, admin.tlsKey or admin.clientCA cannot be used")?;
    let tls = Arc::new(tls);
    follow(&tls, paths, pair, setting)?;
    Ok(Some(tls))
}

fn tls(files: &web::TlsFiles, setting: &Setting) -> anyhow::Result<Arc<ServerTls>> {
    let paths = PairFiles { chain: files.cert.clone(), key: files.key.clone() };
    let pair: Pair = paths.read()?;
    let tls =
        Arc::new(ServerTls::new(&pair, files.versions).context("web.tlsCert and web.tlsKey cannot be used")?);
    follow(&tls, paths, pair, setting)?;
    Ok(tls)
}

/// Takes over what changes there, at once on SIGHUP.
fn follow(tls: &Arc<ServerTls>, paths: PairFiles, pair: Pair, setting: &Setting) -> anyhow::Result<()> {
    let look = signals::hangups(&setting.tasks)?;
    let (clock, observer) = (Arc::clone(&setting.clock), Arc::clone(&setting.observer));
    setting.tasks.spawn_until_stop(Arc::clone(tls).follow(paths, pair, clock, look, observer));
    Ok(())
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

/// Requests of the provider are small: who sends much ahead of being read is no client of it.
fn small() -> Limits {
    Limits { streams: 32, window: 256 * 1024, ..Limits::default() }
}

/// Longer than any listener drains.
const LAST_CALL: Duration = Duration::from_secs(30);
