//! Records in etcd, for as many replicas as one likes.
//!
//! A write is one transaction, conditional on the revision that its record was read at. What a record is found by stands
//! under keys of their own, which the same transaction writes; a search reads all that it shows at one revision.

mod layout;
mod proto;
mod rpc;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock, Secret, Time};
use bytes::Bytes;
use config::Fields;
use hyper::Uri;
use outbound::{Dial, Protocols};
use provider::store::{Kind, Outcome, Page, Rec, Stamp, Store, StoreError, Term, Watch, is_key};
use tokio::sync::watch;

use self::layout::{Layout, after_all};
use self::proto::{KeyValue, Message, Range, Transacted};
use self::rpc::{Failed, Rpc, Settings};
use crate::Backend;
use crate::changes::Changes;
use crate::sql::{Fault, Security, Tls};

/// Its keys are Dex's.
pub(crate) const BACKEND: Backend = Backend {
    kind: "etcd",
    decode: |fields| {
        let written: Option<Vec<String>> = fields.required("endpoints");
        let namespace: String = fields.or_default("namespace");
        let name: String = fields.or_default("username");
        let password: Secret<String> = fields.or_default("password");
        let mut ssl = fields.group("ssl");
        let secured = ["serverName", "caFile", "certFile", "keyFile"].iter().any(|key| ssl.has_text(key));
        let server_name: String = ssl.or_default("serverName");
        let tls = Tls::read(&mut ssl, Protocols::Both, |_| Some(Security::Full));
        ssl.finish();
        let endpoints = endpoints(fields, &written?, secured)?;
        if (secured || !name.is_empty()) && endpoints.iter().any(in_the_clear) {
            let what =
                "has an endpoint by http, which would be sent the password, or everything, in the clear";
            fields.error(what, "write https://host:port");
            return None;
        }
        let user = (!name.is_empty()).then_some((name, password));
        let tls = Arc::new(tls?);
        Some(Box::new(move |clock| {
            let settings = Settings {
                endpoints: endpoints.clone(),
                user: user.clone(),
                tls: Arc::clone(&tls),
                server_name: Some(server_name.clone()).filter(|name| !name.is_empty()),
            };
            let store: Arc<dyn Store> = Arc::new(Etcd::new(settings, &namespace, clock));
            Box::pin(async move { Ok(store) })
        }))
    },
    file: file!(),
};

/// The store.
struct Etcd {
    shared: Arc<Shared>,
}

struct Shared {
    rpc: Rpc,
    layout: Layout,
    place: String,
    clock: Arc<dyn Clock>,
    changes: Changes,
}

impl Etcd {
    fn new(settings: Settings, namespace: &str, clock: Arc<dyn Clock>) -> Self {
        let names: Vec<_> =
            settings.endpoints.iter().filter_map(Uri::authority).map(ToString::to_string).collect();
        let place = format!("etcd {}", names.join(","));
        let dial = Dial::new(Arc::clone(&clock)).within(CONNECT_WITHIN);
        let shared = Shared {
            rpc: Rpc::new(dial, settings),
            layout: Layout::new(namespace),
            place,
            clock,
            changes: Changes::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Store for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn persistent(&self) -> bool {
        true
    }

    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            record.check_bounds()?;
            self.shared.bounded(self.shared.write(record, None)).await
        })
    }

    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>> {
        Box::pin(async move {
            if !is_key(key) {
                return Ok(None);
            }
            let found = self.shared.bounded(self.shared.read(kind, key)).await?;
            Ok(found.map(|(record, _)| record))
        })
    }

    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            next.check_bounds()?;
            self.shared.bounded(self.shared.write(next, Some(seen))).await
        })
    }

    fn remove<'a>(
        &'a self,
        kind: Kind,
        key: &'a str,
        seen: Stamp,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            if !is_key(key) {
                return Ok(Outcome::Lost);
            }
            self.shared.bounded(self.shared.remove(kind, key, seen)).await
        })
    }

    fn find<'a>(
        &'a self,
        kind: Kind,
        term: Option<Term>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move {
            let limit = limit.max(1);
            let records = self.shared.bounded(self.shared.search(kind, term, after, limit)).await?;
            Ok(Page::cut(records, limit))
        })
    }

    fn due<'a>(
        &'a self,
        kind: Kind,
        before: Time,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Rec>, StoreError>> {
        Box::pin(async move { self.shared.bounded(self.shared.due(kind, before, limit)).await })
    }

    fn watch(&self, kind: Kind) -> Box<dyn Watch> {
        let seen = self.shared.changes.subscribe(kind);
        Box::new(EtcdWatch { shared: Arc::clone(&self.shared), kind, seen, last: None })
    }
}

