//! Background work that shutdown waits for, and state changes that finish once begun.

use std::sync::Arc;

use tokio::sync::watch;

use crate::BoxFuture;

/// Spawns tasks and ends them together. Cloning shares the group.
#[derive(Clone)]
pub struct Tasks {
    stop: Arc<watch::Sender<bool>>,
    alive: Arc<watch::Sender<usize>>,
}

/// The task panicked or its runtime is gone, so its result will never be known.
#[derive(Debug, thiserror::Error)]
#[error("an internal task ended without a result")]
pub struct Lost;

impl Default for Tasks {
    fn default() -> Self {
        Self { stop: Arc::new(watch::Sender::new(false)), alive: Arc::new(watch::Sender::new(0)) }
    }
}

impl Tasks {
    /// Runs `work` in the background until it ends by itself; it should end soon after [`Tasks::stopping`].
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let guard = self.enter();
        spawn(async move {
            work.await;
            drop(guard);
        });
    }

    /// Runs `work` in the background and drops it at its next await when the group stops.
    pub fn spawn_until_stop(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping();
        self.spawn(async move {
            tokio::select! {
                () = stopping => {}
                () = work => {}
            }
        });
    }

    /// Runs `change` to its end even if the caller is dropped while waiting for it (a closed connection must
    /// not leave half of a state change behind).
    ///
    /// # Errors
    /// [`Lost`] if the change panicked or the runtime is shutting down.
    pub async fn finish<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Lost> {
        let guard = self.enter();
        let handle = spawn(async move {
            let value = change.await;
            drop(guard);
            value
        });
        handle.await.map_err(|_| Lost)
    }

    /// Resolves when [`Tasks::stop`] was called.
    pub fn stopping(&self) -> BoxFuture<'static, ()> {
        let mut seen = self.stop.subscribe();
        Box::pin(async move {
            let _ = seen.wait_for(|stop| *stop).await;
        })
    }

    /// Tells every task to end. Returns at once.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves when no task of the group is left.
    pub async fn ended(&self) {
        let _ = self.alive.subscribe().wait_for(|alive| *alive == 0).await;
    }

    fn enter(&self) -> Alive {
        self.alive.send_modify(|alive| *alive += 1);
        Alive(Arc::clone(&self.alive))
    }
}

struct Alive(Arc<watch::Sender<usize>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive = alive.saturating_sub(1));
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stop_ends_what_was_spawned_until_stop() {
        let tasks = Tasks::default();
        tasks.spawn_until_stop(std::future::pending());
        tasks.stop();
        tasks.ended().await;
    }

    #[tokio::test]
    async fn a_change_finishes_although_its_caller_went_away() {
        let tasks = Tasks::default();
        let (tell, told) = tokio::sync::oneshot::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        {
            let mut waiting = Box::pin(tasks.finish(async move {
                let _ = gone.await;
                let _ = tell.send(());
            }));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
        }
        let _ = go.send(());
        assert!(told.await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_inside_is_a_value_outside() {
        assert!(Tasks::default().finish(async { panic!("on purpose") }).await.is_err());
    }
}
