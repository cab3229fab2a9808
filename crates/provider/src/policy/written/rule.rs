//! One policy: whom it is about, and what follows.

use std::fmt;
use std::sync::Arc;

use config::Section;
use expr::{Budget, EvalError, Program};

use super::case::Case;
use super::issue::Issue;
use super::patterns::{Misfit, Patterns};
use crate::error::Refusal;
use crate::policy::{Denied, Granted};
use crate::records::used::Once;

/// A policy, compiled.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: Arc<str>,
    pub(super) shadow: bool,
    /// Where it stands.
    pub(super) at: Section,
    pub(super) connector: String,
    pub(super) connector_at: Section,
    /// What the subject token must be meant for; `None`: us (allow) or anything (deny).
    pub(super) accepted: Option<Vec<String>>,
    pub(super) patterns: Patterns,
    pub(super) matching: Option<Program>,
    /// Each subject token may be used once.
    pub(super) single_use: bool,
    /// Who asks. Of an allow policy never empty; of a deny rule empty means everybody.
    pub(super) clients: Vec<String>,
    /// What is asked for. Of an allow policy never empty; of a deny rule empty means anything.
    pub(super) audiences: Vec<String>,
    pub(super) rule: Rule,
}

/// What follows from a match.
#[derive(Debug)]
pub(super) enum Rule {
    Deny,
    Allow(Box<Issue>),
}

/// Why a policy does not match; for the audit log.
#[derive(Debug)]
pub(super) enum Miss {
    NotOffered,
    SubjectAudience,
    Pattern(Misfit),
    Unmatched,
    Error(EvalError),
}

impl Policy {
    pub(super) fn issue(&self) -> Option<&Issue> {
        match &self.rule {
            Rule::Allow(issue) => Some(issue),
            Rule::Deny => None,
        }
    }

    /// The audience that this policy would grant: all that is asked for, or else the only one there is to choose: its
    /// single one, or the asking client.
    pub(super) fn audience<'a>(&'a self, case: &Case<'a>) -> Option<&'a [String]> {
        if !case.asked.is_empty() {
            return Some(case.asked);
        }
        if self.audiences.len() == 1 {
            return Some(&self.audiences);
        }
        self.audiences.iter().find(|name| *name == case.client).map(std::slice::from_ref)
    }

    /// Whether an allow policy matches.
    pub(super) fn admits(&self, case: &Case<'_>, audience: Option<&[String]>) -> Result<(), Miss> {
        let audience = audience.unwrap_or_default();
        if !self.clients.iter().any(|client| client == case.client)
            || !audience.iter().all(|name| self.audiences.contains(name))
        {
            return Err(Miss::NotOffered);
        }
        if !self.accepts(case) {
            return Err(Miss::SubjectAudience);
        }
        self.patterns.fit(case.claims).map_err(Miss::Pattern)?;
        match self.matches(case, audience) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Miss::Unmatched),
            Err(error) => Err(Miss::Error(error)),
        }
    }

    /// Whether a deny rule applies, and why. Whatever is not known speaks for it.
    pub(super) fn objects(&self, case: &Case<'_>, audience: &[String]) -> Option<String> {
        let among = |list: &[String], found: &[String]| {
            list.is_empty() || found.is_empty() || found.iter().any(|name| list.contains(name))
        };
        let about = (self.clients.is_empty() || self.clients.iter().any(|client| client == case.client))
            && among(&self.audiences, audience)
            && among(self.accepted.as_deref().unwrap_or_default(), case.meant_for.unwrap_or_default());
        if !about {
            return None;
        }
        // As `&&` does: what is false decides, whatever went wrong beside it.
        let patterns = self.patterns.fit(case.claims);
        if patterns.as_ref().is_err_and(Misfit::differs) {
            return None;
        }
        match (self.matches(case, audience), patterns) {
            (Ok(false), _) => None,
            (_, Err(misfit)) => Some(format!("denied, because {misfit}")),
            (Ok(true), Ok(())) => Some("denied".to_owned()),
            (Err(error), Ok(())) => Some(format!("denied, because its match fails at {error}")),
        }
    }

    /// Every audience of the subject token must be accepted: a token that is meant for others too may come from any of
    /// them. One of which nobody knows is never accepted.
    fn accepts(&self, case: &Case<'_>) -> bool {
        let Some(meant_for) = case.meant_for.filter(|meant_for| !meant_for.is_empty()) else { return false };
        meant_for.iter().all(|name| match &self.accepted {
            Some(accepted) => accepted.contains(name),
            // Our own tokens are meant for clients: the one that asks may hand in its own.
            None => name == case.issuer || case.is_own() && name == case.client,
        })
    }

    fn matches(&self, case: &Case<'_>, audience: &[String]) -> Result<bool, EvalError> {
        let Some(program) = &self.matching else { return Ok(true) };
        program.eval_bool(&case.vars(audience), &mut Budget::new(UNITS))
    }

    pub(super) fn grant(&self, case: &Case<'_>, audience: &[String]) -> Result<Granted, Denied> {
        match &self.rule {
            Rule::Allow(issue) => {
                let once = self.once(case).map_err(|refusal| self.denies(refusal))?;
                let granted = issue.grant(&self.name, case, audience);
                granted.map(|granted| Granted { once, ..granted }).map_err(|refusal| self.denies(refusal))
            }
            Rule::Deny => Err(self.denies(Refusal::request(super::NOT_ALLOWED))),
        }
    }

    /// What a single use is remembered by. A token that nothing names, or that never ends, cannot be used once.
    fn once(&self, case: &Case<'_>) -> Result<Option<Once>, Refusal> {
        if !self.single_use {
            return Ok(None);
        }
        let id = case.claims.id().filter(|id| !id.is_empty());
        let Some((id, expires)) = id.zip(case.expires) else {
            let why = format!("{}: singleUse is set, and the subject token has no jti or no end", self.name);
            return Err(Refusal::request(super::NOT_ALLOWED).because(why));
        };
        Ok(Some(Once::of(case.connector, id, expires)))
    }

    pub(super) fn denies(&self, refusal: Refusal) -> Denied {
        Denied::new(Some(Arc::clone(&self.name)), refusal)
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("it does not offer what is asked for"),
            Self::SubjectAudience => f.write_str("the subject token is not meant for those it accepts alone"),
            Self::Pattern(misfit) => misfit.fmt(f),
            Self::Unmatched => f.write_str("its match is false"),
            Self::Error(error) => write!(f, "its match fails at {error}"),
        }
    }
}

/// What one policy may spend on its `match`, and again on what it issues. Sound rules need some hundreds.
pub(super) const UNITS: u64 = 100_000;
