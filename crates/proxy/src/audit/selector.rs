//! Field and label selectors as the API server parses them: which name a list is bound to, and whether they can be read at all.

/// The name that a field selector requires, if it requires one that can stand in a path. `None`: it cannot be parsed.
#[expect(clippy::option_option, reason = "without a name, and without a meaning")]
pub(super) fn required_name(selector: &str) -> Option<Option<String>> {
    let mut terms = terms(selector);
    terms.sort_unstable();
    let mut name = None;
    for term in terms.into_iter().filter(|term| !term.is_empty()) {
        let (field, equal, value) = parted(term)?;
        let value = literal(value)?;
        if equal && field == "metadata.name" && name.is_none() {
            name = Some(value);
        }
    }
    Some(name.filter(|name| !matches!(&**name, "." | "..") && !name.contains(['/', '%'])))
}

/// Whether the API server would parse it.
pub(super) fn is_label_selector(selector: &str) -> bool {
    Labels { tokens: tokens(selector.as_bytes()), at: 0 }.all().is_some()
}

/// Whether it is a lower-case RFC 1123 subdomain.
pub(super) fn is_subdomain(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// Parted by commas that no backslash stands before.
fn terms(selector: &str) -> Vec<&str> {
    let mut escaped = false;
    selector
        .split(|c: char| {
            let parts = c == ',' && !escaped;
            escaped = c == '\\' && !escaped;
            parts
        })
        .collect()
}

/// Field, whether it must be equal, and value.
fn parted(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=')?;
    let (field, value) = (term.get(..at)?, term.get(at + 1..)?);
    // `!=` begins before its equals sign.
    match field.strip_suffix('!') {
        Some(field) => Some((field, false, value)),
        None => Some((field, true, value.strip_prefix('=').unwrap_or(value))),
    }
}

fn literal(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.push(rest.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            ',' | '=' => return None,
            other => text.push(other),
        }
    }
    Some(text)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `in` and `notin` too, where a value is wanted.
    Word(Vec<u8>),
    Open,
    Close,
    Comma,
    Not,
    Equal,
    NotEqual,
    Order,
    End,
}

fn tokens(text: &[u8]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        while let Some((b' ' | b'\t' | b'\r' | b'\n', after)) = rest.split_first() {
            rest = after;
        }
        let Some(first) = rest.first().filter(|byte| **byte != 0) else { break };
        let (token, after) = if SPECIAL.contains(first) { symbol(rest) } else { word(rest) };
        found.push(token);
        rest = after;
    }
    found.push(Token::End);
    found
}

fn word(rest: &[u8]) -> (Token, &[u8]) {
    let ends = |byte: &u8| SPECIAL.contains(byte) || b" \t\r\n\0".contains(byte);
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let (word, after) = rest.split_at(length);
    (Token::Word(word.to_vec()), past_nul(after))
}

fn symbol(rest: &[u8]) -> (Token, &[u8]) {
    let (token, after) = match rest {
        [b'=', b'=', after @ ..] | [b'=', after @ ..] => (Token::Equal, after),
        [b'!', b'=', after @ ..] => (Token::NotEqual, after),
        [b'!', after @ ..] => (Token::Not, after),
        [b'(', after @ ..] => (Token::Open, after),
        [b')', after @ ..] => (Token::Close, after),
        [b',', after @ ..] => (Token::Comma, after),
        [_, after @ ..] => (Token::Order, after),
        [] => (Token::End, rest),
    };
    (token, past_nul(after))
}

/// A NUL behind a token is the end of it and of nothing else.
fn past_nul(after: &[u8]) -> &[u8] {
    after.strip_prefix(b"\0").unwrap_or(after)
}

/// A label selector that is being parsed.
struct Labels {
    tokens: Vec<Token>,
    at: usize,
}

