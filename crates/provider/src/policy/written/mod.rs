//! The policies of `tokenExchange` in the configuration (DESIGN sections 4 and 5; docs/policy.md).
//!
//! Deny rules win wherever they stand; otherwise the first policy in listed order that matches decides, and if what it
//! would issue is not acceptable the exchange is refused: there is no falling through to a wider policy. An error in the
//! `match` of an allow policy is no match, in that of a deny rule a deny.

mod case;
pub mod explain;
pub mod files;
mod index;
mod issue;
mod lint;
mod names;
mod patterns;
mod read;
mod rule;
mod source;
mod survey;
#[cfg(test)]
mod tests;
mod trial;

pub(crate) use names::Glob;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use config::{Faults, KeyStyle, Section};

use super::{Decided, Denied, Granted, Question};
use crate::error::Refusal;
use crate::event::Shadow;
use crate::own;
use case::Case;
use index::Index;
use rule::{Miss, Policy};

pub use trial::Tested;

/// All written policies, compiled and indexed.
#[derive(Debug, Default)]
pub struct Policies {
    policies: Vec<Policy>,
    live: Index,
    shadows: Index,
    /// The names of the allow policies in force.
    allowed: HashSet<Arc<str>>,
}

impl Policies {
    /// Reads `tokenExchange`, compiles its policies and runs their own tests. What is wrong is written down with its
    /// path; policies with a fault are not in force, and without them nothing is exchanged.
    pub fn read(section: &Section, faults: &Faults) -> Self {
        Self::read_tested(section, faults).0
    }

    /// The same, with what each test came to. Without policies that can be compiled no test is run.
    pub fn read_tested(section: &Section, faults: &Faults) -> (Self, Vec<Tested>) {
        let mut fields = section.fields(KeyStyle::Ours, faults);
        let read = read::policies(&mut fields);
        if read.as_ref().is_some_and(|(all, _)| all.is_empty()) {
            fields.warning("holds no policy: every exchange is refused", "");
        }
        fields.finish();
        let Some((policies, trials)) = read else { return (Self::default(), Vec::new()) };
        let all = Self::new(policies);
        let tested = trial::run(&all, &trials, faults);
        if tested.iter().all(|tested| tested.failure.is_none()) {
            (all, tested)
        } else {
            (Self::default(), tested)
        }
    }

    fn new(policies: Vec<Policy>) -> Self {
        let live = Index::new(&policies, false);
        let shadows = Index::new(&policies, true);
        let allowed = policies.iter().filter(|policy| !policy.shadow && policy.issue().is_some());
        let allowed = allowed.map(|policy| Arc::clone(&policy.name)).collect();
        Self { policies, live, shadows, allowed }
    }

    /// The connectors that policies name, each with the place where it does: one that is not configured is a fault.
    pub fn connectors(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.policies.iter().map(|policy| (policy.connector.as_str(), &policy.connector_at))
    }

    /// Writes down every policy whose connector is not among the configured ones.
    pub fn check_connectors(&self, configured: &[&str], faults: &Faults) {
        for (connector, at) in self.connectors() {
            if connector != own::ID && !configured.contains(&connector) {
                let near = config::nearest(connector, configured.iter().copied());
                let instead = near.map_or_else(
                    || "write the id of a connector, or self for Obol's own tokens".to_owned(),
                    |near| format!("did you mean {near}?"),
                );
                at.field(KeyStyle::Ours, faults).error("names no configured connector", instead);
            }
        }
    }

    /// Warns of policies that cannot be reached and of those that overlap. Compares each with each.
    pub fn compare(&self, faults: &Faults) {
        survey::compare(&self.policies, faults);
    }

    /// Warns of policies that trust an issuer which serves everybody and do not say whose tokens they mean. `issuer` tells a
    /// connector's.
    pub fn check_tenants(&self, issuer: impl Fn(&str) -> Option<String>, faults: &Faults) {
        for policy in &self.policies {
            if let Some(issuer) = issuer(&policy.connector) {
                survey::check_tenant(policy, &issuer, faults);
            }
        }
    }

    /// Whether an allow policy of that name is in force.
    pub fn allows(&self, name: &str) -> bool {
        self.allowed.contains(name)
    }

    /// The longest lifetime that any policy allows.
    pub fn longest_lifetime(&self) -> Duration {
        let issues = self.policies.iter().filter_map(Policy::issue);
        issues.map(|issue| issue.lifetime).max().unwrap_or_default()
    }

    /// Deny rules first, then the first policy that matches, in listed order.
    pub fn decide(&self, question: &Question<'_>) -> Decided {
        let asked = asked(question);
        let case = Case::of(question, &asked);
        let outcome = self.judge(&self.live, &case).and_then(|granted| narrowed(question, granted));
        let shadows = self.shadows(&case, &outcome);
        Decided { outcome, shadows }
    }

