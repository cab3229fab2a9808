//! What is odd about policies together: one that can never decide because another always does before it, two that may
//! match the same token, and one that trusts an issuer which serves everybody without saying whose tokens it means.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use config::{Faults, KeyStyle};

use super::patterns::Patterns;
use super::rule::{Policy, Rule};

/// A policy with what must hold for it, as texts that are the same for the same condition.
struct Sketch<'p> {
    policy: &'p Policy,
    conditions: BTreeSet<String>,
    /// What must stand where.
    literals: BTreeMap<String, &'p str>,
}

/// Warns of policies that cannot be reached and of those that overlap. For `obol check`: it compares each with each.
pub(super) fn compare(policies: &[Policy], faults: &Faults) {
    let mut by_connector: HashMap<&str, Vec<Sketch<'_>>> = HashMap::new();
    for policy in policies.iter().filter(|policy| !policy.shadow) {
        by_connector.entry(&policy.connector).or_default().push(Sketch::of(policy));
    }
    let mut pairs = PAIRS;
    for group in by_connector.values() {
        for (at, later) in group.iter().enumerate() {
            if matches!(later.policy.rule, Rule::Deny) {
                continue;
            }
            if let Some(what) = hidden(group, at, later, &mut pairs) {
                later.warn(faults, what, "remove it, move it up, or narrow the other");
            }
            if pairs == 0 {
                later.warn(faults, "and those after it are not compared: there are too many".into(), "");
                return;
            }
        }
    }
}

