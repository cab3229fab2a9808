//! `subject.claims` and `subject.patterns`: what claims must look like, in forms that always speak of the whole text
//! (attack list 15). A glob's `*` stops at `/` and `:`; a regular expression is anchored at both ends, whatever is
//! written in it.

use std::collections::BTreeMap;
use std::fmt;

use config::{Fields, Value as Yaml};
use expr::Conjunct;
use regex::{Regex, RegexBuilder};
use wire::claims::Claims;
use wire::json::Value;

use super::names::Glob;
use super::source::{Faulty, Source};

/// All of them must fit.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    wanted: Vec<Wanted>,
    /// Those that are plain texts, for the index.
    conjuncts: Vec<Conjunct>,
}

/// One claim, and what it must look like.
#[derive(Debug)]
struct Wanted {
    /// As it is written.
    name: String,
    path: Vec<String>,
    any_of: Vec<Pattern>,
}

#[derive(Debug)]
enum Pattern {
    Glob(Glob),
    Regex { source: String, whole: Regex },
}

/// Why a claim does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    claim: String,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Absent,
    NoText,
    Differs,
}

impl Patterns {
    pub(super) const fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// What must stand where, of the plain texts.
    pub(super) fn conjuncts(&self) -> &[Conjunct] {
        &self.conjuncts
    }

    /// The claims that are looked at, as paths.
    pub(super) fn reads(&self) -> impl Iterator<Item = &[String]> {
        self.wanted.iter().map(|wanted| wanted.path.as_slice())
    }

    /// Each condition in words, the same for the same condition.
    pub(super) fn conditions(&self) -> impl Iterator<Item = String> {
        self.wanted.iter().map(ToString::to_string)
    }

    /// Whether a claim of this value could never fit.
    pub(super) fn exclude(&self, path: &str, value: &str) -> bool {
        self.wanted.iter().any(|wanted| {
            wanted.path.join("/") == path && !wanted.any_of.iter().any(|pattern| pattern.covers(value))
        })
    }

    /// Whether all fit. Of several that do not, one that differs is told before one that cannot be looked at.
    pub(super) fn fit(&self, claims: &Claims) -> Result<(), Misfit> {
        let mut misfit = None;
        for wanted in &self.wanted {
            let why = match find(claims, &wanted.path) {
                Some(Value::Str(text)) if wanted.any_of.iter().any(|pattern| pattern.covers(text)) => {
                    continue;
                }
                Some(Value::Str(_)) => return Err(Misfit { claim: wanted.name.clone(), why: Why::Differs }),
                Some(_) => Why::NoText,
                None => Why::Absent,
            };
            misfit = misfit.or_else(|| Some(Misfit { claim: wanted.name.clone(), why }));
        }
        misfit.map_or(Ok(()), Err)
    }
}

impl Pattern {
    fn covers(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.covers(text),
            Self::Regex { whole, .. } => whole.is_match(text),
        }
    }
}

impl Misfit {
    /// The claim is there, and is another text. Anything else is an error, which speaks for a deny rule.
    pub(super) fn differs(&self) -> bool {
        self.why == Why::Differs
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = &self.claim;
        match self.why {
            Why::Absent => write!(f, "there is no claim {claim:?}"),
            Why::NoText => write!(f, "the claim {claim:?} is no text"),
            Why::Differs => write!(f, "the claim {claim:?} does not fit"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ", self.name)?;
        for (n, pattern) in self.any_of.iter().enumerate() {
            let or = if n > 0 { " or " } else { "" };
            match pattern {
                Pattern::Glob(glob) => write!(f, "{or}{:?}", glob.text())?,
                Pattern::Regex { source, .. } => write!(f, "{or}^(?:{source})$")?,
            }
        }
        Ok(())
    }
}

/// What stands at a path below the claims.
pub(super) fn find<'c>(claims: &'c Claims, path: &[String]) -> Option<&'c Value> {
    let mut object = Some(claims.object());
    let mut found = None;
    for field in path {
        found = object.and_then(|object| object.get(field));
        object = found.and_then(Value::as_object);
    }
    found
}

/// Reads both keys.
pub(super) fn read(fields: &mut Fields<'_>) -> Result<Patterns, Faulty> {
    let globs = globs(fields);
    let regexes = regexes(fields);
    let mut wanted = globs?;
    wanted.extend(regexes?);
    let literal = |wanted: &Wanted| match wanted.any_of.as_slice() {
        [Pattern::Glob(glob)] => glob.literal().map(|value| Conjunct {
            path: std::iter::once(CLAIMS.to_owned()).chain(wanted.path.iter().cloned()).collect(),
            value: value.to_owned(),
        }),
        _ => None,
    };
    let conjuncts = wanted.iter().filter_map(literal).collect();
    Ok(Patterns { wanted, conjuncts })
}

