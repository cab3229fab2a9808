//! Search filters (RFC 4511 section 4.5.1.7): made of values, or read from an operator's text (RFC 4515).

use super::ber::{OCTETS, SEQUENCE, constructed, element};

/// A search filter, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(pub(super) Vec<u8>);

/// A text that is no filter. Completes the sentence "the filter …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct BadFilter {
    what: &'static str,
    at: usize,
}

impl Filter {
    /// Entries that have this value. The value is data, whatever it holds.
    pub fn equals(attribute: &str, value: &[u8]) -> Self {
        Self(assertion(EQUALITY, attribute.as_bytes(), value))
    }

    /// Entries that pass all of these.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(AND, filters)
    }

    /// Entries that pass one of these.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::joined(OR, filters)
    }

    /// The filters of a text, one after the other: `(a=b)`, or `(a=b)(c=d)`.
    ///
    /// # Errors
    /// Says what is wrong and where.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BadFilter> {
        let mut parser = Parser { text: text.as_bytes(), at: 0 };
        let filters = parser.list(0)?;
        if filters.is_empty() {
            return Err(parser.bad("must begin with a parenthesis"));
        }
        if parser.at < parser.text.len() {
            return Err(parser.bad("goes on behind its end"));
        }
        Ok(filters.into_iter().map(Self).collect())
    }

    fn joined(tag: u8, filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts: Vec<Vec<u8>> = filters.into_iter().map(|filter| filter.0).collect();
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => Self(only),
            (_, last) => {
                parts.extend(last);
                Self(constructed(tag, &parts))
            }
        }
    }
}

/// Whether a text can be the name of an attribute (RFC 4512 section 2.5): a word or an OID, and options.
pub fn is_attribute(text: &str) -> bool {
    let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';' | '_');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(ok)
}

/// A value as filters in text hold it, in the form of Go's LDAP library, which escapes whatever is not plain ASCII.
pub fn escape(value: &str) -> String {
    use std::fmt::Write as _;
    value.bytes().fold(String::with_capacity(value.len()), |mut out, byte| {
        match byte {
            b'(' | b')' | b'*' | b'\\' | 0 | 0x80.. => {
                let _ = write!(out, "\\{byte:02x}");
            }
            plain => out.push(char::from(plain)),
        }
        out
    })
}

