//! Regular expressions mean here what RE2 makes of them, or they are refused: a pattern that two engines read
//! differently lets somebody in on one of them.
//!
//! The engine is linear in the text. What it would read otherwise than RE2 is rewritten (`\d \w \s \b` are ASCII) or
//! refused (its set operations, escapes and flags that RE2 lacks).

use regex::{Regex, RegexBuilder};

/// Compiles a pattern that is written out, or says what is wrong with it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    compile_within(pattern, MAX_SIZE)
}

/// Compiles a pattern that was computed, perhaps of a claim, while somebody waits: it must be small.
pub(crate) fn compile_computed(pattern: &str) -> Result<Regex, String> {
    compile_within(pattern, MAX_COMPUTED)
}

fn compile_within(pattern: &str, size: usize) -> Result<Regex, String> {
    let rewritten = rewrite(pattern)?;
    let built =
        RegexBuilder::new(&rewritten).size_limit(size).dfa_size_limit(MAX_SIZE).nest_limit(50).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        // The engine draws a picture of several lines; its last line says what is wrong.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("bad regular expression: {last}")
        }
    })
}

fn rewrite(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut class = Class::Outside;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let mut taken = c.len_utf8();
        match (c, class) {
            ('\\', _) => taken += escape(after, class != Class::Outside, &mut out)?,
            ('[', Class::Outside) => {
                class = Class::First;
                out.push('[');
                if after.starts_with('^') {
                    out.push('^');
                    taken += 1;
                }
                rest = rest.get(taken..).unwrap_or_default();
                continue;
            }
            ('[', _) if after.starts_with(':') => taken = posix(rest, &mut out)?,
            ('[', _) => out.push_str("\\["),
            (']', Class::First) => out.push_str("\\]"),
            (']', Class::Inside) => {
                out.push(']');
                class = Class::Outside;
            }
            // Set operations of the engine; for RE2 these are plain characters.
            ('&' | '~', Class::First | Class::Inside) => out.extend(['\\', c]),
            ('-', Class::First | Class::Inside) if after.starts_with('-') => {
                return Err("`--` in a character class; write `\\-`".into());
            }
            ('(', Class::Outside) if after.starts_with('?') => taken = group(rest, &mut out)?,
            ('{', Class::Outside) => taken = repetition(rest, &mut out)?,
            _ => out.push(c),
        }
        if class == Class::First {
            class = Class::Inside;
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Outside,
    /// Right behind `[` or `[^`, where `]` is a plain character.
    First,
    Inside,
}

/// One escape, without its backslash; gives the bytes it takes.
fn escape(after: &str, in_class: bool, out: &mut String) -> Result<usize, String> {
    let Some(c) = after.chars().next() else { return Err("the pattern ends in a backslash".into()) };
    if in_class && "dwsDWS".contains(c) {
        not_as_range_end(out)?;
    }
    // Always a class of its own, also within one: `[\w-~]` must not become a range from `_` to `~`.
    match c {
        'd' => out.push_str("[0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\x0C\\r ]"),
        'D' => out.push_str("[^0-9]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'S' => out.push_str("[^\\t\\n\\x0C\\r ]"),
        'x' if after.starts_with("x{") => {
            let length = after.find('}').map_or(after.len(), |end| end + 1);
            out.push('\\');
            out.push_str(after.get(..length).unwrap_or_default());
            return Ok(length);
        }
        'b' | 'B' if !in_class && !after.get(1..).is_some_and(|next| next.starts_with('{')) => {
            out.push_str("(?-u:\\");
            out.push(c);
            out.push(')');
        }
        'A' | 'z' if !in_class => out.extend(['\\', c]),
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' => out.extend(['\\', c]),
        '<' | '>' => out.push(c),
        _ if c.is_ascii_punctuation() => out.extend(['\\', c]),
        _ => return Err(format!("`\\{c}` is not supported in regular expressions")),
    }
    Ok(c.len_utf8())
}

/// `[!-\d]` is an error for RE2, and for the engine, rewritten, a wide range.
fn not_as_range_end(out: &str) -> Result<(), String> {
    let dash = out.ends_with('-') && !out.ends_with("\\-");
    let leading = (out.ends_with("[-") && !out.ends_with("\\[-")) || out.ends_with("[^-");
    if dash && !leading {
        Err("a class as the end of a range; write `\\-` for a dash".into())
    } else {
        Ok(())
    }
}

/// `(?…`: groups without capture, named groups and RE2's flags.
fn group(rest: &str, out: &mut String) -> Result<usize, String> {
    let inner = rest.get(2..).unwrap_or_default();
    let flags = inner.len() - inner.trim_start_matches(['i', 'm', 's', 'U', '-']).len();
    let ends = inner.get(flags..).is_some_and(|text| text.starts_with([':', ')']));
    let named = inner.starts_with("P<") || (inner.starts_with('<') && !inner.starts_with(['=', '!']));
    if !ends && !named {
        return Err("unknown `(?` in the regular expression; flags are i, m, s and U".into());
    }
    let taken = 2 + flags;
    out.push_str(rest.get(..taken).unwrap_or_default());
    Ok(taken)
}

/// `{n}`, `{n,}` or `{n,m}`; RE2 takes any other brace as text, the engine does not.
fn repetition(rest: &str, out: &mut String) -> Result<usize, String> {
    let inner = rest.get(1..).and_then(|text| text.split_once('}')).map(|(inner, _)| inner);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let counted = |inner: &&str| match inner.split_once(',') {
        Some((from, to)) => digits(from) && (to.is_empty() || digits(to)),
        None => digits(inner),
    };
    let Some(inner) = inner.filter(counted) else { return Err("`{` without a count; write `\\{`".into()) };
    if inner.split(',').any(|n| n.len() > 4 || n.parse().is_ok_and(|n: u32| n > 1000)) {
        return Err("a repetition of more than 1000".into());
    }
    out.push_str(rest.get(..inner.len() + 2).unwrap_or_default());
    Ok(inner.len() + 2)
}

/// `[:alpha:]` and its like.
fn posix(rest: &str, out: &mut String) -> Result<usize, String> {
    not_as_range_end(out)?;
    let name = rest.get(2..).and_then(|text| text.split_once(":]")).map(|(name, _)| name);
    let name = name.filter(|name| POSIX.contains(&name.trim_start_matches('^')));
    let Some(name) = name else { return Err("unknown class; write `\\[` for a bracket".into()) };
    let taken = name.len() + 4;
    out.push_str(rest.get(..taken).unwrap_or_default());
    Ok(taken)
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];
/// Bytes of a compiled pattern.
const MAX_SIZE: usize = 512 * 1024;
const MAX_COMPUTED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_re2_does() {
        for (pattern, text, want) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "\u{0661}", false),
            (r"^\w$", "ä", false),
            (r"\W", "ä", true),
            (r"^\s$", "\u{a0}", false),
            (r"^[\d\-x]+$", "1-x", true),
            (r"^[^\D]$", "1", true),
            (r"^[[a]$", "[", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]$", "]", false),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[a~~b]+$", "~", true),
            (r"^\<\>$", "<>", true),
            (r"(?i)^ABC$", "abc", true),
            (r"(?P<x>a)(?:b)", "ab", true),
            (r"^a{2,3}$", "aaaa", false),
            (r"\bfoo\b", "a foo b", true),
            (r"^[[:digit:]x]+$", "1x", true),
            (r"^[\w-~]$", "|", false),
            (r"^[\w-~]+$", "-~a", true),
            (r"^[\s-~]$", "a", false),
            (r"^[-\d]+$", "-1", true),
            (r"^[^-\d]$", "-", false),
            (r"^\x{1F600}\x41[\x{e4}]$", "😀Aä", true),
            ("^a.c$", "a\nc", false),
            ("(?s)^a.c$", "a\nc", true),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text), want, "{pattern}");
        }
        for bad in [
            r"(?x)a b",
            r"(?R)^a$",
            r"(?u)a",
            "(?=a)",
            "(?<=a)",
            "(?<!a)",
            r"\1",
            r"\Z",
            r"\p{L}",
            r"\u0041",
            r"\b{start}",
            r"\Qa\E",
            r"\C",
            "a{,2}",
            "{",
            "a{x}",
            "[[:nope:]]",
            "[a--b]",
            "(",
            "[a",
            "*",
            "a\\",
            r"[\b]",
            "a{1001}",
            "(a{1000}){1000}",
            r"[\A]",
            "(?P=x)",
            r"[!-\d]",
            r"[a\[-\d]",
            "[!-[:digit:]]",
            r"\x{110000}",
            r"\x{41",
        ] {
            assert!(compile(bad).is_err(), "{bad}");
        }
        assert!(compile(&"(".repeat(10_000)).is_err());
    }
}