fn globs(fields: &mut Fields<'_>) -> Result<Vec<Wanted>, Faulty> {
    let Some(field) = fields.take("claims") else { return Ok(Vec::new()) };
    let (mut all, mut sound) = (Vec::new(), true);
    let entries = field.entries().unwrap_or_default();
    if entries.is_empty() {
        field.error("names no claim", "write claims and what they must be, or remove it");
        sound = false;
    }
    for (name, field) in entries {
        let texts: Option<Vec<String>> = match field.node().value {
            Yaml::List(_) => field
                .elements()
                .map(|all| all.iter().map(config::Field::string).collect::<Option<_>>())
                .unwrap_or_default(),
            _ => field.string().map(|text| vec![text]),
        };
        let read: Result<Vec<Pattern>, &str> =
            texts.unwrap_or_default().iter().map(|text| Glob::of_claim(text).map(Pattern::Glob)).collect();
        match (path(&name), read) {
            (Some(path), Ok(any_of)) if !any_of.is_empty() => all.push(Wanted { name, path, any_of }),
            (None, _) => {
                field.error("has no claim's name", POINTER);
                sound = false;
            }
            (_, read) => {
                let instead =
                    read.err().unwrap_or("write a text or a list of texts; * stands for part of a segment");
                field.error("is no pattern", instead);
                sound = false;
            }
        }
    }
    sound.then_some(all).ok_or(Faulty)
}

fn regexes(fields: &mut Fields<'_>) -> Result<Vec<Wanted>, Faulty> {
    let faults = fields.faults();
    let read: BTreeMap<String, Source> = fields.or_default("patterns");
    let one = |(name, source): (String, Source)| {
        let field = source.field(faults);
        let Some(path) = path(&name) else {
            field.error("has no claim's name", POINTER);
            return Err(Faulty);
        };
        match anchored(source.text()) {
            Ok(whole) => {
                let source = source.text().to_owned();
                Ok(Wanted { name, path, any_of: vec![Pattern::Regex { source, whole }] })
            }
            Err(why) => {
                field.error(
                    format!("is no regular expression: {why}"),
                    "write RE2 syntax; it is anchored at both ends",
                );
                Err(Faulty)
            }
        }
    };
    let all: Vec<_> = read.into_iter().map(one).collect();
    all.into_iter().collect()
}

/// The expression alone must be one: `a)|(b` would otherwise break out of the anchors.
fn anchored(source: &str) -> Result<Regex, String> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(COMPILED).build();
    let said = |error: regex::Error| {
        error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    };
    if source.is_empty() {
        return Err("it is empty".to_owned());
    }
    build(source).map_err(said)?;
    build(&format!("\\A(?:{source})\\z")).map_err(said)
}

/// A claim's name, or a JSON Pointer (RFC 6901) to one inside of another.
fn path(name: &str) -> Option<Vec<String>> {
    let Some(pointer) = name.strip_prefix('/') else {
        return (!name.is_empty()).then(|| vec![name.to_owned()]);
    };
    let segment = |raw: &str| {
        let plain = raw.replace("~1", "/").replace("~0", "~");
        let sound = !raw.is_empty() && !raw.replace("~0", "").replace("~1", "").contains('~');
        sound.then_some(plain)
    };
    pointer.split('/').map(segment).collect()
}

const CLAIMS: &str = "claims";
const POINTER: &str = "write a claim's name, or /outer/inner for one inside of another";
/// Bytes that one compiled expression may take.
const COMPILED: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_15_an_expression_speaks_of_the_whole_text() {
        let fits = |pattern: &str, text: &str| anchored(pattern).unwrap().is_match(text);
        assert!(fits("a|b", "a") && fits("a|b", "b") && fits("^a$", "a") && fits("(?i)a", "A"));
        for text in ["a\n", "\na", "ab", "xa", "a\nb", "b.evil", ""] {
            for pattern in ["a|b", "^a|b$", "(?m)a|b", "(?m:^a$)|(?m:^b$)", "a?b??c??"] {
                assert!(text.is_empty() || !fits(pattern, text) || text == "ab", "{pattern} {text:?}");
            }
        }
        for escape in ["a)|(?:b", "a)|(b", "(?x)a#", "", "(", "a{1000}{1000}{1000}"] {
            let compiled = anchored(escape);
            assert!(compiled.is_err() || !compiled.unwrap().is_match("a.evil"), "{escape}");
        }
    }

    #[test]
    fn names_and_pointers() {
        assert_eq!(path("sub").unwrap(), ["sub"]);
        assert_eq!(path("kubernetes.io").unwrap(), ["kubernetes.io"]);
        assert_eq!(path("/kubernetes.io/serviceaccount/name").unwrap().len(), 3);
        assert_eq!(path("/https:~1~1x~1y").unwrap(), ["https://x/y"]);
        for bad in ["", "/", "//a", "/a~", "/a~2"] {
            assert!(path(bad).is_none(), "{bad}");
        }
    }
}
