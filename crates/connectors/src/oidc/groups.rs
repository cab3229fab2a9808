//! Groups from an upstream's claims: read, filtered, renamed, made (dex.md 3.3).

use config::{Field, Fields, Kind, Read};
use regex::Regex;
use wire::claims::Claims;
use wire::json::Value;

use super::claims::Unfit;

pub(super) struct Groups {
    enabled: bool,
    mapped_key: Option<String>,
    override_standard: bool,
    allowed: Vec<String>,
    filter: Option<Regex>,
    prefix: String,
    suffix: String,
    made: Vec<Made>,
}

/// A group that is put together from other claims.
struct Made {
    claims: Vec<String>,
    delimiter: String,
    clear_delimiter: bool,
    prefix: String,
}

impl Groups {
    pub(super) fn read(
        fields: &mut Fields<'_>,
        mapped_key: Option<String>,
        override_standard: bool,
    ) -> Option<Self> {
        let enabled = fields.or("insecureEnableGroups", false);
        let allowed: Vec<String> = fields.or_default("allowedGroups");
        if !allowed.is_empty() && !enabled {
            let what =
                "has allowedGroups without insecureEnableGroups: they are demanded, though Dex would not";
            fields.warning(what, "write insecureEnableGroups: true, or remove allowedGroups");
        }
        let mut changes = fields.group("claimModifications");
        let mut filter = changes.group("filterGroupClaims");
        let filtered = filter.has("groupsFilter");
        let pattern: Option<Pattern> = filter.optional("groupsFilter");
        filter.finish();
        let mut names = changes.group("modifyGroupNames");
        let (prefix, suffix) = (names.or_default("prefix"), names.or_default("suffix"));
        names.finish();
        let made = changes.or_default("newGroupFromClaims");
        changes.finish();
        // A filter that cannot be read must not become none (Dex only logs it).
        let filter = match pattern {
            None if filtered => return None,
            pattern => pattern.and_then(|pattern| pattern.0),
        };
        Some(Self { enabled, mapped_key, override_standard, allowed, filter, prefix, suffix, made })
    }

    /// The groups; an error if the allowed ones are demanded and none is among them.
    pub(super) fn of(&self, claims: &Claims) -> Result<Vec<String>, Unfit> {
        let mut groups = Vec::new();
        if self.enabled || !self.allowed.is_empty() {
            groups = self.listed(claims)?;
            groups.retain(|group| self.filter.as_ref().is_none_or(|filter| filter.is_match(group)));
            if !self.allowed.is_empty() {
                groups.retain(|group| self.allowed.contains(group));
                if groups.is_empty() {
                    return Err(Unfit::NotAllowed);
                }
            }
            if !self.enabled {
                groups.clear();
            }
        }
        for group in &mut groups {
            *group = format!("{}{group}{}", self.prefix, self.suffix);
        }
        groups.extend(self.made.iter().filter_map(|made| made.of(claims)));
        Ok(groups)
    }

    /// An array of texts or of objects with a name, or one text.
    fn listed(&self, claims: &Claims) -> Result<Vec<String>, Unfit> {
        let standard = claims.get("groups");
        let (key, value) = match &self.mapped_key {
            Some(mapped) if self.override_standard || standard.is_none() => {
                (mapped.as_str(), claims.get(mapped))
            }
            _ => ("groups", standard),
        };
        let malformed = || Unfit::Incomplete(format!("the claim {key:?} is not a list of groups"));
        let name = |value: &Value| match value {
            Value::Str(name) => Some(name.clone()),
            Value::Object(object) => object.str("name").map(str::to_owned),
            _ => None,
        };
        match value {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Str(one)) => Ok(vec![one.clone()]),
            Some(Value::List(many)) => many.iter().map(|one| name(one).ok_or_else(malformed)).collect(),
            Some(_) => Err(malformed()),
        }
    }
}

impl Made {
    fn of(&self, claims: &Claims) -> Option<String> {
        let cleaned = |text: &str| {
            if self.clear_delimiter && !self.delimiter.is_empty() {
                text.replace(&self.delimiter, "")
            } else {
                text.to_owned()
            }
        };
        let parts: Vec<String> =
            self.claims.iter().filter_map(|claim| claims.str(claim)).map(cleaned).collect();
        if parts.is_empty() {
            return None;
        }
        let all: Vec<&str> =
            std::iter::once(self.prefix.as_str()).chain(parts.iter().map(String::as_str)).collect();
        Some(all.join(&self.delimiter))
    }
}

impl Read for Made {
    const KIND: Kind = Kind::Section;

    fn read(field: &Field<'_>) -> Option<Self> {
        let mut fields = field.group();
        let made = Self {
            claims: fields.or_default("claims"),
            delimiter: fields.or_default("delimiter"),
            clear_delimiter: fields.or("clearDelimiter", false),
            prefix: fields.or_default("prefix"),
        };
        fields.finish();
        Some(made)
    }
}

/// A regular expression; empty means none, as in Dex.
struct Pattern(Option<Regex>);

impl Read for Pattern {
    const KIND: Kind = Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let text = field.string()?;
        if text.is_empty() {
            return Some(Self(None));
        }
        match Regex::new(&text) {
            Ok(pattern) => Some(Self(Some(pattern))),
            Err(_) => {
                field.error(
                    format!("is {text:?}, which is no regular expression"),
                    "correct it, or remove it",
                );
                None
            }
        }
    }
}
