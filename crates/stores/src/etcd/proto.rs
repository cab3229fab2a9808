//! The part of etcd's protocol buffers that is spoken here (its `rpc.proto`, version 3), written and read field by field.

use bytes::{Buf as _, Bytes};

/// A message on its way out.
#[derive(Debug, Default, Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn bytes(mut self, number: u8, bytes: &[u8]) -> Self {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn number(mut self, number: u8, value: u64) -> Self {
        self.varint(u64::from(number) << 3);
        self.varint(value);
        self
    }

    pub(super) fn message(self, number: u8, inner: &Self) -> Self {
        self.bytes(number, &inner.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or_default());
    }
}

/// A field of a message that came.
pub(super) enum Value {
    Number(u64),
    Bytes(Bytes),
}

/// The fields of a message, in their order; `None` if it cannot be read. Kinds of fields that etcd does not use end it.
pub(super) fn fields(mut message: Bytes) -> Option<Vec<(u64, Value)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                if message.len() < length {
                    return None;
                }
                Value::Bytes(message.split_to(length))
            }
            _ => return None,
        };
        fields.push((tag >> 3, value));
    }
    Some(fields)
}

fn varint(message: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = message.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A key with its value and the revision that wrote it.
#[derive(Debug, Default, Clone)]
pub(super) struct KeyValue {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    pub(super) modified: u64,
}

/// What a range holds.
#[derive(Debug, Default)]
pub(super) struct Range {
    /// Of the whole store, when it was read.
    pub(super) revision: u64,
    pub(super) found: Vec<KeyValue>,
    /// Of the whole range, also beyond the limit.
    pub(super) count: u64,
}

/// What came of a transaction.
#[derive(Debug, Default)]
pub(super) struct Transacted {
    pub(super) succeeded: bool,
    pub(super) ranges: Vec<Range>,
}

impl Range {
    pub(super) fn read(message: Bytes) -> Option<Self> {
        let mut range = Self::default();
        for field in fields(message)? {
            match field {
                (1, Value::Bytes(header)) => {
                    for field in fields(header)? {
                        if let (3, Value::Number(revision)) = field {
                            range.revision = revision;
                        }
                    }
                }
                (2, Value::Bytes(found)) => range.found.push(KeyValue::read(found)?),
                (4, Value::Number(count)) => range.count = count,
                _ => {}
            }
        }
        Some(range)
    }
}

impl KeyValue {
    fn read(message: Bytes) -> Option<Self> {
        let mut pair = Self::default();
        for field in fields(message)? {
            match field {
                (1, Value::Bytes(key)) => pair.key = key,
                (3, Value::Number(modified)) => pair.modified = modified,
                (5, Value::Bytes(value)) => pair.value = value,
                _ => {}
            }
        }
        Some(pair)
    }
}

impl Transacted {
    pub(super) fn read(message: Bytes) -> Option<Self> {
        let mut done = Self::default();
        for field in fields(message)? {
            match field {
                (2, Value::Number(succeeded)) => done.succeeded = succeeded != 0,
                (3, Value::Bytes(response)) => {
                    for field in fields(response)? {
                        if let (1, Value::Bytes(range)) = field {
                            done.ranges.push(Range::read(range)?);
                        }
                    }
                }
                _ => {}
            }
        }
        Some(done)
    }
}

/// The token that `Authenticate` answers.
pub(super) fn token(message: Bytes) -> Option<String> {
    fields(message)?.into_iter().find_map(|field| match field {
        (2, Value::Bytes(token)) => String::from_utf8(token.to_vec()).ok(),
        _ => None,
    })
}

/// `RangeRequest` of one key.
pub(super) fn one(key: &[u8]) -> Message {
    Message::default().bytes(1, key)
}

/// `RangeRequest` from a key to before another.
pub(super) fn between(from: &[u8], to: &[u8], limit: usize) -> Message {
    one(from).bytes(2, to).number(3, u64::try_from(limit).unwrap_or(u64::MAX))
}

/// `Compare`: the key does not exist.
pub(super) fn is_absent(key: &[u8]) -> Message {
    Message::default().number(1, 0).number(2, 1).bytes(3, key).number(5, 0)
}

/// `Compare`: the key is as that revision wrote it.
pub(super) fn is_unchanged(key: &[u8], modified: u64) -> Message {
    Message::default().number(1, 0).number(2, 2).bytes(3, key).number(6, modified)
}

/// `RequestOp`s.
pub(super) fn range_op(range: &Message) -> Message {
    Message::default().message(1, range)
}

pub(super) fn put_op(key: &[u8], value: &[u8]) -> Message {
    Message::default().message(2, &Message::default().bytes(1, key).bytes(2, value))
}

pub(super) fn delete_op(key: &[u8]) -> Message {
    Message::default().message(3, &Message::default().bytes(1, key))
}

/// `TxnRequest`: all of `then`, if the comparison holds.
pub(super) fn transaction(compare: Option<&Message>, then: &[Message]) -> Message {
    let begun = compare.map_or_else(Message::default, |compare| Message::default().message(1, compare));
    then.iter().fold(begun, |transaction, op| transaction.message(2, op))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let message = Message::default().number(3, number).bytes(2, b"ab");
            let read = fields(Bytes::copy_from_slice(message.as_bytes())).unwrap();
            let [(3, Value::Number(back)), (2, Value::Bytes(bytes))] = &read[..] else { panic!("{number}") };
            assert_eq!((*back, &bytes[..]), (number, &b"ab"[..]));
        }
    }

    #[test]
    fn what_is_cut_is_not_read() {
        let pair = Message::default().bytes(1, b"key").number(3, 300).bytes(5, b"value");
        let range =
            Message::default().message(1, &Message::default().number(3, 7)).message(2, &pair).number(4, 1);
        let whole = Bytes::copy_from_slice(range.as_bytes());
        let read = Range::read(whole.clone()).unwrap();
        assert_eq!((read.revision, read.count, read.found[0].modified), (7, 1, 300));
        for length in 1..whole.len() {
            let cut = Range::read(whole.slice(..length));
            assert!(cut.is_none_or(|cut| cut.count == 0), "{length}");
        }
        assert!(fields(Bytes::from_static(&[0xff; 11])).is_none());
        assert!(fields(Bytes::from_static(b"\x0d\0\0\0\0")).is_none());
    }
}
