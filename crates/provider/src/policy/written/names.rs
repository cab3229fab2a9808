//! What an issued name may look like. Claims are written by strangers: whatever a policy makes of them must not look
//! like somebody else where the token is read (attack list 16).

use wire::json::Value;

use crate::issue::OWN_CLAIMS;

/// A pattern for a whole text, in which `*` stands for at least one character and never for `:` or `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(String);

impl Glob {
    /// Reads one for a claim. The error says what to write instead.
    pub(crate) fn of_claim(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() || pattern.chars().any(char::is_control) {
            return Err("write some text");
        }
        if pattern.contains("**") {
            return Err("write single stars; none of them stands for / or :");
        }
        Ok(Self(pattern.to_owned()))
    }

    /// The text, if no star is in it.
    pub(super) fn literal(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&*self.0)
    }

    /// As it is written.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Reads one of a `system:` name that a policy allows. The error says what to write instead.
    pub(super) fn new(pattern: &str) -> Result<Self, &'static str> {
        let Some(rest) = pattern.strip_prefix(SYSTEM) else {
            return Err("write a name that begins with system:");
        };
        let first = rest.split([':', '/']).next().unwrap_or_default();
        if first.is_empty() || first.contains('*') {
            // `system:*` would hold `system:masters`, which no authorizer stops.
            return Err("write what follows system: in full, such as system:serviceaccount:argocd:*");
        }
        if !rest.chars().all(|c| c.is_ascii_graphic()) || pattern.contains("**") {
            return Err("write plain ASCII without spaces and single stars");
        }
        Ok(Self(pattern.to_owned()))
    }

    /// Whether the whole of a name fits.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let found = if parts.peek().is_none() {
                rest.strip_suffix(part).map(|star| (star, ""))
            } else {
                // The earliest place is the right one: what a later one would add to this star, the next can take.
                rest.char_indices().skip(1).find_map(|(at, _)| {
                    let (star, after) = rest.split_at_checked(at)?;
                    Some((star, after.strip_prefix(part)?))
                })
            };
            match found {
                Some((star, after)) if !star.is_empty() && !star.contains([':', '/']) => rest = after,
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

/// `sub`: ASCII of at most 255 characters (OpenID Connect Core section 2), and none that cannot be seen.
pub(super) fn check_subject(text: &str) -> Result<(), &'static str> {
    if !text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err("holds something that is no visible ASCII character");
    }
    check_name(text)
}

/// A name or a group.
pub(super) fn check_name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("is empty")
    } else if text.len() > LONGEST {
        Err("is longer than 255 bytes")
    } else if text.trim() != text {
        Err("begins or ends with a space")
    } else if text.chars().any(is_unseen) {
        Err("holds an invisible character")
    } else {
        Ok(())
    }
}

/// One address: something, one `@`, something.
pub(super) fn check_email(text: &str) -> Result<(), &'static str> {
    let plain = text.split('@').filter(|part| !part.is_empty()).count() == 2
        && text.matches('@').count() == 1
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"'));
    if plain { Ok(()) } else { Err("is no plain e-mail address") }
}

/// Kubernetes gives meaning to names that begin with `system:`; anything a reader could take for it counts.
pub(super) fn check_system(text: &str, allowed: &[Glob]) -> Result<(), &'static str> {
    if !looks_like_system(text) || allowed.iter().any(|glob| glob.covers(text)) {
        Ok(())
    } else {
        Err("is a system: name that allowSystem does not list")
    }
}

/// A free claim's value. API servers can be told to take any claim for the user's name or groups, so what a text may hold
/// is the same.
pub(super) fn check_free(value: &Value, room: &mut usize, allowed: &[Glob]) -> Result<(), &'static str> {
    let size = value.as_str().map_or(0, str::len) + OVERHEAD;
    *room = room.checked_sub(size).ok_or("are too large together")?;
    match value {
        Value::Str(text) if text.chars().any(is_unseen) => Err("hold an invisible character"),
        Value::Str(text) => check_system(text, allowed),
        Value::List(items) => items.iter().try_for_each(|item| check_free(item, room, allowed)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            *room = room.checked_sub(name.len()).ok_or("are too large together")?;
            if name.chars().any(is_unseen) {
                return Err("hold a name with an invisible character");
            }
            // Structured authentication may read names of members too.
            check_system(name, allowed)?;
            check_free(value, room, allowed)
        }),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(()),
    }
}

/// A free claim's name. The error says what it would be taken for.
pub(super) fn check_claim_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST || name.chars().any(is_unseen) || name.trim() != name {
        return Err("is no name for a claim".to_owned());
    }
    // Upper case first: it folds what only lower case does not, such as the long s.
    let folded = name.to_uppercase().to_lowercase();
    match OWN_CLAIMS.iter().chain(&DISTRIBUTED).find(|known| **known == folded) {
        Some(known) => Err(format!("is, or could be taken for, {known}")),
        None => Ok(()),
    }
}

fn looks_like_system(text: &str) -> bool {
    let text = text.trim_start();
    let mut chars = text.chars();
    let letters = "system"
        .chars()
        .all(|wanted| chars.next().is_some_and(|c| c.eq_ignore_ascii_case(&wanted) || !c.is_ascii()));
    letters
        && chars
            .next()
            .is_some_and(|c| c == ':' || matches!(c, '\u{ff1a}' | '\u{a789}' | '\u{2236}' | '\u{fe55}'))
}

/// Control characters, and those that are not shown or only change how others are (Unicode's `Cc` and
/// `Default_Ignorable_Code_Point`, but for the selectors that emoji need).
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// More groups than this are an error of a policy, not a membership.
pub(super) const MOST_GROUPS: usize = 256;
/// All free claims together, about as many bytes: tokens travel in headers.
pub(super) const MOST_FREE: usize = 4096;
const OVERHEAD: usize = 4;
const LONGEST: usize = 255;
const SYSTEM: &str = "system:";
/// API servers fetch claims, groups too, from where these point (OpenID Connect Core section 5.6.2).
const DISTRIBUTED: [&str; 2] = ["_claim_names", "_claim_sources"];