/// What [`escape`] was given; `None` if that cannot be.
pub fn unescape(text: &str) -> Option<String> {
    let mut parser = Parser { text: text.as_bytes(), at: 0 };
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = parser.byte().ok()? {
        out.push(byte);
    }
    String::from_utf8(out).ok()
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Parser<'t> {
    const fn bad(&self, what: &'static str) -> BadFilter {
        BadFilter { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, wanted: &[u8]) -> bool {
        let there = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(wanted));
        if there {
            self.at += wanted.len();
        }
        there
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Filters as long as there are any. Spaces between them come from folded YAML.
    fn list(&mut self, depth: usize) -> Result<Vec<Vec<u8>>, BadFilter> {
        let mut filters = Vec::new();
        self.skip_space();
        while self.peek() == Some(b'(') {
            filters.push(self.filter(depth)?);
            self.skip_space();
        }
        Ok(filters)
    }

    fn filter(&mut self, depth: usize) -> Result<Vec<u8>, BadFilter> {
        if depth > DEEPEST {
            return Err(self.bad("is nested too deep"));
        }
        if !self.takes(b"(") {
            return Err(self.bad("needs a parenthesis"));
        }
        let encoded = match self.peek() {
            Some(b'&') => self.set(AND, depth)?,
            Some(b'|') => self.set(OR, depth)?,
            Some(b'!') => {
                self.at += 1;
                element(NOT, &self.filter(depth + 1)?)
            }
            _ => self.item()?,
        };
        if !self.takes(b")") {
            return Err(self.bad("lacks a closing parenthesis"));
        }
        Ok(encoded)
    }

    fn set(&mut self, tag: u8, depth: usize) -> Result<Vec<u8>, BadFilter> {
        self.at += 1;
        let filters = self.list(depth + 1)?;
        if filters.is_empty() { Err(self.bad("joins nothing")) } else { Ok(constructed(tag, &filters)) }
    }

    fn item(&mut self) -> Result<Vec<u8>, BadFilter> {
        let attribute = self.name();
        if self.peek() == Some(b':') {
            return self.extensible(attribute);
        }
        if attribute.is_empty() {
            return Err(self.bad("names no attribute"));
        }
        for (operator, tag) in [(b">=", GREATER), (b"<=", LESS), (b"~=", APPROXIMATE)] {
            if self.takes(operator) {
                return Ok(assertion(tag, attribute, &self.value()?));
            }
        }
        if !self.takes(b"=") {
            return Err(self.bad("has no comparison"));
        }
        self.comparison(attribute)
    }

    /// `=value`, `=*`, `=a*b*c`.
    fn comparison(&mut self, attribute: &[u8]) -> Result<Vec<u8>, BadFilter> {
        let mut parts = vec![self.value()?];
        while self.takes(b"*") {
            parts.push(self.value()?);
        }
        match parts.as_slice() {
            [whole] => return Ok(assertion(EQUALITY, attribute, whole)),
            [before, after] if before.is_empty() && after.is_empty() => {
                return Ok(element(PRESENT, attribute));
            }
            _ => {}
        }
        let last = parts.len() - 1;
        let tagged = parts.iter().enumerate().filter(|(_, part)| !part.is_empty()).map(|(index, part)| {
            let tag = if index == 0 {
                INITIAL
            } else if index == last {
                FINAL
            } else {
                ANYWHERE
            };
            element(tag, part)
        });
        let tagged: Vec<_> = tagged.collect();
        if tagged.is_empty() {
            return Err(self.bad("has nothing but asterisks"));
        }
        Ok(constructed(SUBSTRINGS, &[element(OCTETS, attribute), constructed(SEQUENCE, &tagged)]))
    }

    /// `attribute:dn:rule:=value`, of which attribute, `:dn` and rule may be left out.
    fn extensible(&mut self, attribute: &[u8]) -> Result<Vec<u8>, BadFilter> {
        let of_names = self.takes(b":dn:") && {
            self.at -= 1;
            true
        };
        let mut rule: &[u8] = b"";
        if !self.takes(b":=") {
            self.at += 1;
            rule = self.name();
            if rule.is_empty() || !self.takes(b":=") {
                return Err(self.bad("has no matching rule"));
            }
        }
        if attribute.is_empty() && rule.is_empty() {
            return Err(self.bad("names neither attribute nor rule"));
        }
        let value = self.value()?;
        let mut parts = Vec::new();
        if !rule.is_empty() {
            parts.push(element(RULE, rule));
        }
        if !attribute.is_empty() {
            parts.push(element(TYPE, attribute));
        }
        parts.push(element(VALUE, &value));
        if of_names {
            parts.push(element(OF_NAMES, &[0xff]));
        }
        Ok(constructed(EXTENSIBLE, &parts))
    }

    fn name(&mut self) -> &'t [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ok = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';' | b'_');
        let (name, _) = rest.split_at(rest.iter().take_while(|byte| ok(byte)).count());
        self.at += name.len();
        name
    }

    /// Bytes up to an asterisk or a parenthesis.
    fn value(&mut self) -> Result<Vec<u8>, BadFilter> {
        let mut value = Vec::new();
        while !matches!(self.peek(), None | Some(b'*' | b')')) {
            value.extend(self.byte()?);
        }
        Ok(value)
    }

    /// One byte of a value, of which `\28` is one.
    fn byte(&mut self) -> Result<Option<u8>, BadFilter> {
        let Some(byte) = self.peek() else { return Ok(None) };
        match byte {
            b'(' | 0 => Err(self.bad("has a character in a value that must be escaped")),
            b'\\' => {
                let digits = self.text.get(self.at + 1..self.at + 3);
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
                let value = match digits {
                    Some(&[high, low]) => digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low),
                    _ => None,
                };
                let value =
                    value.ok_or_else(|| self.bad("has a backslash without two hexadecimal digits"))?;
                self.at += 3;
                Ok(Some(value))
            }
            plain => {
                self.at += 1;
                Ok(Some(plain))
            }
        }
    }
}

fn assertion(tag: u8, attribute: &[u8], value: &[u8]) -> Vec<u8> {
    constructed(tag, &[element(OCTETS, attribute), element(OCTETS, value)])
}

