//! A few threads for RSA: one signature takes most of a millisecond, too long for a thread that serves connections and
//! too important to queue behind whatever else blocks in tokio's shared pool.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::SignError;

/// Threads that make RSA signatures, with a bounded queue before them. Cloning shares them; they end with the last clone.
#[derive(Debug, Clone)]
pub struct SigningPool {
    queue: SyncSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl SigningPool {
    /// Starts `threads` threads (at least one) before which at most `queued` signatures wait.
    ///
    /// # Errors
    /// What the operating system says when it cannot start a thread.
    pub fn start(threads: usize, queued: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(queued);
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name(format!("sign-{n}")).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Runs `job` on one of the threads. A caller that goes away while waiting takes its job with it.
    ///
    /// # Errors
    /// [`SignError::Busy`] at once if the queue is full; [`SignError::Failed`] if the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SignError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !tell.is_closed() {
                let _ = tell.send(job());
            }
        });
        self.queue.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => SignError::Busy,
            TrySendError::Disconnected(_) => SignError::Failed("the signing threads have ended".into()),
        })?;
        told.await.map_err(|_| SignError::Failed("a signing thread failed".into()))
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: exactly one idle thread listens, the others wait for the lock.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic drops the sender of the answer, which tells the one who waits; the thread goes on.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}
