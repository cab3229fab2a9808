//! Packets of MySQL's client/server protocol, as MySQL's and MariaDB's documentation lay it down.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::sql::{Fault, Value, line};

/// A packet with its header: three bytes of length, one of sequence.
pub(super) fn framed(sequence: u8, write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut body = BytesMut::new();
    write(&mut body);
    let mut packet = BytesMut::with_capacity(body.len() + HEADER);
    packet.put_uint_le(u64::try_from(body.len()).unwrap_or(u64::MAX).min(LONGEST), 3);
    packet.put_u8(sequence);
    packet.extend_from_slice(&body);
    packet
}

pub(super) fn put_text(to: &mut BytesMut, text: &str) {
    to.extend_from_slice(text.as_bytes());
    to.put_u8(0);
}

/// Bytes behind their length.
pub(super) fn put_bytes(to: &mut BytesMut, bytes: &[u8]) {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match length {
        0..=250 => to.put_uint_le(length, 1),
        251..=0xffff => {
            to.put_u8(0xfc);
            to.put_uint_le(length, 2);
        }
        _ => {
            to.put_u8(0xfd);
            to.put_uint_le(length, 3);
        }
    }
    to.extend_from_slice(bytes);
}

/// `COM_STMT_EXECUTE`.
pub(super) fn execute(to: &mut BytesMut, statement: u32, arguments: &[Value]) {
    to.put_u8(0x17);
    to.put_u32_le(statement);
    to.put_u8(0);
    to.put_u32_le(1);
    if arguments.is_empty() {
        return;
    }
    for eight in arguments.chunks(8) {
        let nulls = eight.iter().enumerate().filter(|(_, value)| matches!(value, Value::Null));
        to.put_u8(nulls.fold(0, |mask, (place, _)| mask | (1 << place)));
    }
    to.put_u8(1);
    for argument in arguments {
        to.put_u8(if matches!(argument, Value::Number(_)) { LONG_LONG } else { BLOB });
        to.put_u8(0);
    }
    for argument in arguments {
        match argument {
            Value::Null => {}
            Value::Number(number) => to.put_i64_le(*number),
            Value::Bytes(bytes) => put_bytes(to, bytes),
        }
    }
}

/// A row in binary form. `columns` says which are numbers.
pub(super) fn row(mut body: Bytes, columns: &[bool]) -> Result<Vec<Value>, Fault> {
    let nulls = (columns.len() + 9) / 8;
    if body.len() < 1 + nulls {
        return Err(cut());
    }
    body.advance(1);
    let nulls = body.split_to(nulls);
    let value = |(place, number): (usize, &bool)| {
        // The first two bits mean nothing.
        let bit = place + 2;
        if nulls.get(bit / 8).is_some_and(|mask| mask & (1 << (bit % 8)) != 0) {
            return Ok(Value::Null);
        }
        if *number {
            return body.try_get_i64_le().map(Value::Number).map_err(|_| cut());
        }
        take_bytes(&mut body).map(Value::Bytes)
    };
    columns.iter().enumerate().map(value).collect()
}

/// Whether a column is a number.
pub(super) fn is_number(mut definition: Bytes) -> Result<bool, Fault> {
    // Catalog, schema, table, its original, name, its original.
    for _ in 0..6 {
        take_bytes(&mut definition)?;
    }
    // The length of what follows, the character set, the column's length.
    definition.try_get_u8().map_err(|_| cut())?;
    definition.try_get_u16_le().map_err(|_| cut())?;
    definition.try_get_u32_le().map_err(|_| cut())?;
    Ok(definition.try_get_u8().map_err(|_| cut())? == LONG_LONG)
}

pub(super) fn take_bytes(body: &mut Bytes) -> Result<Bytes, Fault> {
    let length = usize::try_from(take_length(body)?).map_err(|_| cut())?;
    if body.len() < length {
        return Err(cut());
    }
    Ok(body.split_to(length))
}

pub(super) fn take_length(body: &mut Bytes) -> Result<u64, Fault> {
    let wide = match body.try_get_u8().map_err(|_| cut())? {
        short @ 0..=250 => return Ok(short.into()),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return Err(cut()),
    };
    if body.len() < wide { Err(cut()) } else { Ok(body.get_uint_le(wide)) }
}

