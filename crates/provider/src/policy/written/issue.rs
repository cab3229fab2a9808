//! What a policy issues. Every value that came from claims is looked at again before it is in a token.

use std::sync::Arc;
use std::time::Duration;

use expr::{Budget, EvalError, NoJson, Program, Value, Vars};
use token::Alg;
use wire::dex::Pair;
use wire::json;
use wire::oauth::ErrorCode;

use super::case::Case;
use super::names::{self, Glob};
use super::rule::UNITS;
use crate::error::Refusal;
use crate::issue::Profile;
use crate::policy::Granted;
use crate::scope::{OPENID, Scopes};

/// `issue`, compiled.
#[derive(Debug)]
pub(super) struct Issue {
    pub(super) subject: Option<Program>,
    pub(super) name: Option<Program>,
    pub(super) preferred_username: Option<Program>,
    pub(super) email: Option<Program>,
    pub(super) email_verified: Option<Program>,
    pub(super) groups: Option<Program>,
    pub(super) claims: Vec<(String, Program)>,
    pub(super) lifetime: Duration,
    pub(super) within_subject: bool,
    pub(super) scopes: Scopes,
    pub(super) alg: Option<Alg>,
    /// The `system:` names that may be issued.
    pub(super) system: Vec<Glob>,
}

/// Why a value cannot be issued; for the audit log.
enum Bad {
    Eval(EvalError),
    Value(&'static str),
    Json(NoJson),
}

impl Issue {
    pub(super) fn grant(
        &self,
        policy: &Arc<str>,
        case: &Case<'_>,
        audience: &[String],
    ) -> Result<Granted, Refusal> {
        let asked_for = |scope: &String| scope == OPENID || self.scopes.has(scope);
        if !case.scopes.plain().iter().all(asked_for) {
            let refusal = Refusal::new(ErrorCode::InvalidScope, "the client may not ask for these scopes");
            return Err(refusal.because(format!("{policy}: a scope is asked for that it does not list")));
        }
        let mut minting =
            Minting { issue: self, policy, vars: case.vars(audience), budget: Budget::new(UNITS) };
        Ok(Granted {
            policy: Arc::clone(policy),
            written: true,
            subject: minting.subject(case)?,
            profile: minting.profile()?,
            free: minting.free()?,
            audience: audience.iter().map(|name| Arc::from(name.as_str())).collect(),
            scopes: case.scopes.clone(),
            lifetime: self.lifetime,
            not_after: self.not_after(policy, case)?,
            alg: self.alg,
            once: None,
            unrestricted: false,
            withheld: false,
        })
    }

    fn not_after(&self, policy: &str, case: &Case<'_>) -> Result<Option<ambient::Time>, Refusal> {
        if !self.within_subject && !case.is_own() {
            return Ok(None);
        }
        match case.expires {
            Some(end) if end.unix() > case.now.unix() => Ok(Some(end)),
            Some(_) => Err(refused(policy, "the subject token has no time left")),
            None => {
                Err(refused(policy, "nobody knows when the subject token ends, and withinSubject is set"))
            }
        }
    }
}

/// One issuing: its fields share one budget.
struct Minting<'a> {
    issue: &'a Issue,
    policy: &'a str,
    vars: Vars<'a>,
    budget: Budget,
}

impl<'a> Minting<'a> {
    /// `sub`: as the policy says, or the token's own (ours), or Dex's pair of user and connector.
    fn subject(&mut self, case: &Case<'_>) -> Result<String, Refusal> {
        let user = &case.identity.user_id;
        let plain = || if case.is_own() { user.clone() } else { Pair::new(&**user, case.connector).encode() };
        let issue = self.issue;
        let subject = match &issue.subject {
            Some(program) => self.text("subject", program)?,
            None if user.is_empty() => return Err(refused(self.policy, "the connector knows no user id")),
            None => plain(),
        };
        let bad = |why| self.refused("subject", &Bad::Value(why));
        names::check_subject(&subject).map_err(bad)?;
        // A text in Dex's form names a user of a connector: it must be this user of this one.
        if Pair::decode(&subject).is_some() && subject != plain() {
            return Err(bad("has the form of another connector's subject"));
        }
        names::check_system(&subject, &issue.system).map_err(bad)?;
        Ok(subject)
    }