impl Labels {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn all(&mut self) -> Option<()> {
        loop {
            match self.peek() {
                Token::End => return Some(()),
                Token::Word(_) | Token::Not => self.requirement()?,
                _ => return None,
            }
            match self.next() {
                Token::End => return Some(()),
                Token::Comma if matches!(self.peek(), Token::Word(_) | Token::Not) => {}
                _ => return None,
            }
        }
    }

    fn requirement(&mut self) -> Option<()> {
        let negated = *self.peek() == Token::Not;
        if negated {
            self.next();
        }
        let Token::Word(key) = self.next() else { return None };
        is_label_key(&key).then_some(())?;
        if negated || matches!(self.peek(), Token::End | Token::Comma) {
            return Some(());
        }
        match self.next() {
            Token::Word(operator) if operator == b"in" || operator == b"notin" => self.set(),
            Token::Equal | Token::NotEqual => self.exact(is_label_value),
            Token::Order => self.exact(|value| is_label_value(value) && is_integer(value)),
            _ => None,
        }
    }

    fn exact(&mut self, good: impl Fn(&[u8]) -> bool) -> Option<()> {
        if matches!(self.peek(), Token::End | Token::Comma) {
            return good(b"").then_some(());
        }
        let Token::Word(value) = self.next() else { return None };
        good(&value).then_some(())
    }

    fn set(&mut self) -> Option<()> {
        (self.next() == Token::Open).then_some(())?;
        if *self.peek() == Token::Close {
            self.next();
            return Some(());
        }
        loop {
            match self.next() {
                Token::Word(value) => {
                    is_label_value(&value).then_some(())?;
                    match self.peek() {
                        Token::Comma => {}
                        Token::Close => break,
                        _ => return None,
                    }
                }
                Token::Comma if *self.peek() == Token::Close => break,
                Token::Comma => {}
                _ => return None,
            }
        }
        self.next();
        Some(())
    }
}

fn is_label_key(key: &[u8]) -> bool {
    let Ok(key) = std::str::from_utf8(key) else { return false };
    match key.split('/').collect::<Vec<_>>()[..] {
        [name] => is_label_name(name.as_bytes()),
        [prefix, name] => is_subdomain(prefix) && is_label_name(name.as_bytes()),
        _ => false,
    }
}

fn is_label_value(value: &[u8]) -> bool {
    value.is_empty() || is_label_name(value)
}

fn is_label_name(name: &[u8]) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    name.len() <= 63 && ends(name.first()) && ends(name.last()) && name.iter().all(inner)
}

fn is_integer(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| text.parse::<i64>().is_ok())
}

const SPECIAL: &[u8] = b"=!(),><";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_from_an_exact_match_alone() {
        for (selector, name) in [
            ("metadata.name=a", Some(Some("a"))),
            ("metadata.name==a", Some(Some("a"))),
            ("metadata.name!=a", Some(None)),
            ("spec.nodeName=n,metadata.name=a", Some(Some("a"))),
            ("metadata.name=b,metadata.name=a", Some(Some("a"))),
            ("metadata.name=a\\,b", Some(Some("a,b"))),
            ("metadata.name=a/b", Some(None)),
            ("metadata.name=..", Some(None)),
            ("metadata.name=a=b", None),
            ("metadata.name=a\\x", None),
            ("metadata.name", None),
            ("", Some(None)),
            (",,", Some(None)),
        ] {
            let expected = name.map(|name| name.map(str::to_owned));
            assert_eq!(required_name(selector), expected, "{selector}");
        }
    }

    #[test]
    fn label_selectors_are_told_from_other_texts() {
        for good in
            ["", "a", "!a", "a=b,c!=d", "a in (b,,c)", "a notin ()", "in in (in)", "x.y/a>1", "a=", " a = b "]
        {
            assert!(is_label_selector(good), "{good}");
        }
        for bad in ["a=b,", "a==b=c", "a in b", "a>b", "!", "a b", "-a", "a/b/c", "a in (b", "=b", "a=!b"] {
            assert!(!is_label_selector(bad), "{bad}");
        }
    }
}