    /// What the policies of one index say.
    fn judge(&self, index: &Index, case: &Case<'_>) -> Result<Granted, Denied> {
        let chosen = self.first_allowing(index, case);
        // A request that names no audience gets one from the policy, and deny rules look at that one: leaving the
        // parameter out must not lead past them.
        let audience = chosen.as_ref().ok().and_then(|(_, audience)| *audience).unwrap_or(case.asked);
        if let Some(denied) = self.first_denying(index, case, audience) {
            return Err(denied);
        }
        let (policy, audience) = chosen?;
        let Some(audience) = audience else {
            let refusal = Refusal::target("an audience must be asked for");
            let reason = format!("{}: no audience is asked for, and the policy lists several", policy.name);
            return Err(policy.denies(refusal.because(reason)));
        };
        policy.grant(case, audience)
    }

    fn first_allowing<'p>(
        &'p self,
        index: &Index,
        case: &Case<'p>,
    ) -> Result<(&'p Policy, Option<&'p [String]>), Denied> {
        let mut nearest = None;
        for policy in index.allowing(case).filter_map(|at| self.policies.get(at)) {
            let audience = policy.audience(case);
            match policy.admits(case, audience) {
                Ok(()) => return Ok((policy, audience)),
                Err(miss) => nearest = nearest.or(Some((policy, miss))),
            }
        }
        Err(unmatched(index, case, nearest))
    }

    fn first_denying(&self, index: &Index, case: &Case<'_>, audience: &[String]) -> Option<Denied> {
        let rules = index.denying(case).filter_map(|at| self.policies.get(at));
        rules.filter_map(|policy| Some((policy, policy.objects(case, audience)?))).next().map(
            |(policy, why)| {
                let refusal = Refusal::request(NOT_ALLOWED);
                policy.denies(refusal.because(format!("{}: {why}", policy.name)))
            },
        )
    }

    /// What each shadow policy that applies would have done, by itself.
    fn shadows(&self, case: &Case<'_>, outcome: &Result<Granted, Denied>) -> Vec<Shadow> {
        if self.shadows.is_empty() {
            return Vec::new();
        }
        let granted: Vec<String> = match outcome {
            Ok(granted) if case.asked.is_empty() => {
                granted.audience.iter().map(|name| name.as_ref().to_owned()).collect()
            }
            _ => case.asked.to_vec(),
        };
        let denying = self.shadows.denying(case).filter_map(|at| self.policies.get(at));
        let denying = denying.filter(|policy| policy.objects(case, &granted).is_some());
        let denying = denying.map(|policy| Shadow { policy: Arc::clone(&policy.name), allowed: false });
        let allowing = self.shadows.allowing(case).filter_map(|at| self.policies.get(at));
        let allowing = allowing.filter_map(|policy| {
            let audience = policy.audience(case);
            policy.admits(case, audience).ok()?;
            let allowed = audience.is_some_and(|audience| policy.grant(case, audience).is_ok());
            Some(Shadow { policy: Arc::clone(&policy.name), allowed })
        });
        denying.chain(allowing).collect()
    }
}

/// Every audience that is asked for, by parameter or by Dex's scopes, each once.
fn asked<'a>(question: &Question<'a>) -> Cow<'a, [String]> {
    let (named, peers) = (question.targets.names(), question.scopes.peers());
    if peers.is_empty() {
        return Cow::Borrowed(named);
    }
    let mut all = named.to_vec();
    all.extend(peers.iter().filter(|peer| !named.contains(peer)).cloned());
    Cow::Owned(all)
}

/// An exchange of a token of ours adds no scope.
fn narrowed(question: &Question<'_>, granted: Granted) -> Result<Granted, Denied> {
    if own::is_own(question.connector) {
        own::check_narrowing(question, &granted.scopes)
            .map_err(|refusal| Denied::new(Some(Arc::clone(&granted.policy)), refusal))?;
    }
    Ok(granted)
}

/// No policy matches. Which code the asker sees depends on what it asks for and never on the claims.
fn unmatched(index: &Index, case: &Case<'_>, nearest: Option<(&Policy, Miss)>) -> Denied {
    let refusal = if index.offers(case) {
        Refusal::request(NOT_ALLOWED)
    } else {
        Refusal::target("the client may not ask for tokens for one of these audiences")
    };
    let reason = nearest.map_or(Cow::Borrowed("no policy matches"), |(policy, miss)| {
        Cow::Owned(format!("no policy matches; the first that came near, {}: {miss}", policy.name))
    });
    Denied::new(None, refusal.because(reason))
}

/// All that an asker learns of the rules.
const NOT_ALLOWED: &str = "the exchange is not allowed";