    fn profile(&mut self) -> Result<Profile, Refusal> {
        let issue = self.issue;
        let email = self.name("email", issue.email.as_ref())?;
        if let Some(email) = &email {
            names::check_email(email).map_err(|why| self.refused("email", &Bad::Value(why)))?;
        }
        let verified = match &issue.email_verified {
            Some(program) => program
                .eval_bool(&self.vars, &mut self.budget)
                .map_err(|error| self.refused("emailVerified", &Bad::Eval(error)))?,
            None => false,
        };
        Ok(Profile {
            // Kubernetes takes an address without the claim for a verified one.
            email_verified: email.is_some().then_some(verified),
            email,
            groups: self.groups()?,
            name: self.name("name", issue.name.as_ref())?,
            preferred_username: self.name("preferredUsername", issue.preferred_username.as_ref())?,
        })
    }

    fn groups(&mut self) -> Result<Vec<String>, Refusal> {
        let issue = self.issue;
        let Some(program) = &issue.groups else { return Ok(Vec::new()) };
        let groups = program
            .eval_strings(&self.vars, &mut self.budget)
            .map_err(|error| self.refused("groups", &Bad::Eval(error)))?;
        let checked = if groups.len() > names::MOST_GROUPS {
            Err("are too many")
        } else {
            groups.iter().try_for_each(|group| {
                names::check_name(group).and_then(|()| names::check_system(group, &issue.system))
            })
        };
        checked.map_err(|why| self.refused("groups", &Bad::Value(why)))?;
        Ok(groups.into_iter().map(std::borrow::Cow::into_owned).collect())
    }

    /// Free claims. `null` leaves one out.
    fn free(&mut self) -> Result<Vec<(String, json::Value)>, Refusal> {
        let issue = self.issue;
        let mut room = names::MOST_FREE;
        let mut free = Vec::with_capacity(issue.claims.len());
        for (name, program) in &issue.claims {
            let value = program
                .eval(&self.vars, &mut self.budget)
                .map_err(|error| self.refused_claim(name, &Bad::Eval(error)))?;
            if matches!(value, Value::Null) {
                continue;
            }
            let json = value.to_json().map_err(|why| self.refused_claim(name, &Bad::Json(why)))?;
            names::check_free(&json, &mut room, &issue.system)
                .map_err(|why| self.refused_claim(name, &Bad::Value(why)))?;
            free.push((name.clone(), json));
        }
        Ok(free)
    }

    fn name(&mut self, field: &str, program: Option<&'a Program>) -> Result<Option<String>, Refusal> {
        let Some(program) = program else { return Ok(None) };
        let name = self.text(field, program)?;
        names::check_name(&name)
            .and_then(|()| names::check_system(&name, &self.issue.system))
            .map_err(|why| self.refused(field, &Bad::Value(why)))?;
        Ok(Some(name))
    }

    fn text(&mut self, field: &str, program: &'a Program) -> Result<String, Refusal> {
        program
            .eval_string(&self.vars, &mut self.budget)
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| self.refused(field, &Bad::Eval(error)))
    }

    fn refused_claim(&self, name: &str, bad: &Bad) -> Refusal {
        self.refused(&format!("claims.{name}"), bad)
    }

    fn refused(&self, field: &str, bad: &Bad) -> Refusal {
        refused(
            self.policy,
            &match bad {
                Bad::Eval(error) => format!("issue.{field} fails at {error}"),
                Bad::Value(why) => format!("issue.{field} {why}"),
                Bad::Json(why) => format!("issue.{field} {why}"),
            },
        )
    }
}

fn refused(policy: &str, why: &str) -> Refusal {
    Refusal::request(super::NOT_ALLOWED).because(format!("{policy}: {why}"))
}
