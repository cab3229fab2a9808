//! Four operating-system processes on one store, two of them killed in the middle of their work and started again, time after
//! time. What each was told is then counted against what the store holds.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;

use ambient::{BoxFuture, RandomExt as _, SystemRandom};
use bytes::Bytes;
use provider::store::{Outcome, Rec, Stamp, Store};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::{KIND, create, list, record, stamp};

/// Runs the test. The body of a test named `test` is this call and nothing else: the test program starts itself again
/// as the workers, which come here too. `place` is where the records are, as text that `open` understands.
pub async fn run(test: &str, place: &str, open: impl Fn(String) -> BoxFuture<'static, Arc<dyn Store>>) {
    match worker() {
        Some((number, place)) => work(number, open(place).await).await,
        None => supervise(test, place, open(place.to_owned()).await).await,
    }
}

/// Whether this is a worker, who finds its place made already.
pub fn is_worker() -> bool {
    worker().is_some()
}

async fn supervise(test: &str, place: &str, store: Arc<dyn Store>) {
    create(&store, &Rec { body: Bytes::from(vec![0; 8 * WORKERS]), ..record(COUNTERS, 0) }).await;
    for round in 0..ROUNDS {
        create(&store, &record(&removable(round), round)).await;
    }
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(Worker::start(test, place, number).await);
    }
    for worker in &mut workers {
        worker.go().await;
    }
    // Each with a reader of its own, so that none waits for room to write.
    let mut running = tokio::task::JoinSet::new();
    for (number, worker) in workers.into_iter().enumerate() {
        let (test, place) = (test.to_owned(), place.to_owned());
        running.spawn(async move {
            let mut told = Told::default();
            worker.watch(is_victim(number), &mut told).await;
            for _ in 1..deaths(number) {
                let mut next = Worker::start(&test, &place, number).await;
                next.go().await;
                next.watch(true, &mut told).await;
            }
            (number, told)
        });
    }
    let mut told = running.join_all().await;
    told.sort_by_key(|(number, _)| *number);
    let told: Vec<Told> = told.into_iter().map(|(_, told)| told).collect();
    check_counters(&store, &told).await;
    check_tickets(&store, &told).await;
    check_removals(&store, &told).await;
}

/// Every acknowledged step is in the counter; who was killed may have made one more each time that it could not tell of.
async fn check_counters(store: &Arc<dyn Store>, told: &[Told]) {
    let counters = store.get(KIND, COUNTERS).await.unwrap().unwrap();
    for (number, told) in told.iter().enumerate() {
        let held = usize::try_from(slot(&counters.body, number)).unwrap();
        let untold =
            held.checked_sub(told.bumped).unwrap_or_else(|| panic!("worker {number}: steps were lost"));
        assert!(untold <= deaths(number), "worker {number}: {untold} steps nobody made");
    }
}

/// Every ticket has one owner, who knows of it.
async fn check_tickets(store: &Arc<dyn Store>, told: &[Told]) {
    let mut owned = vec![BTreeSet::new(); told.len()];
    for record in list(store, None, 64).await {
        if let Some(round) = record.key.strip_prefix("ticket-") {
            owned[usize::from(record.body[0])].insert(round.parse::<u64>().unwrap());
        }
    }
    assert_eq!(owned.iter().map(BTreeSet::len).sum::<usize>() as u64, ROUNDS);
    for (number, (told, owned)) in told.iter().zip(&owned).enumerate() {
        assert!(told.created.is_subset(owned), "worker {number} was told that it won, and did not");
        assert!(owned.len() - told.created.len() <= deaths(number));
    }
}

/// Everything was removed, by one worker each.
async fn check_removals(store: &Arc<dyn Store>, told: &[Told]) {
    let all: BTreeSet<u64> = told.iter().flat_map(|told| told.removed.iter().copied()).collect();
    let sum: usize = told.iter().map(|told| told.removed.len()).sum();
    assert_eq!(sum, all.len(), "two workers were told that they removed the same record");
    let untold: usize = (0..WORKERS).map(deaths).sum();
    assert!(ROUNDS - sum as u64 <= untold as u64, "{sum} removals were told of");
    for round in 0..ROUNDS {
        assert_eq!(store.get(KIND, &removable(round)).await.unwrap(), None);
    }
}

