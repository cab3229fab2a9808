//! The part of BER that LDAP uses (RFC 4511 section 5.1): tags of one byte, definite lengths. Nothing here recurses.

/// Bytes that are no LDAP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) &'static str);

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let significant = length.iter().skip_while(|byte| **byte == 0);
            let count = significant.clone().count();
            out.push(0x80 | u8::try_from(count).unwrap_or_default());
            out.extend(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// An element that holds others.
pub(super) fn constructed(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// An integer or enumerated value that is not negative.
pub(super) fn number(tag: u8, value: u32) -> Vec<u8> {
    // A leading zero keeps the sign; the first byte that matters begins at most four before the end.
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(3);
    let mut content: Vec<u8> = bytes.iter().copied().skip(zeros).collect();
    if content.first().is_some_and(|byte| *byte >= 0x80) {
        content.insert(0, 0);
    }
    element(tag, &content)
}

/// How long the message is that begins `raw`; `None` while its header is not whole.
///
/// # Errors
/// What begins no message, or one of more than `cap` bytes.
pub fn message_length(raw: &[u8], cap: usize) -> Result<Option<usize>, Malformed> {
    let Some((&tag, rest)) = raw.split_first() else { return Ok(None) };
    if tag != SEQUENCE {
        return Err(Malformed("what came is no LDAP message"));
    }
    let Some((header, length)) = length(rest)? else { return Ok(None) };
    match length.checked_add(header + 1) {
        Some(whole) if whole <= cap => Ok(Some(whole)),
        _ => Err(Malformed("a message is longer than any should be")),
    }
}

/// Of a length field, how many bytes it takes and what it says; `None` if it is cut off.
fn length(raw: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some((&first, rest)) = raw.split_first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((1, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(Malformed("a length is indefinite or absurd"));
    }
    let Some(bytes) = rest.get(..count) else { return Ok(None) };
    let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    Ok(Some((count + 1, length)))
}

/// Elements one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and its content.
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        const CUT: Malformed = Malformed("an element is cut off");
        let (&tag, rest) = self.0.split_first().ok_or(CUT)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed("a tag takes more than one byte"));
        }
        let (header, length) = length(rest)?.ok_or(CUT)?;
        let rest = rest.get(header..).ok_or(CUT)?;
        let (content, rest) = rest.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(Malformed("an element is of another type than it should be")),
        }
    }

    /// The value of the next integer or enumerated element, which must not be negative.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let content = self.expect(tag)?;
        let negative = content.first().is_none_or(|byte| *byte >= 0x80);
        let value = content.iter().try_fold(0_u32, |sum, byte| {
            sum.checked_mul(256).and_then(|sum| sum.checked_add(u32::from(*byte)))
        });
        value.filter(|_| !negative).ok_or(Malformed("a number is out of range"))
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_go_there_and_back() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let raw = element(OCTETS, &content);
            assert_eq!(Reader(&raw).expect(OCTETS), Ok(&content[..]), "{length}");
        }
        for value in [0, 1, 127, 128, 255, 256, 32_767, 32_768, 0x7fff_ffff, u32::MAX] {
            assert_eq!(Reader(&number(INTEGER, value)).number(INTEGER), Ok(value));
        }
        assert_eq!(number(INTEGER, 128), [2, 2, 0, 128]);
        assert!(Reader(&[2, 1, 0xff]).number(INTEGER).is_err(), "negative");
        assert!(Reader(&[2, 0]).number(INTEGER).is_err(), "empty");
        assert!(Reader(&[2, 5, 1, 0, 0, 0, 0]).number(INTEGER).is_err(), "too large");
    }

    #[test]
    fn what_is_cut_off_indefinite_or_too_long_is_refused() {
        for raw in [&[4, 2, 1][..], &[4], &[], &[4, 0x80, 0, 0], &[4, 0x85, 0, 0, 0, 0, 1, 9], &[0x1f, 0]] {
            assert!(Reader(raw).next().is_err(), "{raw:?}");
        }
        assert_eq!(message_length(&[0x30, 3, 1], 100), Ok(Some(5)));
        assert_eq!(message_length(&[0x30, 0x82, 1], 1000), Ok(None));
        assert_eq!(message_length(&[0x30], 100), Ok(None));
        assert_eq!(message_length(&[], 100), Ok(None));
        assert!(message_length(b"HTTP/1.1 400", 100).is_err());
        assert!(message_length(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], 1000).is_err());
        assert!(message_length(&[0x30, 101], 102).is_err());
    }
}
