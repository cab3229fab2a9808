//! Source text to tokens. String literals are unescaped in `quoted`.

use crate::fault::Complaint;
use crate::quoted;

/// A token and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Lexeme,
    pub(crate) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lexeme {
    Ident(String),
    /// The digits' value; a minus sign belongs to the parser, which knows the range.
    Int(u64),
    Uint(u64),
    Double(f64),
    Str(String),
    Bytes(Vec<u8>),
    /// An operator or bracket, one of [`SIGNS`].
    Sign(&'static str),
    End,
}

/// Reads all of it; the last token is always [`Lexeme::End`].
pub(crate) fn lex(source: &str) -> Result<Vec<Token>, Complaint> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blank(source, at);
        let rest = source.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { kind: Lexeme::End, at });
            return Ok(tokens);
        };
        let (kind, length) = if let Some(found) = quoted::read(rest, at)? {
            (found.lexeme, found.length)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = span(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            (Lexeme::Ident(word.to_owned()), word.len())
        } else if starts_number(rest) {
            number(rest, at)?
        } else {
            sign(rest, first, at)?
        };
        tokens.push(Token { kind, at });
        at += length;
    }
}

impl std::fmt::Display for Lexeme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ident(name) => write!(f, "`{name}`"),
            Self::Int(_) | Self::Uint(_) | Self::Double(_) => f.write_str("a number"),
            Self::Str(_) => f.write_str("a string"),
            Self::Bytes(_) => f.write_str("bytes"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::End => f.write_str("the end of the expression"),
        }
    }
}

fn skip_blank(source: &str, mut at: usize) -> usize {
    loop {
        let rest = source.get(at..).unwrap_or_default();
        let blank = span(rest, |c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')).len();
        let comment = rest.get(blank..).filter(|text| text.starts_with("//"));
        let length = blank + comment.map_or(0, |text| span(text, |c| c != '\n').len());
        if length == 0 {
            return at;
        }
        at += length;
    }
}

fn span(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn starts_number(rest: &str) -> bool {
    let mut bytes = rest.bytes();
    match bytes.next() {
        Some(b'.') => bytes.next().is_some_and(|b| b.is_ascii_digit()),
        Some(b) => b.is_ascii_digit(),
        None => false,
    }
}

fn number(rest: &str, at: usize) -> Result<(Lexeme, usize), Complaint> {
    let digits = |text: &str| span(text, |c| c.is_ascii_digit()).len();
    let after = |length: usize| rest.get(length..).unwrap_or_default();
    let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
    let mut length = digits(rest);
    let mut whole = true;
    if let Some(hex) = hex {
        length = 2 + span(hex, |c| c.is_ascii_hexdigit()).len();
    } else {
        if let Some(fraction) = after(length).strip_prefix('.').map(digits).filter(|n| *n > 0) {
            length += 1 + fraction;
            whole = false;
        }
        if let Some(exponent) = exponent(after(length)) {
            length += exponent;
            whole = false;
        }
    }
    let unsigned = whole && after(length).starts_with(['u', 'U']);
    let end = length + usize::from(unsigned);
    if let Some(c) = after(end).chars().next().filter(|c| c.is_alphanumeric() || *c == '_') {
        return Err(Complaint::new(at + end, format!("`{c}` directly after a number")));
    }
    let text = rest.get(..length).unwrap_or_default();
    let integer = if unsigned { Lexeme::Uint } else { Lexeme::Int };
    let value = match (hex, whole) {
        (Some(_), _) => u64::from_str_radix(text.get(2..).unwrap_or_default(), 16).ok().map(integer),
        (None, true) => text.parse().ok().map(integer),
        (None, false) => text.parse().ok().filter(|d: &f64| d.is_finite()).map(Lexeme::Double),
    };
    value.map(|kind| (kind, end)).ok_or_else(|| Complaint::new(at, "the number is malformed or too large"))
}

fn exponent(text: &str) -> Option<usize> {
    let unsigned = text.strip_prefix(['e', 'E'])?;
    let digits = unsigned.strip_prefix(['+', '-']).unwrap_or(unsigned);
    let count = span(digits, |c| c.is_ascii_digit()).len();
    (count > 0).then(|| text.len() - digits.len() + count)
}

fn sign(rest: &str, first: char, at: usize) -> Result<(Lexeme, usize), Complaint> {
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Lexeme::Sign(sign), sign.len()));
    }
    let complaint = Complaint::new(at, format!("`{}` does not belong here", first.escape_debug()));
    Err(match first {
        '=' => complaint.hint("equality is `==`"),
        '&' => complaint.hint("\"and\" is `&&`"),
        '|' => complaint.hint("\"or\" is `||`"),
        '`' => complaint.hint("write claims[\"a-b\"] for a name that is no identifier"),
        '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}' => complaint.hint("strings stand in \" or '"),
        _ => complaint,
    })
}

/// Longest first where one begins another.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<Lexeme> {
        let mut all = lex(source).unwrap().into_iter().map(|token| token.kind).collect::<Vec<_>>();
        assert_eq!(all.pop(), Some(Lexeme::End));
        all
    }

    #[test]
    fn numbers() {
        for (source, want) in [
            ("0", Lexeme::Int(0)),
            ("0x1F", Lexeme::Int(31)),
            ("9223372036854775808", Lexeme::Int(1 << 63)),
            ("1.5", Lexeme::Double(1.5)),
            ("1u", Lexeme::Uint(1)),
            ("0x1FU", Lexeme::Uint(31)),
            ("18446744073709551615u", Lexeme::Uint(u64::MAX)),
            (".5", Lexeme::Double(0.5)),
            ("1e3", Lexeme::Double(1000.0)),
            ("1.5E-1", Lexeme::Double(0.15)),
        ] {
            assert_eq!(kinds(source), [want], "{source}");
        }
        assert_eq!(kinds("1.a"), [Lexeme::Int(1), Lexeme::Sign("."), Lexeme::Ident("a".into())]);
        for bad in ["1.5u", "0x", "0xg", "1a", "1e", "1e999", "99999999999999999999", "1_000", "1.5.", "1ux"]
        {
            assert_eq!(lex(bad).is_err(), bad != "1.5.", "{bad}");
        }
    }

    #[test]
    fn blanks_and_comments() {
        assert_eq!(kinds(" // all\n\t1 // one\r\n"), [Lexeme::Int(1)]);
        assert_eq!(kinds("//"), []);
        for bad in ["a = b", "a & b", "a | b", "#", "`a`", "\u{a0}1", "\u{201c}a\u{201d}", "ä", "\0"] {
            assert!(lex(bad).is_err(), "{bad}");
        }
    }
}
