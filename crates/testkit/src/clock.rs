//! A clock that stands still until it is told to move.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Time};
use tokio::sync::{oneshot, watch};

/// Time in a test's hand. Clones share it. Starts at 2026-01-01T00:00:00Z.
///
/// ```
/// # use std::time::Duration;
/// # use ambient::Clock as _;
/// let clock = testkit::FakeClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(before), Duration::from_secs(60));
/// ```
#[derive(Clone)]
pub struct FakeClock {
    state: Arc<Mutex<State>>,
    slept: Arc<watch::Sender<()>>,
}

struct State {
    wall: Time,
    monotonic: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::at(Time::from_unix(1_767_225_600))
    }
}

impl FakeClock {
    /// A clock that shows `wall`.
    pub fn at(wall: Time) -> Self {
        let state = State { wall, monotonic: Duration::ZERO, sleepers: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), slept: Arc::new(watch::Sender::new(())) }
    }

    /// Moves both clocks forward and wakes every sleeper whose time has come.
    pub fn advance(&self, span: Duration) {
        let mut state = self.state.lock().unwrap();
        state.wall = state.wall + span;
        state.monotonic += span;
        let now = state.monotonic;
        for (_, wake) in state.sleepers.extract_if(.., |(at, _)| *at <= now) {
            let _ = wake.send(());
        }
    }

    /// Sets the wall clock alone, as an administrator or NTP does; it may go back. Sleepers do not notice.
    pub fn set_wall(&self, wall: Time) {
        self.state.lock().unwrap().wall = wall;
    }

    /// How many futures sleep on this clock and are still waited for.
    pub fn sleepers(&self) -> usize {
        self.state.lock().unwrap().sleepers.iter().filter(|(_, wake)| !wake.is_closed()).count()
    }

    /// Resolves when at least `count` futures sleep: the moment to [`FakeClock::advance`].
    pub async fn until_sleeping(&self, count: usize) {
        let mut slept = self.slept.subscribe();
        while self.sleepers() < count {
            let _ = slept.changed().await;
        }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Time {
        self.state.lock().unwrap().wall
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap().monotonic
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        {
            let mut state = self.state.lock().unwrap();
            let at = state.monotonic.saturating_add(span);
            state.sleepers.retain(|(_, wake)| !wake.is_closed());
            if span.is_zero() {
                let _ = wake.send(());
            } else {
                state.sleepers.push((at, wake));
            }
        }
        self.slept.send_replace(());
        let clock = self.clone();
        Box::pin(async move {
            // The clock lives as long as somebody sleeps on it.
            let _clock = clock;
            let _ = woken.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advancing_wakes_those_whose_time_has_come() {
        let clock = FakeClock::default();
        let (short, long) = (clock.sleep(Duration::from_secs(1)), clock.sleep(Duration::from_secs(3)));
        clock.until_sleeping(2).await;
        clock.advance(Duration::from_secs(2));
        short.await;
        assert_eq!(clock.sleepers(), 1);
        drop(long);
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn the_wall_clock_may_step_back_alone() {
        let clock = FakeClock::default();
        clock.advance(Duration::from_secs(5));
        clock.set_wall(Time::from_unix(7));
        assert_eq!((clock.now().unix(), clock.monotonic()), (7, Duration::from_secs(5)));
    }
}
