//! Puts the proxy together and serves until it is told to stop.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Observer, SystemClock, Tasks};
use anyhow::Context as _;
use bytes::Bytes;
use cluster::Reviews;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use inbound::{Limits, Listener, PairFiles, Peer, ServerTls, Setting, Versions};
use outbound::Dial;
use proxy::{
    Event, Issuers, MOST_TUNNELS, Means, OnBehalf, Passthrough, Probe, Proxy, Settings, World, keep_rights,
};
use token::Pace;
use tokio::signal::unix::{SignalKind, signal};

use super::log::Audit;
use super::login::Admitted;
use super::metrics::Metrics;
use super::{Args, LogFormat, reload};
use crate::cli::Usage;
use crate::door::Door;
use crate::telemetry::Logger;

pub(super) fn run(args: &Arc<Args>, door: &Door) -> anyhow::Result<()> {
    let logger = Logger::of_flags(&args.log_level, args.log_format == LogFormat::Json)
        .ok_or_else(|| Usage("--log-level: write debug, info, warn or error".into()))?;
    logger.install();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(serve(args, door, &logger))
}

async fn serve(args: &Arc<Args>, door: &Door, logger: &Logger) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let dial = Dial::new(Arc::clone(&clock));
    let (tasks, tunnels, background) = (Tasks::default(), Tasks::default(), Tasks::default());
    let means = Means { dial: dial.clone(), clock: Arc::clone(&clock), tasks: background.clone() };
    let audit = Audit::start(logger, Arc::clone(&clock)).context("cannot start the audit thread")?;
    let metrics = Metrics::new(audit);
    let world = World {
        clock: Arc::clone(&clock),
        dial,
        tunnels: tunnels.clone(),
        observer: Arc::clone(&metrics) as Arc<dyn Observer<Event>>,
    };
    let target = args.api_server.target(door, &clock)?;
    let reviews = target.reviews(&world.dial)?;
    let seen = args.login.file().and_then(reload::read);
    let audit = args.audit.start(&world.dial, &clock, &background)?;
    let seen_policy = args.audit.file().and_then(reload::read);
    let settings = Settings { audit: audit.clone(), ..settings(args, &means, &reviews)? };
    let proxy = Arc::new(Proxy::new(settings, target, world)?);
    if !args.disable_impersonation {
        background.spawn_until_stop(keep_rights(Arc::clone(&proxy), reviews, Arc::clone(&clock)));
    }
    metrics.look_at(Arc::clone(&proxy), audit.clone());
    let every = args.readiness_require_all_issuers;
    let probe =
        Arc::new(Probe::new(Arc::clone(&proxy), Pace::default().stale_for, every, Arc::clone(&clock)));
    let look = crate::signals::hangups(&background)?;
    background.spawn_until_stop(reload::follow(
        Arc::clone(args),
        seen,
        Arc::clone(&proxy),
        means,
        look,
        Arc::clone(&metrics),
    ));

    if let Some(audit) = &audit {
        let look = crate::signals::hangups(&background)?;
        let (args, audit, clock) = (Arc::clone(args), Arc::clone(audit), Arc::clone(&clock));
        background.spawn_until_stop(reload::follow_policy(args, seen_policy, audit, clock, look));
    }

    let tls = follow_certificate(args, &clock, &background, &metrics)?;
    let plain = Setting {
        tls: None,
        limits: Limits::default(),
        clock: Arc::clone(&clock),
        tasks: tasks.clone(),
        observer: Arc::clone(&metrics) as Arc<dyn Observer<inbound::Event>>,
    };
    // The probe outlives the proxy's listener: while that drains, it says so.
    let setting = Setting { tls: Some(tls), ..plain.clone() };
    let plain = Setting { tasks: background.clone(), ..plain };
    let ports = (bind(args.secure_address()).await?, bind(args.probe_address()).await?);
    door.print(&format!("serving on https://{}", ports.0.address()?))?;
    door.print(&format!("probes on http://{}", ports.1.address()?))?;
    let answering = Arc::clone(&probe);
    let probes = tower::service_fn(move |request: Request<Incoming>| {
        let answer = answering.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    if let Some(address) = args.metrics_bind_address {
        let listener = bind(address).await?;
        door.print(&format!("metrics on http://{}/metrics", listener.address()?))?;
        background.spawn(listener.serve(measured(Arc::clone(&metrics)), plain.clone()));
    }
    background.spawn(ports.1.serve(probes, plain));
    let keeping = Arc::clone(&probe);
    background.spawn_until_stop(async move { keeping.keep_keys().await });
    let requests = tower::service_fn(move |request: Request<Incoming>| {
        let proxy = Arc::clone(&proxy);
        async move {
            let peer = peer(&request);
            Ok::<_, Infallible>(proxy.answer(request, peer).await)
        }
    });
    let drain = setting.limits.drain;
    tasks.spawn(ports.0.serve(requests, setting));
    probe.set_serving(true);

    until_told().await?;
    probe.set_serving(false);
    tasks.stop();
    tokio::select! {
        ((), ()) = async { tokio::join!(tasks.ended(), tunnels.ended()) } => {}
        () = clock.sleep(drain) => {}
        told = until_told() => told?,
    }
    tunnels.stop();
    background.stop();
    let audited = async {
        if let Some(audit) = &audit {
            audit.written().await;
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(metrics.written(), audited) } => {}
        () = clock.sleep(LAST_LINES_WITHIN) => {}
    }
    Ok(())
}

fn settings(args: &Args, means: &Means, reviews: &Reviews) -> anyhow::Result<Settings> {
    let clock = || Arc::clone(&means.clock);
    let passthrough = args
        .token_passthrough
        .then(|| Passthrough::new(reviews.clone(), args.token_passthrough_audiences.clone(), clock()));
    let within = args.subject_access_review_timeout;
    let on_behalf = args.allow_impersonation.then(|| OnBehalf::new(reviews.clone(), within, clock()));
    let Admitted { issuers, anonymous } = args.login.admitted()?;
    Ok(Settings {
        issuers: Issuers::new(issuers, anonymous, means, None)?,
        reserved: args.login.reserved(),
        mode: args.mode(),
        passthrough,
        on_behalf,
        trusted_proxies: args.trusted_proxies.clone(),
        stream_grace: args.stream_grace,
        failures_per_second: args.failures_per_second,
        audit: None,
        most_tunnels: MOST_TUNNELS,
    })
}

/// What Prometheus asks.
fn measured(
    metrics: Arc<Metrics>,
) -> impl tower::Service<
    Request<Incoming>,
    Response = http::Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request: Request<Incoming>| {
        let found = request.uri().path() == "/metrics";
        let text = if found { metrics.text() } else { String::new() };
        async move {
            let mut answer = http::Response::new(Full::new(Bytes::from(text)));
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if !found {
                *answer.status_mut() = StatusCode::NOT_FOUND;
            }
            Ok::<_, Infallible>(answer)
        }
    })
}

/// Who connected; the listener always says.
fn peer(request: &Request<Incoming>) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.address.ip())
}

fn follow_certificate(
    args: &Args,
    clock: &Arc<dyn Clock>,
    tasks: &Tasks,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<ServerTls>> {
    let files = PairFiles { chain: args.tls_cert_file.clone(), key: args.tls_private_key_file.clone() };
    let pair = files.read()?;
    let tls = Arc::new(ServerTls::new(&pair, Versions::default())?);
    let log: Arc<dyn Observer<inbound::Event>> = Arc::clone(metrics) as _;
    let hangups = crate::signals::hangups(tasks)?;
    tasks.spawn_until_stop(Arc::clone(&tls).follow(files, pair, Arc::clone(clock), hangups, log));
    Ok(tls)
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<Listener> {
    Listener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// A log that nobody reads any more does not keep the process alive.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(5);

/// Resolves when the process is asked to end.
async fn until_told() -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
