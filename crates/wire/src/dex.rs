//! Dex's own encodings: proto3 messages of two strings, written as base64url without padding (dex.md 1.4).

use crate::b64;

/// A pair of strings in Dex's wire form: `sub` is (user id, connector id), a refresh token is (id, secret).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Field 1.
    pub first: String,
    /// Field 2.
    pub second: String,
}

impl Pair {
    /// From two strings.
    pub fn new(first: impl Into<String>, second: impl Into<String>) -> Self {
        Self { first: first.into(), second: second.into() }
    }

    /// The wire form; empty fields are left out, as proto3 does.
    ///
    /// ```
    /// assert_eq!(wire::dex::Pair::new("2342749", "github").encode(), "CgcyMzQyNzQ5EgZnaXRodWI");
    /// ```
    pub fn encode(&self) -> String {
        let mut raw = Vec::with_capacity(self.first.len() + self.second.len() + 8);
        field(&mut raw, 0x0a, &self.first);
        field(&mut raw, 0x12, &self.second);
        b64::encode(raw)
    }

    /// Reads the wire form; anything but these two fields, each at most once and in order, is not a pair. A pair has
    /// one spelling: what [`Self::encode`] would not write (overlong lengths, empty fields) is none either.
    pub fn decode(text: &str) -> Option<Self> {
        let raw = b64::decode(text)?;
        let (first, rest) = take(&raw, 0x0a)?;
        let (second, rest) = take(rest, 0x12)?;
        let pair = Self { first, second };
        (rest.is_empty() && !raw.is_empty() && pair.encode() == text).then_some(pair)
    }
}

fn field(out: &mut Vec<u8>, tag: u8, text: &str) {
    if text.is_empty() {
        return;
    }
    out.push(tag);
    let mut length = text.len();
    while length >= 0x80 {
        out.push(0x80 | u8::try_from(length & 0x7f).unwrap_or(0));
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or(0));
    out.extend_from_slice(text.as_bytes());
}

fn take(raw: &[u8], tag: u8) -> Option<(String, &[u8])> {
    let Some((&found, mut rest)) = raw.split_first() else { return Some((String::new(), raw)) };
    if found != tag {
        return Some((String::new(), raw));
    }
    let (mut length, mut shift) = (0usize, 0u32);
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
    let (text, rest) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_with_long_and_empty_fields() {
        for pair in [Pair::new("a".repeat(300), "local"), Pair::new("x", ""), Pair::new("", "y")] {
            assert_eq!(Pair::decode(&pair.encode()), Some(pair));
        }
    }

    #[test]
    fn other_bytes_are_no_pair() {
        for text in ["", "YQ", "system:serviceaccount:a:b", "CgX_", "Cg", "////", "EoAA", "CgEAEgA"] {
            assert_eq!(Pair::decode(text), None, "{text:?}");
        }
    }
}
