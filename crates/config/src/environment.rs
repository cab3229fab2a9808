//! The process environment as a value, read once at the door.

use std::collections::BTreeMap;
use std::fmt;

/// A snapshot of environment variables. Its values may be secrets, so `Debug` shows none.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// What the process was started with. Variables that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        let pairs = std::env::vars_os();
        Self(pairs.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }

    /// The value of `name`; an empty one counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A feature flag as Dex reads it: Go's booleans; anything else, and nothing, is `default`.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            _ => default,
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_gos_booleans() {
        for (value, want) in
            [("1", true), ("True", true), ("F", false), ("yes", true), ("no", true), ("", true)]
        {
            assert_eq!(Environment::from_iter([("X", value)]).flag("X", true), want, "{value:?}");
        }
        assert!(!Environment::default().flag("X", false));
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Environment::from_iter([("A", "hunter2")])), "Environment(1 variables)");
    }
}
