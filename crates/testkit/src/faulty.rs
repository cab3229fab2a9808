//! A store that misbehaves on demand: late, failing, losing its answers, delivering twice. What stands above a store
//! is tested with it, since real engines do all of this, but not when asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Time};
use provider::store::{Kind, Outcome, Page, Rec, Stamp, Store, StoreError, Term, Watch};
use tokio::sync::watch;

/// A store over another, which does the work.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

/// A call of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// [`Store::create`].
    Create,
    /// [`Store::get`].
    Get,
    /// [`Store::replace`].
    Replace,
    /// [`Store::remove`].
    Remove,
    /// [`Store::find`].
    Find,
    /// [`Store::due`].
    Due,
}

/// What goes wrong with one call.
#[derive(Clone)]
pub enum Fault {
    /// Nothing is done, and the caller is told that the store is unavailable.
    FailBefore,
    /// It is done, and the caller is told that the store is unavailable.
    LoseAnswer,
    /// It is done, then delivered once more; the caller gets the first answer.
    Twice,
    /// It waits at the gate before it is done.
    HoldBefore(Gate),
    /// It is done; the answer waits at the gate.
    HoldAnswer(Gate),
    /// It is done after this time of that clock.
    Late(Arc<dyn Clock>, Duration),
    /// It is done after everybody else ran for a while.
    Yield,
}

/// Where a call waits until the test lets it through. Clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    reached: Arc<watch::Sender<bool>>,
    open: Arc<watch::Sender<bool>>,
}

#[derive(Default)]
struct State {
    plans: HashMap<Verb, VecDeque<Fault>>,
    calls: HashMap<Verb, usize>,
    down: bool,
    chance: Option<Chance>,
}

impl FaultyStore {
    /// Without faults until some are planned.
    pub fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default() })
    }

    /// About one call in `every` goes wrong. The same seed and the same order of calls give the same faults.
    pub fn seeded(inner: Arc<dyn Store>, seed: u64, every: u64) -> Arc<Self> {
        let state = State { chance: Some(Chance { state: seed, every: every.max(1) }), ..State::default() };
        Arc::new(Self { inner, state: Mutex::new(state) })
    }

    /// The next call of `verb` goes wrong like this; several plans are used up in turn.
    pub fn plan(&self, verb: Verb, fault: Fault) {
        self.lock().plans.entry(verb).or_default().push_back(fault);
    }

    /// Whether every call fails before anything is done.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// How often `verb` was called.
    pub fn calls(&self, verb: Verb) -> usize {
        self.lock().calls.get(&verb).copied().unwrap_or_default()
    }

    async fn through<'a, T>(
        &self,
        verb: Verb,
        call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(fault) = self.next_fault(verb) else { return call().await };
        let failure = |what: &str| Err(StoreError::Unavailable(format!("{verb:?} {what}, as planned")));
        match fault {
            Fault::FailBefore => failure("failed"),
            Fault::LoseAnswer => {
                let _ = call().await;
                failure("lost its answer")
            }
            Fault::Twice => {
                let first = call().await;
                let _ = call().await;
                first
            }
            Fault::HoldBefore(gate) => {
                gate.pass().await;
                call().await
            }
            Fault::HoldAnswer(gate) => {
                let answer = call().await;
                gate.pass().await;
                answer
            }
            Fault::Late(clock, span) => {
                clock.sleep(span).await;
                call().await
            }
            Fault::Yield => {
                for _ in 0..YIELDS {
                    tokio::task::yield_now().await;
                }
                call().await
            }
        }
    }

    fn next_fault(&self, verb: Verb) -> Option<Fault> {
        let mut state = self.lock();
        *state.calls.entry(verb).or_default() += 1;
        if state.down {
            return Some(Fault::FailBefore);
        }
        let planned = state.plans.get_mut(&verb).and_then(VecDeque::pop_front);
        planned.or_else(|| state.chance.as_mut().and_then(Chance::fault))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// A closed one.
    pub fn closed() -> Self {
        Self { reached: Arc::new(watch::Sender::new(false)), open: Arc::new(watch::Sender::new(false)) }
    }

    /// Resolves when a call stands at the gate, or has passed it.
    pub async fn reached(&self) {
        let _ = self.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// Lets through whoever waits, and whoever comes.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn pass(&self) {
        self.reached.send_replace(true);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

impl Store for FaultyStore {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn persistent(&self) -> bool {
        self.inner.persistent()
    }

    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(self.through(Verb::Create, move || self.inner.create(record)))
    }

    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>> {
        Box::pin(self.through(Verb::Get, move || self.inner.get(kind, key)))
    }

    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(self.through(Verb::Replace, move || self.inner.replace(seen, next)))
    }

    fn remove<'a>(
        &'a self,
        kind: Kind,
        key: &'a str,
        seen: Stamp,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(self.through(Verb::Remove, move || self.inner.remove(kind, key, seen)))
    }

    fn find<'a>(
        &'a self,
        kind: Kind,
        term: Option<Term>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(self.through(Verb::Find, move || self.inner.find(kind, term, after, limit)))
    }

    fn due<'a>(
        &'a self,
        kind: Kind,
        before: Time,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Rec>, StoreError>> {
        Box::pin(self.through(Verb::Due, move || self.inner.due(kind, before, limit)))
    }

    fn watch(&self, kind: Kind) -> Box<dyn Watch> {
        self.inner.watch(kind)
    }
}

/// Repeatable chance (SplitMix64).
struct Chance {
    state: u64,
    every: u64,
}

impl Chance {
    fn fault(&mut self) -> Option<Fault> {
        let drawn = self.draw();
        if !drawn.is_multiple_of(self.every) {
            return None;
        }
        Some(match (drawn / self.every) % 4 {
            0 => Fault::FailBefore,
            1 => Fault::LoseAnswer,
            2 => Fault::Twice,
            _ => Fault::Yield,
        })
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// How often a yielding call lets others go first.
const YIELDS: usize = 16;
