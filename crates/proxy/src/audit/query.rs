//! A request's query as Go and the API server's `ListOptions` read it, as far as it changes what a request asks for.

use super::selector;

/// A query that is read as Go reads it: a pair that cannot be decoded, or holds a semicolon, is no pair.
pub(super) struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    pub(super) const fn new(raw: &'q str) -> Self {
        Self(raw)
    }

    /// Whether a list is a watch, and the name that its field selector asks for.
    pub(super) fn list_options(&self) -> (bool, Option<String>) {
        let watch = self.first("watch");
        let good = [self.first("limit"), self.first("timeoutSeconds")]
            .iter()
            .flatten()
            .all(|number| number.parse::<i64>().is_ok())
            && selector::is_label_selector(&self.first("labelSelector").unwrap_or_default());
        let fields = self.first("fieldSelector").unwrap_or_default();
        match selector::required_name(&fields).filter(|_| good) {
            // Go compares without regard to case in Unicode's way here, where a long s is an s.
            Some(name) => (watch.is_some_and(|text| is_true(&text.replace('ſ', "s"))), name),
            // Options that cannot be read select nothing, and watch all the same.
            None => (watch.is_some_and(|text| is_true(&text)), None),
        }
    }

    fn first(&self, key: &str) -> Option<String> {
        self.0.split('&').filter(|pair| !pair.contains(';') && !pair.is_empty()).find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescaped(value, true)?;
            (unescaped(name, true)? == key).then_some(value)
        })
    }
}

/// Percent-decoded, `+` for a space in queries; `None` if that cannot be done. Bytes that are no text become U+FFFD, as they
/// do in the API server's events.
pub(super) fn unescaped(raw: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                bytes.push(u8::try_from(value).ok()?);
            }
            b'+' if is_query => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    Some(String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()))
}

fn is_true(text: &str) -> bool {
    text != "0" && !text.eq_ignore_ascii_case("false")
}

/// Whether a pair of this name is in it, with a value.
pub(super) fn names(raw: &str, key: &str) -> bool {
    Query(raw).first(key).is_some_and(|value| !value.trim().is_empty())
}