impl Shared {
    /// Creates (`seen` is `None`) or replaces. An answer that was lost leaves a doubt, which the stamp settles.
    async fn write(&self, record: &Rec, seen: Option<Stamp>) -> Result<Outcome, Fault> {
        let key = self.layout.record(record.kind, &record.key);
        let mut doubt = false;
        for _ in 0..MAX_TURNS {
            let found = match (seen, doubt) {
                (None, false) => None,
                _ => self.read(record.kind, &record.key).await?,
            };
            let (condition, old) = match (found, seen) {
                (Some((old, _)), _) if doubt && old.stamp == record.stamp => return self.told(record.kind),
                (Some((old, modified)), Some(seen)) if old.stamp == seen => {
                    (proto::is_unchanged(&key, modified), Some(old))
                }
                (None, None) => (proto::is_absent(&key), None),
                _ => return Ok(Outcome::Lost),
            };
            let (before, after) =
                (old.map(|old| self.layout.hints(&old)).unwrap_or_default(), self.layout.hints(record));
            // etcd takes no key twice in one transaction.
            let mut steps = vec![proto::put_op(&key, &layout::encode(record))];
            steps.extend(before.difference(&after).map(|hint| proto::delete_op(hint)));
            steps.extend(after.difference(&before).map(|hint| proto::put_op(hint, b"")));
            match self.transact(&proto::transaction(Some(&condition), &steps)).await? {
                Turn::Done(done) if done.succeeded => return self.told(record.kind),
                Turn::Done(_) if seen.is_none() && !doubt => return Ok(Outcome::Lost),
                // Somebody was faster, or the answer is lost: look what stands there now.
                Turn::Done(_) => {}
                Turn::InDoubt => doubt = true,
            }
        }
        Err(Fault::Unavailable(format!("a record changed {MAX_TURNS} times while it was to be written")))
    }

    async fn remove(&self, kind: Kind, key: &str, seen: Stamp) -> Result<Outcome, Fault> {
        let name = self.layout.record(kind, key);
        let mut doubt = false;
        for _ in 0..MAX_TURNS {
            let (old, modified) = match self.read(kind, key).await? {
                Some((old, modified)) if old.stamp == seen => (old, modified),
                _ if doubt => {
                    self.changes.tell(kind);
                    let what = "the connection broke, and whether a record was removed is unknown";
                    return Err(Fault::Unavailable(what.into()));
                }
                _ => return Ok(Outcome::Lost),
            };
            let mut steps = vec![proto::delete_op(&name)];
            steps.extend(self.layout.hints(&old).iter().map(|hint| proto::delete_op(hint)));
            let condition = proto::is_unchanged(&name, modified);
            match self.transact(&proto::transaction(Some(&condition), &steps)).await? {
                Turn::Done(done) if done.succeeded => return self.told(kind),
                Turn::Done(_) => {}
                Turn::InDoubt => doubt = true,
            }
        }
        Err(Fault::Unavailable(format!("a record changed {MAX_TURNS} times while it was to be removed")))
    }

    fn told(&self, kind: Kind) -> Result<Outcome, Fault> {
        self.changes.tell(kind);
        Ok(Outcome::Done)
    }

    /// A record, and the revision that wrote it.
    async fn read(&self, kind: Kind, key: &str) -> Result<Option<(Rec, u64)>, Fault> {
        let range = self.range(&proto::one(&self.layout.record(kind, key))).await?;
        let Some(KeyValue { value, modified, .. }) = range.found.into_iter().next() else { return Ok(None) };
        let record = layout::decode(kind, key, value).ok_or_else(unreadable)?;
        Ok(Some((record, modified)))
    }

