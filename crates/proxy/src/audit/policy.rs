//! An audit policy (`audit.k8s.io/v1`): how much is recorded of which requests. The first rule that matches decides; where
//! none does, nothing is recorded. Matching is the API server's, to the letter.

use super::request_info::RequestInfo;

/// How much is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    None,
    /// Who asked for what, and what became of it.
    Metadata,
    /// The object in the request too.
    Request,
    /// The object in the answer too.
    RequestResponse,
}

/// When something is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before the request goes any further.
    RequestReceived,
    /// When the head of a long-running request's answer is there.
    ResponseStarted,
    /// When the answer has ended.
    ResponseComplete,
    /// When the handling of the request broke.
    Panic,
}

/// Some stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages(u8);

/// A policy.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub(super) rules: Vec<Rule>,
    pub(super) omit_stages: Stages,
    pub(super) omit_managed_fields: bool,
}

/// One rule. An empty list matches everything.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) level: Level,
    pub(super) users: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) verbs: Vec<String>,
    pub(super) resources: Vec<Resources>,
    pub(super) namespaces: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) omit_stages: Stages,
    pub(super) omit_managed_fields: Option<bool>,
}

/// Resources of one API group.
#[derive(Debug, Clone)]
pub(super) struct Resources {
    pub(super) group: String,
    pub(super) kinds: Vec<String>,
    pub(super) names: Vec<String>,
}

/// What a policy says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// How much is recorded.
    pub level: Level,
    /// When nothing is.
    pub omit_stages: Stages,
    /// Whether `managedFields` are taken out of recorded objects.
    pub omit_managed_fields: bool,
}

impl Level {
    /// All, as a policy spells them.
    pub(super) const ALL: [Self; 4] = [Self::None, Self::Metadata, Self::Request, Self::RequestResponse];

    /// As a policy and an event spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Self; 4] =
        [Self::RequestReceived, Self::ResponseStarted, Self::ResponseComplete, Self::Panic];

    /// As a policy and an event spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Stages {
    /// Whether `stage` is among them.
    pub const fn has(self, stage: Stage) -> bool {
        self.0 & stage.bit() != 0
    }

    pub(super) const fn with(self, stage: Stage) -> Self {
        Self(self.0 | stage.bit())
    }

    const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl Policy {
    /// What it says of a request of this user, by name and groups; `None` where nobody knows who asks.
    pub fn judge(&self, user: Option<(&str, &[String])>, info: &RequestInfo) -> Says {
        match self.rules.iter().find(|rule| rule.matches(user, info)) {
            Some(rule) => Says {
                level: rule.level,
                omit_stages: self.omit_stages.and(rule.omit_stages),
                omit_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
            },
            None => Says {
                level: Level::None,
                omit_stages: self.omit_stages,
                omit_managed_fields: self.omit_managed_fields,
            },
        }
    }
}

impl Rule {
    fn matches(&self, user: Option<(&str, &[String])>, info: &RequestInfo) -> bool {
        let named = self.users.is_empty() || user.is_some_and(|(name, _)| has(&self.users, name));
        let grouped = self.groups.is_empty()
            || user.is_some_and(|(_, groups)| groups.iter().any(|group| self.groups.contains(group)));
        named && grouped && (self.verbs.is_empty() || has(&self.verbs, &info.verb)) && self.concerns(info)
    }

    fn concerns(&self, info: &RequestInfo) -> bool {
        if !(self.namespaces.is_empty() && self.resources.is_empty()) {
            return info.is_resource
                && (self.namespaces.is_empty() || has(&self.namespaces, &info.namespace))
                && (self.resources.is_empty() || self.resources.iter().any(|some| some.have(info)));
        }
        self.paths.is_empty() || !info.is_resource && self.paths.iter().any(|path| covers(path, &info.path))
    }
}

impl Resources {
    fn have(&self, info: &RequestInfo) -> bool {
        if self.group != "*" && self.group != info.api_group {
            return false;
        }
        // The names count only where kinds are listed; without kinds the file is refused.
        self.kinds.is_empty()
            || (self.names.is_empty() || has(&self.names, &info.name))
                && self.kinds.iter().any(|kind| is_kind(kind, &info.resource, &info.subresource))
    }
}

/// `pods`, `pods/log`, `pods/*`, `*/scale` or `*`. A resource alone is not its subresources.
fn is_kind(kind: &str, resource: &str, subresource: &str) -> bool {
    let exact = match subresource {
        "" => kind == resource,
        _ => kind.strip_prefix(resource).and_then(|rest| rest.strip_prefix('/')) == Some(subresource),
    };
    exact
        || kind == "*"
        || !subresource.is_empty() && kind.strip_prefix("*/") == Some(subresource)
        || kind.strip_suffix("/*") == Some(resource)
}

fn covers(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|start| path.starts_with(start))
}

fn has(list: &[String], text: &str) -> bool {
    list.iter().any(|entry| entry == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_match_with_their_subresources_only_where_that_is_said() {
        for (kind, resource, subresource, expected) in [
            ("pods", "pods", "", true),
            ("pods", "pods", "log", false),
            ("pods/log", "pods", "log", true),
            ("pods/log", "pods", "", false),
            ("pods/*", "pods", "log", true),
            ("pods/*", "pods", "", true),
            ("*/log", "pods", "log", true),
            ("*/log", "pods", "", false),
            ("*", "pods", "log", true),
            ("*/*", "pods", "log", false),
        ] {
            assert_eq!(is_kind(kind, resource, subresource), expected, "{kind} {resource} {subresource}");
        }
    }

    #[test]
    fn paths_end_in_a_star_or_are_exact() {
        for (pattern, path, expected) in [
            ("*", "/anything", true),
            ("/metrics", "/metrics", true),
            ("/metrics", "/metrics/a", false),
            ("/healthz*", "/healthz/ping", true),
            ("/healthz*", "/health", false),
        ] {
            assert_eq!(covers(pattern, path), expected, "{pattern} {path}");
        }
    }
}