/// A worker as its supervisor sees it.
struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

/// What a worker said that the store had told it.
#[derive(Default)]
struct Told {
    bumped: usize,
    created: BTreeSet<u64>,
    removed: BTreeSet<u64>,
}

impl Worker {
    async fn start(test: &str, place: &str, number: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
            .env(NUMBER, number.to_string())
            .env(PLACE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert_eq!(
            lines.next_line().await.unwrap().as_deref(),
            Some("ready"),
            "is {test} the test's full name?"
        );
        Self { child, lines }
    }

    async fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").await.unwrap();
    }

    /// Reads what it says to the end; kills it after a while if it is a victim, which never ends by itself.
    async fn watch(mut self, victim: bool, told: &mut Told) {
        let mut steps = 0;
        while let Some(line) = self.lines.next_line().await.unwrap() {
            match line.split_once(' ') {
                Some(("bumped", _)) => {
                    told.bumped += 1;
                    steps += 1;
                }
                Some(("created", round)) => drop(told.created.insert(round.parse().unwrap())),
                Some(("removed", round)) => drop(told.removed.insert(round.parse().unwrap())),
                _ => panic!("a worker says: {line}"),
            }
            if victim && steps == BUMPS_BEFORE_DEATH {
                self.child.start_kill().unwrap();
            }
        }
        assert_eq!(self.child.wait().await.unwrap().success(), !victim);
    }
}

/// The work of one process: it says what it was told, line by line, without a buffer that would die with it.
async fn work(number: usize, store: Arc<dyn Store>) {
    say("ready");
    let _ = std::io::stdin().lock().read_line(&mut String::new());
    let mut round = 0;
    while round < ROUNDS || is_victim(number) {
        bump(&store, number).await;
        say(&format!("bumped {round}"));
        if round < ROUNDS {
            let ticket = Rec {
                body: Bytes::from(vec![u8::try_from(number).unwrap()]),
                stamp: random_stamp(),
                ..record(&format!("ticket-{round}"), 0)
            };
            if store.create(&ticket).await.unwrap() == Outcome::Done {
                say(&format!("created {round}"));
            }
            if store.remove(KIND, &removable(round), stamp(round)).await.unwrap() == Outcome::Done {
                say(&format!("removed {round}"));
            }
        }
        round += 1;
    }
}

async fn bump(store: &Arc<dyn Store>, number: usize) {
    loop {
        let seen = store.get(KIND, COUNTERS).await.unwrap().unwrap();
        let mut body = seen.body.to_vec();
        let next = slot(&body, number) + 1;
        body[8 * number..8 * number + 8].copy_from_slice(&next.to_be_bytes());
        let next = Rec { body: Bytes::from(body), stamp: random_stamp(), ..seen.clone() };
        if store.replace(seen.stamp, &next).await.unwrap() == Outcome::Done {
            return;
        }
    }
}

const fn is_victim(number: usize) -> bool {
    number >= WORKERS - VICTIMS
}

const fn deaths(number: usize) -> usize {
    if is_victim(number) { DEATHS } else { 0 }
}

fn slot(body: &[u8], number: usize) -> u64 {
    u64::from_be_bytes(body[8 * number..8 * number + 8].try_into().unwrap())
}

fn removable(round: u64) -> String {
    format!("removable-{round}")
}

fn random_stamp() -> Stamp {
    Stamp(SystemRandom.bytes())
}

fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "how a test program tells itself that it is a worker")]
fn worker() -> Option<(usize, String)> {
    Some((std::env::var(NUMBER).ok()?.parse().ok()?, std::env::var(PLACE).ok()?))
}

const NUMBER: &str = "OBOL_TEST_STORE_WORKER";
const PLACE: &str = "OBOL_TEST_STORE_PLACE";
const WORKERS: usize = 4;
/// The last two are killed so often.
const VICTIMS: usize = 2;
const DEATHS: usize = 4;
const BUMPS_BEFORE_DEATH: usize = 15;
const ROUNDS: u64 = 100;
const COUNTERS: &str = "counters";