    /// One more than `limit`, if there are so many.
    async fn search(
        &self,
        kind: Kind,
        term: Option<Term>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Rec>, Fault> {
        let prefix = term.map_or_else(|| self.layout.records(kind), |term| self.layout.term(kind, term));
        let end = after_all(&prefix);
        let wanted = limit.saturating_add(1);
        let mut from = prefix.clone();
        if let Some(after) = after {
            from.extend_from_slice(after.as_bytes());
            // The next key that there can be.
            from.push(0);
        }
        let (mut records, mut revision) = (Vec::new(), 0);
        loop {
            let batch = (wanted - records.len()).min(BATCH);
            let range = self.range(&proto::between(&from, &end, batch).number(4, revision)).await?;
            revision = if revision == 0 { range.revision } else { revision };
            let Some(last) = range.found.last() else { return Ok(records) };
            from = last.key.to_vec();
            from.push(0);
            let full = range.found.len() == batch;
            let keys = range.found.iter().map(|found| Layout::behind(&found.key, &prefix));
            let keys = keys.collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
            match term {
                None => {
                    for (key, found) in keys.iter().zip(range.found) {
                        records.push(layout::decode(kind, key, found.value).ok_or_else(unreadable)?);
                    }
                }
                Some(_) => records.extend(self.records_at(kind, &keys, revision).await?),
            }
            if !full || records.len() >= wanted {
                return Ok(records);
            }
        }
    }

    async fn due(&self, kind: Kind, before: Time, limit: usize) -> Result<Vec<Rec>, Fault> {
        let (mut from, end) = (self.layout.dues(kind), self.layout.due_after(kind, before));
        let (mut records, mut revision) = (Vec::new(), 0);
        while records.len() < limit {
            let batch = (limit - records.len()).min(BATCH);
            let range = self.range(&proto::between(&from, &end, batch).number(4, revision)).await?;
            revision = if revision == 0 { range.revision } else { revision };
            let Some(last) = range.found.last() else { break };
            from = last.key.to_vec();
            from.push(0);
            let keys = range.found.iter().map(|found| self.layout.behind_due(kind, &found.key));
            let keys = keys.collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
            records.extend(self.records_at(kind, &keys, revision).await?);
            if range.found.len() < batch {
                break;
            }
        }
        Ok(records)
    }

    /// Records by their keys, as they were at a revision.
    async fn records_at(&self, kind: Kind, keys: &[String], revision: u64) -> Result<Vec<Rec>, Fault> {
        let one =
            |key: &String| proto::range_op(&proto::one(&self.layout.record(kind, key)).number(4, revision));
        let asked: Vec<_> = keys.iter().map(one).collect();
        let answer = self.call("etcdserverpb.KV/Txn", &proto::transaction(None, &asked)).await?;
        let ranges = Transacted::read(answer).ok_or_else(unreadable)?.ranges;
        let found =
            ranges.into_iter().zip(keys).filter_map(|(mut range, key)| Some((range.found.pop()?, key)));
        found.map(|(found, key)| layout::decode(kind, key, found.value).ok_or_else(unreadable)).collect()
    }

    async fn range(&self, request: &Message) -> Result<Range, Fault> {
        Range::read(self.call("etcdserverpb.KV/Range", request).await?).ok_or_else(unreadable)
    }

    async fn transact(&self, transaction: &Message) -> Result<Turn, Fault> {
        let mut tries = 0;
        loop {
            match self.rpc.call("etcdserverpb.KV/Txn", transaction).await {
                Ok(answer) => return Transacted::read(answer).map(Turn::Done).ok_or_else(unreadable),
                Err(Failed::Refused(fault)) => return Err(fault),
                Err(Failed::Unknown) if tries < 1 => tries += 1,
                Err(Failed::Unknown) => return Err(stranger()),
                // The reading that settles it has its own patience with those who are away.
                Err(Failed::Gone(_)) => return Ok(Turn::InDoubt),
            }
        }
    }

    /// A reading, which may be repeated: each endpoint once, and the first one twice, whose connection may have died since.
    async fn call(&self, method: &str, message: &Message) -> Result<Bytes, Fault> {
        let (mut gone, mut strange) = (0, false);
        loop {
            match self.rpc.call(method, message).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Refused(fault)) => return Err(fault),
                Err(Failed::Unknown) if strange => return Err(stranger()),
                Err(Failed::Unknown) => strange = true,
                Err(Failed::Gone(_)) if gone < self.rpc.endpoints() => {
                    gone += 1;
                    self.clock.sleep(PAUSE).await;
                }
                Err(Failed::Gone(what)) => return Err(Fault::Unavailable(what)),
            }
        }
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        tokio::select! {
            // The end comes first: a server that never stops talking would keep it from being looked at.
            biased;
            () = self.clock.sleep(PATIENCE) => {
                let seconds = PATIENCE.as_secs();
                Err(StoreError::Unavailable(format!("{}: no answer within {seconds} s", self.place)))
            }
            done = work => done.map_err(|fault| match fault {
                Fault::Broken(_) => StoreError::Broken(format!("{}: {fault}", self.place)),
                fault => StoreError::Unavailable(format!("{}: {fault}", self.place)),
            }),
        }
    }

    /// Differs after each change: a write is newer than all before it, and a removal leaves one less.
    async fn mark(&self, kind: Kind) -> Result<(u64, u64), StoreError> {
        let prefix = self.layout.records(kind);
        // The newest one: sorted by the revision that wrote it, downwards, the key alone.
        let newest = proto::between(&prefix, &after_all(&prefix), 1).number(5, 2).number(6, 3).number(8, 1);
        let range = self.bounded(self.range(&newest)).await?;
        Ok((range.found.first().map_or(0, |found| found.modified), range.count))
    }
}

