//! Keeping the signing keys: one record, rotated by whichever replica is first, followed by all.
//!
//! The steps themselves (publish before signing, retire until the last token has expired) are `token`'s pure state
//! machine. Here they meet the store: the state is one sealed record, a step is one compare-and-replace, and a replica
//! that loses the race reads what the winner wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ambient::{Secret, Time};
use serde::{Deserialize, Serialize};
use token::{KeyRing, LocalSigner, RingState, Schedule, SigningPool};

use crate::Around;
use crate::error::Fault;
use crate::event::{Event, KeysChanged, Trouble};
use crate::records::{Change, Record, Records};
use crate::settings::{Settings, Signing};
use crate::store::{Kind, Outcome};

/// The record: the keys' states, and the secret that cookies are sealed with.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeysRecord {
    ring: RingState,
    cookies: Vec<u8>,
}

/// Loads, follows and rotates the keys.
pub struct Keeper {
    records: Records,
    ring: Arc<KeyRing>,
    pool: SigningPool,
    schedule: Schedule,
    longest: LongestToken,
    around: Around,
}

/// How long a retired key must still be published: a reload may let tokens live longer than before.
#[derive(Debug, Clone, Default)]
pub struct LongestToken(Arc<AtomicU64>);

impl LongestToken {
    /// Tokens that live so long are going to be signed.
    pub fn raise(&self, lifetime: Duration) {
        self.0.fetch_max(lifetime.as_secs(), Ordering::Relaxed);
    }
}

impl Record for KeysRecord {
    const KIND: Kind = Kind("keys");
    const SEALED: bool = true;

    fn due(&self) -> Option<Time> {
        None
    }
}

impl Keeper {
    /// For the records of one provider. Two threads sign; more requests than [`QUEUED`] waiting for them are answered
    /// with 503.
    ///
    /// # Errors
    /// [`Fault::Internal`] if the threads cannot be started.
    pub fn new(records: Records, settings: &Settings, around: Around) -> Result<Self, Fault> {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let pool = SigningPool::start(threads, QUEUED)
            .map_err(|e| Fault::Internal(format!("signing threads: {e}")))?;
        let schedule = Schedule {
            algs: Signing::ALGS.to_vec(),
            rotate_every: settings.signer.rotation,
            jwks_cached_for: JWKS_CACHED_FOR,
            longest_token: settings.longest_token(),
            slack: SLACK,
        };
        Ok(Self {
            records,
            ring: Arc::new(KeyRing::default()),
            pool,
            schedule,
            longest: LongestToken::default(),
            around,
        })
    }

    /// To say that tokens may live longer from now on.
    pub fn longest(&self) -> LongestToken {
        self.longest.clone()
    }

    fn schedule(&self) -> Schedule {
        let raised = Duration::from_secs(self.longest.0.load(Ordering::Relaxed));
        Schedule { longest_token: self.schedule.longest_token.max(raised), ..self.schedule.clone() }
    }

    /// The keys as requests use them.
    pub const fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Loads the keys, making the first ones if there are none. Gives the secret that cookies are sealed with.
    ///
    /// # Errors
    /// The store's, or a key that cannot be made or read.
    pub async fn load(&self) -> Result<Secret<Vec<u8>>, Fault> {
        if self.records.read::<KeysRecord>(KEY).await?.is_none() {
            let mut cookies = vec![0; 32];
            self.around.random.fill(&mut cookies);
            let first = self.stepped(KeysRecord { ring: RingState::default(), cookies }).await?;
            if self.records.create(KEY, &first).await? == Outcome::Done {
                self.tell("first keys made");
            }
        }
        self.follow().await
    }

