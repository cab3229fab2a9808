//! Groups of an entry, and groups of those groups.

use std::collections::HashSet;

use provider::connector::UpstreamError;
use wire::ldap::{Entry, Filter};

use super::directory::{Directory, Quest};
use super::settings::{Groups, Matcher, is_dn};
use super::text;

/// The names of all groups of `user`, each once.
pub(super) async fn of(
    directory: &Directory,
    groups: &Groups,
    user: &Entry,
) -> Result<Vec<String>, UpstreamError> {
    let mut search = Searching { directory, groups, seen: HashSet::new(), names: Vec::new(), asked: 0 };
    for matcher in &groups.matchers {
        search.seen.clear();
        search.matching(matcher, user).await?;
    }
    Ok(search.names)
}

struct Searching<'a> {
    directory: &'a Directory,
    groups: &'a Groups,
    /// By distinguished name: two groups may have one name, and a group may be in itself.
    seen: HashSet<String>,
    names: Vec<String>,
    asked: usize,
}

impl Searching<'_> {
    async fn matching(&mut self, matcher: &Matcher, user: &Entry) -> Result<(), UpstreamError> {
        let dn = [user.dn.as_bytes().to_vec()];
        let values = user.values(&matcher.user);
        let values = if values.is_empty() && is_dn(&matcher.user) { &dn } else { values };
        let mut level = Vec::new();
        for value in values {
            level.extend(self.having(&matcher.group, value).await?);
        }
        while !level.is_empty() {
            let mut above = Vec::new();
            for group in level {
                if !self.seen.insert(group.dn.clone()) {
                    continue;
                }
                self.name(&group)?;
                if let Some(attribute) = &matcher.recursion {
                    above.extend(self.having(attribute, group.dn.as_bytes()).await?);
                }
            }
            level = above;
        }
        Ok(())
    }

    /// Groups with this value. Too many are no groups at all: some of them would be missing (attack 24).
    async fn having(&mut self, attribute: &str, value: &[u8]) -> Result<Vec<Entry>, UpstreamError> {
        self.asked += 1;
        if self.asked > MOST {
            return Err(UpstreamError::Invalid("somebody is in more groups than can be looked up".into()));
        }
        let own = Filter::equals(attribute, value);
        let quest = Quest {
            base: &self.groups.base,
            scope: self.groups.scope,
            filter: Filter::all(self.groups.filters.iter().cloned().chain([own])),
            attributes: std::slice::from_ref(&self.groups.name),
            at_most: 0,
        };
        self.directory.search(&quest).await
    }

    fn name(&mut self, group: &Entry) -> Result<(), UpstreamError> {
        let name = text(group, &self.groups.name).ok_or_else(|| {
            UpstreamError::Invalid(format!("the group {:?} has no {}", group.dn, self.groups.name))
        })?;
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        Ok(())
    }
}

/// Searches for one person.
const MOST: usize = 1_000;