/// What came of a transaction.
enum Turn {
    Done(Transacted),
    /// It may have happened.
    InDoubt,
}

struct EtcdWatch {
    shared: Arc<Shared>,
    kind: Kind,
    seen: watch::Receiver<()>,
    /// None before the first look: what happened before it is told of, in case it happened after the watch began.
    last: Option<(u64, u64)>,
}

impl Watch for EtcdWatch {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                // While etcd cannot be asked there is nothing to be told about it.
                if let Ok(now) = self.shared.mark(self.kind).await
                    && self.last != Some(now)
                {
                    self.last = Some(now);
                    return;
                }
                tokio::select! {
                    _ = self.seen.changed() => return,
                    () = self.shared.clock.sleep(POLL) => {}
                }
            }
        })
    }
}

/// To another machine without TLS.
fn in_the_clear(endpoint: &Uri) -> bool {
    let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    endpoint.scheme_str() == Some("http") && !here
}

/// As etcd's own client reads them: without a scheme, TLS is spoken if it is configured.
fn endpoints(fields: &mut Fields<'_>, written: &[String], secured: bool) -> Option<Vec<Uri>> {
    let read = |text: &String| {
        let whole = match text.split_once("://") {
            Some(_) => text.clone(),
            None if secured => format!("https://{text}"),
            None => format!("http://{text}"),
        };
        let uri: Uri = whole.parse().ok()?;
        let good =
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/" && uri.host().is_some();
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        (good && plain).then_some(uri)
    };
    let read: Option<Vec<Uri>> = written.iter().map(read).collect();
    let read = read.filter(|endpoints| !endpoints.is_empty());
    if read.is_none() {
        fields.error(
            "has endpoints that cannot be read",
            "write each as http://host:port or https://host:port",
        );
    }
    read
}

fn unreadable() -> Fault {
    Fault::Broken("what etcd answers cannot be read".into())
}

fn stranger() -> Fault {
    Fault::Unavailable("etcd does not know its own token; is its clock right?".into())
}

/// The longest that a call takes.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// More turns than this in one write mean that something is wrong.
const MAX_TURNS: usize = 16;
/// Before somebody who went away is asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// How soon a write by another replica is noticed.
const POLL: Duration = Duration::from_secs(2);
/// Read at a time. etcd takes at most 128 operations in one transaction.
const BATCH: usize = 100;