    /// Follows and rotates until the process ends. A store that is away leaves the keys as they are and is asked again.
    pub async fn run(self) {
        let mut watch = self.records.store().watch(KeysRecord::KIND);
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                () = watch.changed() => {}
                () = self.around.clock.sleep(wait) => {}
            }
            wait = match self.follow().await {
                Ok(_) => LOOK_AGAIN,
                Err(error) => {
                    self.trouble(format!(
                        "signing keys cannot be followed: {error}; the present ones stay in use"
                    ));
                    TRY_AGAIN
                }
            };
        }
    }

    /// Reads the record, moves it on if it is due, and uses what it says.
    async fn follow(&self) -> Result<Secret<Vec<u8>>, Fault> {
        let missing =
            || Fault::Internal("the record of signing keys is gone; restart to make new keys".into());
        let mut record = self.records.read::<KeysRecord>(KEY).await?.ok_or_else(missing)?.value;
        let mut trial = record.ring.clone();
        let step = trial.advance(self.around.clock.now(), &self.schedule());
        if let Some(behind) = step.behind {
            self.trouble(format!(
                "this clock stands {} s before the newest step of the signing keys: they are not rotated until it is \
                 right, here or on the replica that took that step",
                behind.as_secs()
            ));
        }
        if step.changed || !step.wanted.is_empty() {
            record = self.rotate(record).await?.ok_or_else(missing)?;
        }
        self.ring.install(&record.ring, &self.pool).map_err(|e| Fault::Internal(e.to_string()))?;
        Ok(Secret::new(record.cookies.clone()))
    }

    /// One step. Whoever loses the race takes what the winner wrote.
    async fn rotate(&self, seen: KeysRecord) -> Result<Option<KeysRecord>, Fault> {
        let before = kids(&seen);
        let stepped = self.stepped(seen).await?;
        let after = kids(&stepped);
        let now = self.around.clock.now();
        let (records, schedule) = (self.records.clone(), self.schedule());
        let change = async move {
            records
                .change::<KeysRecord, _>(KEY, |current: KeysRecord| {
                    let step = current.ring.clone().advance(now, &schedule);
                    let due = (step.changed || !step.wanted.is_empty()) && kids(&current) == before;
                    if due {
                        Change::Put(stepped.clone(), (stepped.clone(), true))
                    } else {
                        Change::Keep((current, false))
                    }
                })
                .await
        };
        let done =
            self.around.tasks.finish(change).await.map_err(|lost| Fault::Internal(lost.to_string()))??;
        if let Some((_, true)) = done {
            self.tell(&format!("rotated; keys now: {}", after.join(", ")));
        }
        Ok(done.map(|(record, _)| record))
    }

    /// The record moved on to now, with the keys made that it lacks.
    async fn stepped(&self, mut record: KeysRecord) -> Result<KeysRecord, Fault> {
        let now = self.around.clock.now();
        let failed = |e: token::BadPrivateKey| Fault::Internal(e.to_string());
        for alg in record.ring.advance(now, &self.schedule()).wanted {
            let private = LocalSigner::generate(alg, &self.pool).await.map_err(failed)?;
            let signer = LocalSigner::from_pkcs8(alg, &private, &self.pool).map_err(failed)?;
            record.ring.add(alg, token::Signer::public_jwk(&signer).clone(), private, now, &self.schedule());
        }
        Ok(record)
    }

    fn trouble(&self, what: String) {
        let trouble = Trouble { at: self.around.clock.now(), part: "keys", what };
        self.around.events.observe(&Event::Trouble(trouble));
    }

    fn tell(&self, what: &str) {
        let event = KeysChanged { at: self.around.clock.now(), what: what.to_owned() };
        self.around.events.observe(&Event::Keys(event));
    }
}

fn kids(record: &KeysRecord) -> Vec<String> {
    let stage =
        |key: &token::RingKey| format!("{} {:?}", key.public.kid.as_deref().unwrap_or_default(), key.stage);
    record.ring.keys.iter().map(stage).collect()
}

/// What the JWKS answer says in `Cache-Control`. The schedule waits longer than this before a published key signs.
pub const JWKS_CACHED_FOR: Duration = Duration::from_secs(600);

const KEY: &str = "signing";
/// Between replicas: how late one may hear of another's step.
const SLACK: Duration = Duration::from_secs(120);
/// Rotation is looked at this often even if nothing changes.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// About a second of RSA signatures on one core.
const QUEUED: usize = 1024;
