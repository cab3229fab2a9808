//! String literals: four kinds of quotes, raw or with escapes (CEL specification, "String and Bytes Values").

use crate::fault::Complaint;

/// A literal and how many bytes of source it takes.
pub(crate) struct Found {
    pub(crate) text: String,
    pub(crate) length: usize,
}

/// The string literal that `rest` begins with, if it begins with one.
pub(crate) fn read(rest: &str, at: usize) -> Result<Option<Found>, Complaint> {
    let prefix = rest.bytes().take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B')).take(2).count();
    let (letters, body) = rest.split_at_checked(prefix).unwrap_or(("", rest));
    let Some(quote) = QUOTES.iter().find(|quote| body.starts_with(**quote)) else { return Ok(None) };
    if letters.contains(['b', 'B']) {
        return Err(Complaint::new(at, "bytes literals are not supported yet"));
    }
    if letters.len() > 1 {
        return Err(Complaint::new(
            at,
            format!("`{letters}` is no prefix of a string; raw strings begin with one `r`"),
        ));
    }
    let raw = !letters.is_empty();
    let start = prefix + quote.len();
    let mut reader = Reader { rest, at, next: start, text: String::new() };
    loop {
        let left = rest.get(reader.next..).unwrap_or_default();
        if left.starts_with(quote) {
            return Ok(Some(Found { text: reader.text, length: reader.next + quote.len() }));
        }
        match reader.take() {
            Some('\\') if !raw => reader.escape()?,
            Some('\n' | '\r') if quote.len() == 1 => {
                return Err(Complaint::new(at, "the string does not end on its line")
                    .hint("close it, write \\n for a line break, or use \"\"\""));
            }
            // CEL reads every line break of a triple-quoted string as one \n.
            Some('\r') => {
                if rest.get(reader.next..).is_some_and(|left| left.starts_with('\n')) {
                    reader.take();
                }
                reader.text.push('\n');
            }
            Some(c) => reader.text.push(c),
            None => return Err(Complaint::new(at, format!("the string is not closed; {quote} is missing"))),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: usize,
    next: usize,
    text: String,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let c = self.rest.get(self.next..)?.chars().next()?;
        self.next += c.len_utf8();
        Some(c)
    }

    fn escape(&mut self) -> Result<(), Complaint> {
        let start = self.at + self.next - 1;
        let c = match self.take() {
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('v') => Some('\u{b}'),
            Some(c @ ('\\' | '?' | '"' | '\'' | '`')) => Some(c),
            Some('x' | 'X') => self.code(2, 16),
            Some('u') => self.code(4, 16),
            Some('U') => self.code(8, 16),
            Some('0'..='3') => {
                self.next -= 1;
                self.code(3, 8)
            }
            _ => None,
        };
        let c = c.ok_or_else(|| {
            Complaint::new(start, "unknown escape in the string")
                .hint("a backslash is `\\\\`, or put `r` before the quotes")
        })?;
        self.text.push(c);
        Ok(())
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let text = self.rest.get(self.next..self.next.checked_add(digits)?)?;
        let plain = text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, radix).ok().filter(|_| plain)?;
        self.next += digits;
        char::from_u32(number)
    }
}

const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Result<Option<String>, Complaint> {
        read(source, 0).map(|found| found.map(|found| found.text))
    }

    #[test]
    fn reads() {
        for (source, want) in [
            (r#""""#, ""),
            ("''", ""),
            (r#"'a"b'"#, "a\"b"),
            (r#""a'b""#, "a'b"),
            (r#""""a"b""c""""#, "a\"b\"\"c"),
            ("'''a\r\nb\rc'''", "a\nb\nc"),
            (r#"'\a\b\f\n\r\t\v\\\?\"\'\`'"#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\?\"'`"),
            (r"'\x41\u00e4\U0001F600\101'", "Aä😀A"),
            (r"r'a\n\'", r"a\n\"),
            (r#"R"\d""#, r"\d"),
            ("'ä'x", "ä"),
        ] {
            assert_eq!(text(source).unwrap().as_deref(), Some(want), "{source}");
        }
        for none in ["", "a", "rest", "b", "1", "rb"] {
            assert_eq!(text(none).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn refuses() {
        for bad in [
            "'",
            "'''a''",
            "\"a",
            "'a\nb'",
            "'a\rb'",
            r"'\'",
            r"'\q'",
            r"'\x4'",
            r"'\x+1'",
            r"'\ud800'",
            r"'\U00110000'",
            r"'\400'",
            r"'\08'",
            "b'a'",
            "B\"a\"",
            "rb'a'",
            "br'a'",
            "rr'a'",
            r"'\é'",
            r"'\u00é'",
        ] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }
}
