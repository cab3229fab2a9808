//! Where a record stands in etcd: under its own key, and under one for each thing that it is found by. All of them are
//! written in one transaction.

use std::collections::BTreeSet;

use ambient::Time;
use bytes::{Buf as _, BufMut as _, Bytes};
use provider::store::{Kind, Rec, Stamp, Term};

/// The keys of one namespace.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    prefix: Vec<u8>,
}

impl Layout {
    pub(super) fn new(namespace: &str) -> Self {
        Self { prefix: format!("{namespace}obol/").into_bytes() }
    }

    /// Of a record.
    pub(super) fn record(&self, kind: Kind, key: &str) -> Vec<u8> {
        self.key(kind, b'r', &[key.as_bytes()])
    }

    /// Before all records of a kind.
    pub(super) fn records(&self, kind: Kind) -> Vec<u8> {
        self.key(kind, b'r', &[])
    }

    /// Before all that carry a term.
    pub(super) fn term(&self, kind: Kind, term: Term) -> Vec<u8> {
        self.key(kind, b't', &[&term.0])
    }

    /// Before all that have a due time.
    pub(super) fn dues(&self, kind: Kind) -> Vec<u8> {
        self.key(kind, b'd', &[])
    }

    /// After all that are due then.
    pub(super) fn due_after(&self, kind: Kind, moment: Time) -> Vec<u8> {
        let next = moment.millis().checked_add(1);
        next.map_or_else(|| after_all(&self.dues(kind)), |next| self.key(kind, b'd', &[&sortable(next)]))
    }

    /// A record's key, of what stands behind such a prefix.
    pub(super) fn behind(found: &Bytes, prefix: &[u8]) -> Option<String> {
        String::from_utf8(found.strip_prefix(prefix)?.to_vec()).ok()
    }

    /// The same for due times, of which each has its own.
    pub(super) fn behind_due(&self, kind: Kind, found: &Bytes) -> Option<String> {
        let rest = found.strip_prefix(self.dues(kind).as_slice())?;
        String::from_utf8(rest.get(8..)?.to_vec()).ok()
    }

    /// The keys that a record is found by.
    pub(super) fn hints(&self, record: &Rec) -> BTreeSet<Vec<u8>> {
        let key = record.key.as_bytes();
        let mut hints: BTreeSet<_> =
            record.terms.iter().map(|term| self.key(record.kind, b't', &[&term.0, key])).collect();
        hints.extend(record.due.map(|due| self.key(record.kind, b'd', &[&sortable(due.millis()), key])));
        hints
    }

    fn key(&self, kind: Kind, what: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.extend_from_slice(kind.0.as_bytes());
        key.extend_from_slice(&[b'/', what, b'/']);
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }
}

/// After everything that begins so. Our prefixes end with a slash or a term.
pub(super) fn after_all(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // etcd's word for the end of everything.
    vec![0]
}

/// In the order of the numbers.
fn sortable(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// What stands under a record's own key.
pub(super) fn encode(record: &Rec) -> Vec<u8> {
    let mut value = Vec::with_capacity(record.body.len() + 96);
    value.put_u8(FORM);
    value.put_slice(&record.stamp.0);
    value.put_u8(u8::from(record.due.is_some()));
    value.put_i64(record.due.map_or(0, Time::millis));
    value.put_u8(u8::try_from(record.terms.len()).unwrap_or(u8::MAX));
    record.terms.iter().for_each(|term| value.put_slice(&term.0));
    value.put_slice(&record.body);
    value
}

/// `None`: no record, or one of a form that is not known.
pub(super) fn decode(kind: Kind, key: &str, mut value: Bytes) -> Option<Rec> {
    if value.try_get_u8().ok()? != FORM {
        return None;
    }
    let mut take = |length: usize| (value.len() >= length).then(|| value.split_to(length));
    let stamp = Stamp(take(16)?.as_ref().try_into().ok()?);
    let has_due = take(1)?.get_u8() != 0;
    let due = take(8)?.get_i64();
    let count = take(1)?.get_u8();
    let terms = (0..count).map(|_| take(16)?.as_ref().try_into().ok().map(Term)).collect::<Option<_>>()?;
    Some(Rec {
        kind,
        key: key.to_owned(),
        stamp,
        due: has_due.then(|| Time::from_millis(due)),
        terms,
        body: value,
    })
}

/// Of the encoding.
const FORM: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_cut_ones_do_not() {
        let record = Rec {
            kind: Kind("test"),
            key: "a".into(),
            stamp: Stamp([7; 16]),
            due: Some(Time::from_millis(-5)),
            terms: vec![Term([1; 16]), Term([2; 16])],
            body: Bytes::from_static(b"body"),
        };
        let whole = Bytes::from(encode(&record));
        assert_eq!(decode(record.kind, "a", whole.clone()), Some(record.clone()));
        for length in 0..whole.len() - 4 {
            assert_eq!(decode(record.kind, "a", whole.slice(..length)), None, "{length}");
        }
        let bare = Rec { due: None, terms: Vec::new(), ..record };
        assert_eq!(decode(bare.kind, "a", Bytes::from(encode(&bare))), Some(bare));
    }

    #[test]
    fn keys_sort_as_what_they_say() {
        let moments = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(moments.windows(2).all(|two| sortable(two[0]) < sortable(two[1])));
        assert_eq!(after_all(b"a/"), b"a0");
        assert_eq!(after_all(b"a\xff\xff"), b"b");
        assert_eq!(after_all(b"\xff"), b"\0");
        let layout = Layout::new("ns/");
        assert_eq!(layout.record(Kind("k"), "x"), b"ns/obol/k/r/x");
        assert_eq!(layout.due_after(Kind("k"), Time::MAX), after_all(&layout.dues(Kind("k"))));
    }
}
