//! Messages of PostgreSQL's protocol 3.0 (its documentation, chapter "Message Formats").

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::sql::{Answer, Fault, Value, line};

/// Messages on their way out.
#[derive(Default)]
pub(super) struct Out(BytesMut);

impl Out {
    /// A message with a tag; its length counts itself.
    pub(super) fn message(&mut self, tag: u8, write: impl FnOnce(&mut BytesMut)) -> &mut Self {
        self.0.put_u8(tag);
        self.untagged(write)
    }

    /// The first messages of a connection have no tag.
    pub(super) fn untagged(&mut self, write: impl FnOnce(&mut BytesMut)) -> &mut Self {
        let mut body = BytesMut::new();
        write(&mut body);
        self.0.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX).saturating_add(4));
        self.0.extend_from_slice(&body);
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Text of this protocol ends with a zero.
pub(super) fn put_text(to: &mut BytesMut, text: &str) {
    to.extend_from_slice(text.as_bytes());
    to.put_u8(0);
}

/// Parse, bind, describe, execute and synchronize: a whole statement, which keeps no name on the server.
pub(super) fn statement(sql: &str, arguments: &[Value]) -> Out {
    let mut out = Out::default();
    out.message(b'P', |to| {
        put_text(to, "");
        put_text(to, sql);
        to.put_u16(0);
    });
    out.message(b'B', |to| {
        put_text(to, "");
        put_text(to, "");
        // All arguments in binary form.
        to.put_u16(1);
        to.put_u16(1);
        to.put_u16(u16::try_from(arguments.len()).unwrap_or(u16::MAX));
        for argument in arguments {
            match argument {
                Value::Null => to.put_i32(-1),
                Value::Number(number) => {
                    to.put_i32(8);
                    to.put_i64(*number);
                }
                Value::Bytes(bytes) => {
                    to.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                    to.extend_from_slice(bytes);
                }
            }
        }
        // And so all columns.
        to.put_u16(1);
        to.put_u16(1);
    });
    out.message(b'D', |to| {
        to.put_u8(b'P');
        put_text(to, "");
    });
    out.message(b'E', |to| {
        put_text(to, "");
        to.put_u32(0);
    });
    out.message(b'S', |_| {});
    out
}

/// Whether each column is a number; else it is bytes.
pub(super) fn columns(mut body: Bytes) -> Result<Vec<bool>, Fault> {
    let count = body.try_get_u16().map_err(|_| cut())?;
    if count > MOST_COLUMNS {
        return Err(cut());
    }
    (0..count)
        .map(|_| {
            take_text(&mut body)?;
            body.try_get_u32().map_err(|_| cut())?;
            body.try_get_u16().map_err(|_| cut())?;
            let kind = body.try_get_u32().map_err(|_| cut())?;
            body.try_get_u64().map_err(|_| cut())?;
            Ok(kind == INT8)
        })
        .collect()
}

/// One row.
pub(super) fn row(mut body: Bytes, columns: &[bool]) -> Result<Vec<Value>, Fault> {
    let count = body.try_get_u16().map_err(|_| cut())?;
    if usize::from(count) != columns.len() {
        return Err(cut());
    }
    let value = |number: &bool| {
        let length = body.try_get_i32().map_err(|_| cut())?;
        let Ok(length) = usize::try_from(length) else { return Ok(Value::Null) };
        if body.len() < length {
            return Err(cut());
        }
        let mut bytes = body.split_to(length);
        Ok(if *number { Value::Number(bytes.try_get_i64().map_err(|_| cut())?) } else { Value::Bytes(bytes) })
    };
    columns.iter().map(value).collect()
}

/// Reads how many rows a statement met: `UPDATE 1`, `INSERT 0 1`.
pub(super) fn complete(body: &[u8], answer: &mut Answer) {
    let tag = String::from_utf8_lossy(body);
    let count = tag.trim_end_matches('\0').rsplit(' ').next().and_then(|count| count.parse().ok());
    answer.changed = count.unwrap_or(0);
}

/// An error, by its code (appendix A of the documentation). Of its text only the message is kept: details quote values.
pub(super) fn fault(mut body: Bytes) -> Fault {
    let (mut code, mut message) = (String::new(), String::new());
    while let Ok(field) = body.try_get_u8() {
        if field == 0 {
            break;
        }
        let Ok(text) = take_text(&mut body) else { break };
        match field {
            b'C' => code = text,
            b'M' => message = text,
            _ => {}
        }
    }
    let text = format!("{} ({})", line(&message), line(&code));
    match code.as_str() {
        "40001" | "40P01" | "55P03" => Fault::Conflict(text),
        "42P01" => Fault::Absent(text),
        // The server ends, or ended our connection: what ran on it was rolled back, but not everybody says so in time.
        "57P01" | "57P02" | "57P04" | "57P05" => Fault::Lost(text),
        "25006" => Fault::Unavailable(format!("read-only: {text}")),
        "57P03" | "42501" | "3D000" | "3F000" | "57014" => Fault::Unavailable(text),
        _ => match code.get(..2) {
            Some("08") => Fault::Lost(text),
            Some("28" | "53" | "58") => Fault::Unavailable(text),
            _ => Fault::Broken(text),
        },
    }
}

pub(super) fn take_text(body: &mut Bytes) -> Result<String, Fault> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(cut)?;
    let text = body.split_to(end);
    body.advance(1);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

pub(super) fn cut() -> Fault {
    Fault::Broken("the server's message cannot be read".into())
}

const INT8: u32 = 20;

/// Nothing here asks for more; each costs memory in every row.
const MOST_COLUMNS: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Fault {
        fault(Bytes::from(format!("SERROR\0C{code}\0Mno\nway\0DKey (id)=(canary) exists.\0\0")))
    }

    #[test]
    fn errors_are_sorted_by_code_and_quote_no_values() {
        assert!(matches!(error("40001"), Fault::Conflict(_)));
        assert!(matches!(error("40P01"), Fault::Conflict(_)));
        assert!(matches!(error("42P01"), Fault::Absent(_)));
        assert!(matches!(error("57P01"), Fault::Lost(_)));
        assert!(matches!(error("08006"), Fault::Lost(_)));
        for unavailable in ["28P01", "53100", "53300", "58030", "25006", "42501", "3D000"] {
            assert!(matches!(error(unavailable), Fault::Unavailable(_)), "{unavailable}");
        }
        assert!(matches!(error("42601"), Fault::Broken(_)));
        assert_eq!(error("28P01").to_string(), "no way (28P01)");
        assert!(matches!(fault(Bytes::from_static(b"C")), Fault::Broken(_)));
    }

    #[test]
    fn cut_messages_are_faults() {
        for length in 0..26 {
            let whole =
                Bytes::from_static(b"\0\x01id\0\0\0\0\x01\0\x02\0\0\0\x14\0\x08\xff\xff\xff\xff\0\x01");
            assert_eq!(
                columns(whole.slice(..length.min(whole.len()))).is_ok(),
                length >= whole.len(),
                "{length}"
            );
        }
        let whole = Bytes::from_static(b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x07\xff\xff\xff\xff");
        assert!(matches!(row(whole.clone(), &[true, false]).unwrap()[..], [Value::Number(7), Value::Null]));
        for length in 0..whole.len() {
            assert!(row(whole.slice(..length), &[true, false]).is_err(), "{length}");
        }
        assert!(row(whole, &[true]).is_err());
    }
}