const DEEPEST: usize = 32;

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUALITY: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER: u8 = 0xa5;
const LESS: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROXIMATE: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;
/// Of a substring filter.
const INITIAL: u8 = 0x80;
const ANYWHERE: u8 = 0x81;
const FINAL: u8 = 0x82;
/// Of an extensible one.
const RULE: u8 = 0x81;
const TYPE: u8 = 0x82;
const VALUE: u8 = 0x83;
const OF_NAMES: u8 = 0x84;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Vec<u8> {
        let mut filters = Filter::parse_list(text).unwrap();
        assert_eq!(filters.len(), 1, "{text}");
        filters.remove(0).0
    }

    #[test]
    fn every_form_is_encoded_as_the_protocol_wants_it() {
        assert_eq!(one("(cn=a)"), b"\xa3\x07\x04\x02cn\x04\x01a");
        assert_eq!(one("(cn=)"), b"\xa3\x06\x04\x02cn\x04\x00");
        assert_eq!(one("(cn=*)"), b"\x87\x02cn");
        assert_eq!(one("(n>=1)"), b"\xa5\x06\x04\x01n\x04\x011");
        assert_eq!(one("(n<=1)"), b"\xa6\x06\x04\x01n\x04\x011");
        assert_eq!(one("(n~=1)"), b"\xa8\x06\x04\x01n\x04\x011");
        assert_eq!(one("(n=a*b*c)"), b"\xa4\x0e\x04\x01n\x30\x09\x80\x01a\x81\x01b\x82\x01c");
        assert_eq!(one("(n=*b*)"), b"\xa4\x08\x04\x01n\x30\x03\x81\x01b");
        assert_eq!(one("(!(n=1))"), b"\xa2\x08\xa3\x06\x04\x01n\x04\x011");
        assert_eq!(
            one("(& (n=1) (|(n=1)) )"),
            b"\xa0\x12\xa3\x06\x04\x01n\x04\x011\xa1\x08\xa3\x06\x04\x01n\x04\x011"
        );
        assert_eq!(one("(m:1.2:=x)"), b"\xa9\x0b\x81\x031.2\x82\x01m\x83\x01x");
        assert_eq!(one("(m:dn:=x)"), b"\xa9\x09\x82\x01m\x83\x01x\x84\x01\xff");
        assert_eq!(one("(:dn:2.4:=x)"), b"\xa9\x0b\x81\x032.4\x83\x01x\x84\x01\xff");
        assert_eq!(one(r"(cn=\2a\28\29\5c\c3\a9)"), b"\xa3\x0c\x04\x02cn\x04\x06*()\\\xc3\xa9");
        assert_eq!(Filter::parse_list("(a=b)(c=d)").unwrap().len(), 2);
        let both = [Filter::equals("a", b"b"), Filter::equals("c", b"d")];
        assert_eq!(Filter::all(both.clone()).0, one("(&(a=b)(c=d))"));
        assert_eq!(Filter::any(both).0, one("(|(a=b)(c=d))"));
        assert_eq!(Filter::any([Filter::equals("a", b"b")]).0, one("(a=b)"));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = "(!".repeat(40) + "(a=b)" + &")".repeat(40);
        for text in [
            "",
            "a=b",
            "(a=b",
            "(a=b))",
            "()",
            "(&)",
            "(=b)",
            "(a)",
            "(a=(b)",
            r"(a=\2)",
            r"(a=\zz)",
            "(a=b)x",
            "(a=**)",
            "(:=x)",
            "(a:b)",
            "(a b=c)",
            "(!a=b)",
            "(a=\0)",
            "(\u{e9}=b)",
            deep.as_str(),
        ] {
            assert!(Filter::parse_list(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn attack_24_a_value_is_data_whatever_it_holds(value in any::<String>()) {
            let text = format!("(uid={})", escape(&value));
            prop_assert_eq!(Filter::parse_list(&text).unwrap(), vec![Filter::equals("uid", value.as_bytes())]);
            prop_assert_eq!(unescape(&escape(&value)), Some(value));
        }

        #[test]
        fn any_text_is_a_filter_or_refused(text in "[()&|!=*<>~:\\\\a-c0-9 ]{0,40}") {
            let _ = Filter::parse_list(&text);
        }
    }

    #[test]
    fn names_of_attributes_hold_no_syntax() {
        assert!(
            ["uid", "sAMAccountName", "cn;lang-de", "2.5.4.3", "DN", "my_attr"].into_iter().all(is_attribute)
        );
        assert!(["", "a b", "a)(b", "-a", "a=b", "a*", "\u{e9}"].into_iter().all(|text| !is_attribute(text)));
    }
}
