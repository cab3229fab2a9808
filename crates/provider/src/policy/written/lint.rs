//! What is allowed to be written and seldom meant: policies that let everybody of a connector in, and texts that are
//! searched for without saying where they begin or end.

use config::{Faults, Field};
use expr::{Program, Search};

use super::rule::{Policy, Rule};
use super::source::Source;
use crate::own;

/// Warns about one policy.
pub(super) fn policy(policy: &Policy, field: &Field<'_>, source: Option<&Source>, faults: &Faults) {
    let allows = matches!(policy.rule, Rule::Allow(_));
    let matching = policy.matching.as_ref();
    if allows
        && policy.connector != own::ID
        && policy.patterns.is_empty()
        && matching.is_none_or(Program::is_constant)
    {
        field.warning(
            format!("lets in every token that the connector {:?} vouches for", policy.connector),
            "write subject.claims or subject.match",
        );
    }
    let (Some(program), Some(source)) = (matching, source) else { return };
    for search in program.searches() {
        if let Some((what, instead)) = half_anchored(search) {
            source.field(faults).warning(what, instead);
        }
    }
}

/// A search that fits more than its author may have had in mind.
fn half_anchored(search: &Search) -> Option<(String, &'static str)> {
    let Search { function, literal } = search;
    let shown: String = literal.chars().filter(|c| !c.is_control()).take(60).collect();
    let (what, instead) = match function.as_str() {
        "matches" if !is_anchored(literal) => (
            "fits anywhere in the text, or at one end only",
            "write ^(?:…)$ around the whole pattern, or use ==",
        ),
        "startsWith" if !literal.ends_with(SEPARATORS) => (
            "also fits what merely goes on in the same word",
            "end it with a separator such as / or :, or use ==",
        ),
        "endsWith" if !literal.starts_with(SEPARATORS) => {
            ("also fits what merely begins otherwise", "begin it with a separator such as / or @, or use ==")
        }
        "contains" => ("fits anywhere in the text", "use ==, startsWith or in"),
        _ => return None,
    };
    Some((format!("{function}({shown:?}) {what}"), instead))
}

/// Whether a pattern can only fit a whole text: `^`, `$`, and no `|` beside them (`^a|b$` is two half-open patterns).
fn is_anchored(pattern: &str) -> bool {
    let Some(inner) = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')) else { return false };
    let (mut depth, mut class, mut escaped) = (0_usize, false, false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                escaped = false;
                continue;
            }
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '(' if !class => depth += 1,
            ')' if !class => depth = depth.saturating_sub(1),
            '|' if !class && depth == 0 => return false,
            _ => {}
        }
    }
    // `\$` at the end is a dollar sign; `(?m)` makes `^` and `$` fit at every line.
    let lines = |group: &str| group.split([':', ')', '<']).next().is_some_and(|flags| flags.contains('m'));
    !escaped && !inner.split("(?").skip(1).any(lines)
}

const SEPARATORS: [char; 5] = ['/', ':', '@', '.', '#'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_15_half_anchored_patterns_are_noticed() {
        for pattern in ["^a$", "^(?:a|b)$", "^(a|b)$", r"^a\|b$", "^[|]$", r"^a\\$", "^(?P<m>a)$", "^(?i)a$"]
        {
            assert!(is_anchored(pattern), "{pattern}");
        }
        for pattern in
            ["a", "^a", "a$", "^a|b$", r"^a\$", "(?m)^a$", "^(?m)a$", "^(?m:a)$", "^(a)|(b)$", "", "$^"]
        {
            assert!(!is_anchored(pattern), "{pattern}");
        }
    }

    #[test]
    fn searches_that_go_on_are_noticed() {
        let open = |function: &str, literal: &str| {
            half_anchored(&Search { function: function.into(), literal: literal.into() }).is_some()
        };
        assert!(open("startsWith", "repo:org") && !open("startsWith", "repo:org/"));
        assert!(open("endsWith", "example.com") && !open("endsWith", "@example.com"));
        assert!(open("contains", "x") && open("matches", "x") && !open("matches", "^x$"));
    }
}