/// Why a policy never decides, or what it shares with an earlier one.
fn hidden(group: &[Sketch<'_>], at: usize, later: &Sketch<'_>, pairs: &mut usize) -> Option<String> {
    let mut overlapping = None;
    for (position, other) in group.iter().enumerate() {
        *pairs = pairs.checked_sub(1)?;
        match other.policy.rule {
            Rule::Deny if other.bars(later) => {
                return Some(format!(
                    "never grants: the deny rule {} stops all that it matches",
                    other.policy.name
                ));
            }
            Rule::Allow(_) if position < at && other.covers(later) => {
                return Some(format!(
                    "never decides: {} matches all that it matches, and stands before",
                    other.policy.name
                ));
            }
            Rule::Allow(_) if position < at && overlapping.is_none() && other.meets(later) => {
                overlapping = Some(&other.policy.name);
            }
            _ => {}
        }
    }
    overlapping.map(|name| format!("may match what {name} matches, which stands before and then decides"))
}

impl<'p> Sketch<'p> {
    fn of(policy: &'p Policy) -> Self {
        let matching = policy.matching.as_ref().filter(|program| program.source().trim() != "true");
        let mut literals = BTreeMap::new();
        let conjuncts = matching.map(expr::Program::literal_conjuncts).unwrap_or_default();
        for conjunct in policy.patterns.conjuncts().iter().chain(conjuncts) {
            literals.insert(conjunct.path.join("/"), conjunct.value.as_str());
        }
        let mut conditions: BTreeSet<String> = policy.patterns.conditions().collect();
        conditions.extend(literals.iter().map(|(path, value)| format!("{path} == {value:?}")));
        conditions.extend(matching.map(|program| program.source().trim().to_owned()));
        Self { policy, conditions, literals }
    }

    /// Whether everything that `later` matches is matched here.
    fn covers(&self, later: &Self) -> bool {
        let within = |all: &[String], some: &[String]| some.iter().all(|name| all.contains(name));
        self.own_conditions().all(|condition| later.conditions.contains(condition))
            && within(&self.policy.clients, &later.policy.clients)
            && within(&self.policy.audiences, &later.policy.audiences)
            && match (&self.policy.accepted, &later.policy.accepted) {
                (Some(all), Some(some)) => within(all, some),
                (mine, theirs) => mine == theirs,
            }
    }

    /// Whether this deny rule stops everything that `later` matches.
    fn bars(&self, later: &Self) -> bool {
        let within = |all: &[String], some: &[String]| {
            all.is_empty() || !some.is_empty() && some.iter().all(|name| all.contains(name))
        };
        self.own_conditions().all(|condition| later.conditions.contains(condition))
            && within(&self.policy.clients, &later.policy.clients)
            && within(&self.policy.audiences, &later.policy.audiences)
            && match (&self.policy.accepted, &later.policy.accepted) {
                (None, _) => true,
                (Some(all), Some(some)) => within(all, some),
                (Some(_), None) => false,
            }
    }

    /// What is written, without what follows from it.
    fn own_conditions(&self) -> impl Iterator<Item = &String> {
        let source = self.policy.matching.as_ref().map(|program| program.source().trim().to_owned());
        let patterns: BTreeSet<String> = self.policy.patterns.conditions().collect();
        self.conditions
            .iter()
            .filter(move |condition| patterns.contains(*condition) || source.as_ref() == Some(*condition))
    }

    /// Whether some request may match both.
    fn meets(&self, later: &Self) -> bool {
        let shares = |one: &[String], other: &[String]| one.iter().any(|name| other.contains(name));
        let accepts = match (&self.policy.accepted, &later.policy.accepted) {
            (Some(one), Some(other)) => shares(one, other),
            (None, None) => true,
            _ => false,
        };
        let apart = |(path, value): (&String, &&str)| {
            later.literals.get(path).is_some_and(|other| other != value) || later.excludes(path, value)
        };
        let excluded = later.literals.iter().any(|(path, value)| self.excludes(path, value));
        accepts
            && shares(&self.policy.clients, &later.policy.clients)
            && shares(&self.policy.audiences, &later.policy.audiences)
            && !excluded
            && !self.literals.iter().any(apart)
    }

    fn excludes(&self, path: &str, value: &str) -> bool {
        path.strip_prefix("claims/").is_some_and(|path| self.policy.patterns.exclude(path, value))
    }

    fn warn(&self, faults: &Faults, what: String, instead: &str) {
        self.policy.at.field(KeyStyle::Ours, faults).warning(what, instead);
    }
}

/// Warns if a policy lets in tokens of an issuer that serves everybody, and looks at nothing that says whose they are.
pub(super) fn check_tenant(policy: &Policy, issuer: &str, faults: &Faults) {
    let Some(shared) = SHARED.iter().find(|shared| issuer.trim_end_matches('/') == shared.issuer) else {
        return;
    };
    if matches!(policy.rule, Rule::Deny)
        || looks_at(&policy.patterns, policy.matching.as_ref(), shared.tenant)
    {
        return;
    }
    policy.at.field(KeyStyle::Ours, faults).warning(
        format!("trusts {issuer}, which signs tokens for everybody, and does not say whose it means"),
        format!("look at one of {}", shared.tenant.join(", ")),
    );
}

fn looks_at(patterns: &Patterns, matching: Option<&expr::Program>, tenant: &[&str]) -> bool {
    let names = |claim: Option<&String>| claim.is_some_and(|claim| tenant.contains(&claim.as_str()));
    let reads = matching.map(expr::Program::reads).unwrap_or_default();
    patterns.reads().any(|path| names(path.first()))
        || reads.iter().any(|path| match path.as_slice() {
            [variable, claim, ..] if variable == "claims" => names(Some(claim)),
            [variable, field] => variable == "identity" && field == "user_id",
            _ => false,
        })
}

/// An issuer that many who know nothing of each other get tokens from.
struct Shared {
    issuer: &'static str,
    /// Claims that say whose a token is.
    tenant: &'static [&'static str],
}

const SHARED: [Shared; 5] = [
    Shared {
        issuer: "https://token.actions.githubusercontent.com",
        tenant: &[
            "repository_owner_id",
            "repository_id",
            "repository",
            "repository_owner",
            "job_workflow_ref",
            "workflow_ref",
            "enterprise_id",
            "sub",
        ],
    },
    Shared {
        issuer: "https://gitlab.com",
        tenant: &["project_id", "namespace_id", "project_path", "namespace_path", "ci_config_ref_uri", "sub"],
    },
    Shared {
        issuer: "https://app.terraform.io",
        tenant: &[
            "terraform_organization_id",
            "terraform_project_id",
            "terraform_workspace_id",
            "terraform_organization_name",
            "sub",
        ],
    },
    Shared {
        issuer: "https://agent.buildkite.com",
        tenant: &["organization_id", "pipeline_id", "organization_slug", "sub"],
    },
    Shared { issuer: "https://accounts.google.com", tenant: &["sub", "email", "hd"] },
];

/// Comparisons that are made at most: 2,000 policies of one connector, each with each.
const PAIRS: usize = 4_000_000;