pub(super) fn take_text(body: &mut Bytes) -> Result<String, Fault> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(cut)?;
    let text = body.split_to(end);
    body.advance(1);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// An error packet behind its first byte, by its number.
pub(super) fn fault(mut body: Bytes) -> Fault {
    let Ok(number) = body.try_get_u16_le() else { return cut() };
    // A state of five characters, unless it comes before the login.
    if body.first() == Some(&b'#') {
        body.advance(body.len().min(6));
    }
    let text = format!("{} ({number})", line(&String::from_utf8_lossy(&body)));
    match number {
        1062 => Fault::Duplicate,
        // A deadlock; a lock that was waited for too long; a record that another node of a cluster changed.
        1205 | 1213 | 1020 | 3572 => Fault::Conflict(text),
        1146 => Fault::Absent(text),
        1053 | 1317 | 1927 | 4031 => Fault::Lost(text),
        1290 | 1792 | 1836 | 3100 => Fault::Unavailable(format!("read-only: {text}")),
        // The disk or the table is full; too many connections; no right to; no such database.
        3 | 1021 | 1030 | 1114 | 1037 | 1038 | 1040 | 1203 | 1226 | 1129 | 1130 | 1044 | 1045 | 1698
        | 1049 | 1142 | 1143 | 1227 | 1820 | 1862 | 3118 | 3159 | 4151 | 1047 | 1206 => {
            Fault::Unavailable(text)
        }
        _ => Fault::Broken(text),
    }
}

pub(super) fn cut() -> Fault {
    Fault::Broken("the server's message cannot be read".into())
}

pub(super) const HEADER: usize = 4;
/// A longer one would be continued in the next; records are much shorter.
pub(super) const LONGEST: u64 = 0xff_ffff;
const LONG_LONG: u8 = 8;
const BLOB: u8 = 0xfc;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u16) -> Fault {
        let mut body = BytesMut::new();
        body.put_u16_le(number);
        body.extend_from_slice(b"#HY000no\nway");
        fault(body.freeze())
    }

    #[test]
    fn errors_are_sorted_by_number() {
        assert!(matches!(error(1062), Fault::Duplicate));
        assert!(matches!(error(1213), Fault::Conflict(_)));
        assert!(matches!(error(1205), Fault::Conflict(_)));
        assert!(matches!(error(1146), Fault::Absent(_)));
        assert!(matches!(error(1053), Fault::Lost(_)));
        for unavailable in [1045, 1290, 1114, 1040, 1049] {
            assert!(matches!(error(unavailable), Fault::Unavailable(_)), "{unavailable}");
        }
        assert!(matches!(error(1064), Fault::Broken(_)));
        assert_eq!(error(1045).to_string(), "no way (1045)");
        assert!(matches!(fault(Bytes::from_static(b"\x01")), Fault::Broken(_)));
    }

    #[test]
    fn lengths_are_read_as_they_are_written() {
        for length in [0, 250, 251, 0xffff, 0x1_0000, 300_000] {
            let mut packet = BytesMut::new();
            put_bytes(&mut packet, &vec![7; length]);
            let whole = packet.freeze();
            assert_eq!(take_bytes(&mut whole.clone()).unwrap().len(), length);
            assert!(take_bytes(&mut whole.slice(..whole.len() - 1)).is_err() || length == 0);
        }
        assert!(take_length(&mut Bytes::from_static(b"\xff")).is_err());
        assert!(take_length(&mut Bytes::from_static(b"\xfd\x01")).is_err());
    }

    #[test]
    fn cut_rows_are_faults() {
        // A number, nothing, two bytes: the second of three columns is null.
        let whole = Bytes::from_static(b"\0\x08\x07\0\0\0\0\0\0\0\x02ab");
        let read = row(whole.clone(), &[true, false, false]).unwrap();
        let [Value::Number(7), Value::Null, Value::Bytes(bytes)] = &read[..] else { panic!("{read:?}") };
        assert_eq!(bytes, &b"ab"[..]);
        for length in 0..whole.len() {
            assert!(row(whole.slice(..length), &[true, false, false]).is_err(), "{length}");
        }
    }
}
