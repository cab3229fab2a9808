//! String and bytes literals: four kinds of quotes, raw or with escapes (CEL specification, "String and Bytes Values").

use crate::fault::Complaint;
use crate::lex::Lexeme;

/// A literal and how many bytes of source it takes.
pub(crate) struct Found {
    pub(crate) lexeme: Lexeme,
    pub(crate) length: usize,
}

/// The string literal that `rest` begins with, if it begins with one.
pub(crate) fn read(rest: &str, at: usize) -> Result<Option<Found>, Complaint> {
    let prefix = rest.bytes().take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B')).take(2).count();
    let (letters, body) = rest.split_at_checked(prefix).unwrap_or(("", rest));
    let Some(quote) = QUOTES.iter().find(|quote| body.starts_with(**quote)) else { return Ok(None) };
    let bytes = letters.contains(['b', 'B']);
    let raw = letters.contains(['r', 'R']);
    if letters.len() > 1 && !(bytes && raw) {
        return Err(Complaint::new(
            at,
            format!("`{letters}` is no prefix of a string; raw strings begin with one `r`"),
        ));
    }
    let start = prefix + quote.len();
    let mut reader = Reader { rest, at, next: start, bytes, out: Vec::new() };
    loop {
        let left = rest.get(reader.next..).unwrap_or_default();
        if left.starts_with(quote) {
            return Ok(Some(Found { length: reader.next + quote.len(), lexeme: reader.finish()? }));
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
                reader.push('\n');
            }
            Some(c) => reader.push(c),
            None => return Err(Complaint::new(at, format!("the string is not closed; {quote} is missing"))),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: usize,
    next: usize,
    /// Whether it is a bytes literal, in which `\xNN` is an octet, not a character.
    bytes: bool,
    out: Vec<u8>,
}

impl Reader<'_> {
    fn finish(self) -> Result<Lexeme, Complaint> {
        if self.bytes {
            return Ok(Lexeme::Bytes(self.out));
        }
        let text = String::from_utf8(self.out);
        text.map(Lexeme::Str).map_err(|_| Complaint::new(self.at, "the string is not UTF-8"))
    }

    fn push(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

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
            Some('x' | 'X') if self.bytes => return self.octet(2, 16, start),
            Some('x' | 'X') => self.code(2, 16),
            Some('u') if !self.bytes => self.code(4, 16),
            Some('U') if !self.bytes => self.code(8, 16),
            Some('0'..='3') => {
                self.next -= 1;
                if self.bytes {
                    return self.octet(3, 8, start);
                }
                self.code(3, 8)
            }
            _ => None,
        };
        self.push(c.ok_or_else(|| bad_escape(start))?);
        Ok(())
    }

    fn octet(&mut self, digits: usize, radix: u32, start: usize) -> Result<(), Complaint> {
        let octet = self.number(digits, radix).and_then(|number| u8::try_from(number).ok());
        self.out.push(octet.ok_or_else(|| bad_escape(start))?);
        Ok(())
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        self.number(digits, radix).and_then(char::from_u32)
    }

    fn number(&mut self, digits: usize, radix: u32) -> Option<u32> {
        let text = self.rest.get(self.next..self.next.checked_add(digits)?)?;
        let plain = text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(text, radix).ok().filter(|_| plain)?;
        self.next += digits;
        Some(number)
    }
}

fn bad_escape(at: usize) -> Complaint {
    Complaint::new(at, "unknown escape in the string")
        .hint("a backslash is `\\\\`, or put `r` before the quotes")
}

const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> Result<Option<String>, Complaint> {
        let found = read(source, 0)?;
        Ok(found.map(|found| if let Lexeme::Str(text) = found.lexeme { text } else { panic!("bytes") }))
    }

    #[test]
    fn bytes() {
        for (source, want) in [
            ("b'ab'", &b"ab"[..]),
            ("B\"\"", b""),
            (r"b'\xff\101\n'", b"\xffA\n"),
            (r"rb'\xff'", br"\xff"),
            ("b'\u{e4}'", "\u{e4}".as_bytes()),
        ] {
            assert_eq!(read(source, 0).unwrap().unwrap().lexeme, Lexeme::Bytes(want.to_vec()), "{source}");
        }
        for bad in [r"b'\u00e4'", r"b'\400'", "bb'a'", r"b'\xg0'"] {
            assert!(read(bad, 0).is_err(), "{bad}");
        }
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
            "bb'a'",
            "rr'a'",
            r"'\é'",
            r"'\u00é'",
        ] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }
}
