//! Which of a person's groups a client is told, and under which names (Dex weakness P14): large directories make large
//! tokens, and a name that means something at one client should not at another.

use config::Fields;

use crate::policy::written::Glob;

/// `staticClients[].groups`. By default every group is told as it is.
#[derive(Debug, Clone, Default)]
pub struct GroupRules {
    only: Option<Vec<Glob>>,
    prefix: String,
}

impl GroupRules {
    /// Reads the section.
    pub(crate) fn read(mut fields: Fields<'_>) -> Self {
        let written: Option<Vec<String>> = fields.optional("only");
        let mut read = |pattern: &String| {
            Glob::of_claim(pattern)
                .map_err(|instead| fields.unfit("only", format!("{instead}, not {pattern:?}")))
                .ok()
        };
        let only = written.map(|written| written.iter().filter_map(&mut read).collect());
        let rules = Self { only, prefix: fields.or_default("prefix") };
        fields.finish();
        rules
    }

    /// What is left of groups, as the client is told them.
    pub(crate) fn apply(&self, groups: &mut Vec<String>) {
        if let Some(only) = &self.only {
            groups.retain(|group| only.iter().any(|glob| glob.covers(group)));
        }
        if !self.prefix.is_empty() {
            groups.iter_mut().for_each(|group| group.insert_str(0, &self.prefix));
        }
    }
}
