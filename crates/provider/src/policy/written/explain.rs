//! Why policies decide as they do: rule by rule, with the values that were looked at. For administrators alone, since it
//! shows the rules.

use expr::Program;
use serde::Serialize;

use super::case::Case;
use super::patterns::find;
use super::rule::{Policy, Rule};
use super::{Policies, asked};
use crate::policy::Question;

/// One policy of the connector in question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its name.
    pub policy: String,
    /// `deny`, `allow`, with `shadow` before it where it is one.
    pub kind: &'static str,
    /// Whether it applies: denies, or matches.
    pub applies: bool,
    /// Whether it is about this client and these audiences at all.
    pub concerned: bool,
    /// Why.
    pub why: String,
    /// What it looks at, and what stood there.
    pub values: Vec<Seen>,
}

/// A value that a rule looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Its path: `claims.project_path`.
    pub path: String,
    /// What stood there; `None`: nothing.
    pub value: Option<serde_json::Value>,
}

impl Policies {
    /// Every policy of the question's connector, in the order in which they are asked: deny rules, policies, shadows.
    pub fn explain(&self, question: &Question<'_>) -> Vec<Step> {
        let asked = asked(question);
        let case = Case::of(question, &asked);
        let chosen = self.first_allowing(&self.live, &case).ok();
        let audience = chosen.and_then(|(_, audience)| audience).unwrap_or(case.asked);
        let of = |deny: bool, shadow: bool| {
            self.policies
                .iter()
                .filter(move |policy| matches!(policy.rule, Rule::Deny) == deny && policy.shadow == shadow)
        };
        let all = of(true, false).chain(of(false, false)).chain(of(true, true)).chain(of(false, true));
        all.filter(|policy| policy.connector == case.connector)
            .map(|policy| policy.explain(&case, audience))
            .collect()
    }

    /// How many policies are about other connectors.
    pub fn elsewhere(&self, connector: &str) -> usize {
        self.policies.iter().filter(|policy| policy.connector != connector).count()
    }
}

impl Policy {
    fn explain(&self, case: &Case<'_>, audience: &[String]) -> Step {
        let (kind, applies, why) = match &self.rule {
            Rule::Deny => {
                let objection = self.objects(case, audience);
                let why = objection.clone().unwrap_or_else(|| "lets it pass".to_owned());
                (if self.shadow { "shadow deny" } else { "deny" }, objection.is_some(), why)
            }
            Rule::Allow(_) => {
                let audience = self.audience(case);
                let admitted = self.admits(case, audience).map_err(|miss| miss.to_string());
                let why = match &admitted {
                    Err(miss) => miss.clone(),
                    Ok(()) => match audience.map(|audience| self.grant(case, audience)) {
                        Some(Ok(_)) => "matches".to_owned(),
                        Some(Err(denied)) => format!("matches and cannot issue: {}", denied.refusal.reason),
                        None => "matches, and an audience must be asked for".to_owned(),
                    },
                };
                (if self.shadow { "shadow allow" } else { "allow" }, admitted.is_ok(), why)
            }
        };
        Step {
            policy: self.name.as_ref().to_owned(),
            kind,
            applies,
            concerned: self.concerns(case, audience),
            why,
            values: self.seen(case),
        }
    }

    fn concerns(&self, case: &Case<'_>, audience: &[String]) -> bool {
        match self.rule {
            Rule::Deny => {
                (self.clients.is_empty() || self.clients.iter().any(|client| client == case.client))
                    && (self.audiences.is_empty()
                        || audience.is_empty()
                        || audience.iter().any(|name| self.audiences.contains(name)))
            }
            Rule::Allow(_) => {
                self.clients.iter().any(|client| client == case.client)
                    && case.asked.iter().all(|name| self.audiences.contains(name))
            }
        }
    }

    /// The values that its conditions read.
    fn seen(&self, case: &Case<'_>) -> Vec<Seen> {
        let claims = |path: &[String]| Seen {
            path: shown("claims", path),
            value: find(case.claims, path).and_then(|value| serde_json::to_value(value).ok()),
        };
        let mut seen: Vec<Seen> = self.patterns.reads().map(claims).collect();
        let reads = self.matching.as_ref().map(Program::reads).unwrap_or_default();
        seen.extend(reads.iter().filter_map(|path| match path.split_first()? {
            (variable, rest) if variable == "claims" && !rest.is_empty() => Some(claims(rest)),
            (variable, [field]) if variable == "identity" => Some(Seen {
                path: format!("identity.{field}"),
                value: serde_json::to_value(case.identity).ok().and_then(|all| all.get(field).cloned()),
            }),
            _ => None,
        }));
        seen.dedup();
        seen
    }
}

fn shown(variable: &str, path: &[String]) -> String {
    path.iter().fold(variable.to_owned(), |shown, field| {
        let plain = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain { format!("{shown}.{field}") } else { format!("{shown}[{field:?}]") }
    })
}
