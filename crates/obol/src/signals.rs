//! What the operating system tells a server.

use std::sync::Arc;

use ambient::Tasks;
use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// Stops the tasks at SIGINT or SIGTERM.
pub(crate) fn stop_on_end(tasks: &Tasks) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let group = tasks.clone();
    tasks.spawn_until_stop(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        group.stop();
    });
    Ok(())
}

/// Told at each SIGHUP, by which operators of Dex have certificates read again. To a process that does not listen for it,
/// it is the end.
pub(crate) fn hangups(tasks: &Tasks) -> anyhow::Result<Arc<Notify>> {
    let mut hangup = listen(SignalKind::hangup())?;
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    tasks.spawn_until_stop(async move {
        while hangup.recv().await.is_some() {
            tell.notify_one();
        }
    });
    Ok(told)
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).with_context(|| format!("cannot listen for {kind:?}"))
}
