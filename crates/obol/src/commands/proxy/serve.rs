//! Puts the proxy together and serves until it is told to stop.

use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Observer, Secret, SystemClock, Tasks};
use anyhow::Context as _;
use cluster::{InCluster, Reviews};
use http::Request;
use hyper::body::Incoming;
use inbound::{Limits, Listener, PairFiles, Peer, ServerTls, Setting, Versions};
use outbound::{Dial, Identity, Roots, TokenFile};
use proxy::{
    Credential, Event, Issuers, MOST_TUNNELS, Means, OnBehalf, Passthrough, Probe, Proxy, Settings, Target,
    World, keep_rights,
};
use token::Pace;
use tokio::signal::unix::{SignalKind, signal};

use super::log::{Audit, Log};
use super::login::Admitted;
use super::{Args, reload};
use crate::door::Door;

pub(super) fn run(args: &Arc<Args>, door: &Door) -> anyhow::Result<()> {
    let colours = std::io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt().with_ansi(colours).with_writer(std::io::stderr).try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(serve(args, door))
}

async fn serve(args: &Arc<Args>, door: &Door) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let dial = Dial::new(Arc::clone(&clock));
    let (tasks, tunnels, background) = (Tasks::default(), Tasks::default(), Tasks::default());
    let means = Means { dial: dial.clone(), clock: Arc::clone(&clock), tasks: background.clone() };
    let audit = Arc::new(Audit::start().context("cannot start the audit thread")?);
    let world = World {
        clock: Arc::clone(&clock),
        dial,
        tunnels: tunnels.clone(),
        observer: Arc::clone(&audit) as Arc<dyn Observer<Event>>,
    };
    let target = target(args, door, &clock)?;
    let reviews = target.reviews(&world.dial)?;
    let proxy = Arc::new(Proxy::new(settings(args, &means, &reviews)?, target, world)?);
    if !args.disable_impersonation {
        background.spawn_until_stop(keep_rights(Arc::clone(&proxy), reviews, Arc::clone(&clock)));
    }
    let every = args.readiness_require_all_issuers;
    let probe =
        Arc::new(Probe::new(Arc::clone(&proxy), Pace::default().stale_for, every, Arc::clone(&clock)));
    let look = crate::signals::hangups(&background)?;
    background.spawn_until_stop(reload::follow(Arc::clone(args), Arc::clone(&proxy), means, look));

    let tls = follow_certificate(args, &clock, &background)?;
    let plain = Setting {
        tls: None,
        limits: Limits::default(),
        clock: Arc::clone(&clock),
        tasks: tasks.clone(),
        observer: Arc::new(Log),
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
    tokio::select! {
        () = audit.written() => {}
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
        most_tunnels: MOST_TUNNELS,
    })
}

/// Who connected; the listener always says.
fn peer(request: &Request<Incoming>) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.address.ip())
}

fn target(args: &Args, door: &Door, clock: &Arc<dyn Clock>) -> anyhow::Result<Target> {
    let token_file =
        |path: &Path| Credential::TokenFile(Arc::new(TokenFile::new(path.to_owned(), Arc::clone(clock))));
    let Some(server) = args.server.clone() else {
        let environment = &door.environment;
        let pod = InCluster::from(Path::new(cluster::MOUNT), |name| environment.get(name).map(str::to_owned))
            .context("without --server the proxy must run in a pod")?;
        let credential = token_file(&pod.token);
        return Ok(Target { server: pod.server, roots: Roots::Only(pod.ca_pem), credential });
    };
    let roots = match &args.certificate_authority {
        Some(path) => Roots::Only(read(path)?),
        None => Roots::System,
    };
    let credential = match (&args.token_file, &args.token, &args.client_certificate, &args.client_key) {
        (Some(path), ..) => token_file(path),
        (_, Some(token), ..) => Credential::Token(token.clone()),
        (_, _, Some(chain), Some(key)) => {
            Credential::Certificate(Identity { chain_pem: read(chain)?, key_pem: Secret::new(read(key)?) })
        }
        // Only when callers go as they are: nothing of the proxy's is ever sent.
        _ => Credential::Token(Secret::default()),
    };
    Ok(Target { server, roots, credential })
}

fn follow_certificate(args: &Args, clock: &Arc<dyn Clock>, tasks: &Tasks) -> anyhow::Result<Arc<ServerTls>> {
    let files = PairFiles { chain: args.tls_cert_file.clone(), key: args.tls_private_key_file.clone() };
    let pair = files.read()?;
    let tls = Arc::new(ServerTls::new(&pair, Versions::default())?);
    let log: Arc<dyn Observer<inbound::Event>> = Arc::new(Log);
    let hangups = crate::signals::hangups(tasks)?;
    tasks.spawn_until_stop(Arc::clone(&tls).follow(files, pair, Arc::clone(clock), hangups, log));
    Ok(tls)
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<Listener> {
    Listener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
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
