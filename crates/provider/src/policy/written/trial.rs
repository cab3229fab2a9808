//! The policies' own tests. They run when policies are loaded, on the real decision: a set of policies that fails one of
//! its tests is not in force.
//!
//! An allow policy's test asks the whole set, since what stands before or beside it counts. A deny rule's and a shadow
//! policy's asks that policy alone.

use std::fmt;
use std::time::Duration;

use ambient::Time;
use config::{Faults, Field, Fields, KeyStyle, Section, Value};
use serde::Serialize;
use serde_json::Value as Json;
use wire::claims::Claims;
use wire::json;

use super::Policies;
use super::case::Case;
use super::rule::{Policy, Rule};
use super::source::Faulty;
use crate::connector::Identity;
use crate::policy::{Denied, Granted};
use crate::scope::Scopes;

/// One test of one policy.
pub(super) struct Trial {
    policy: usize,
    draft: Draft,
}

/// What a test came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The policy whose test it is.
    pub policy: String,
    /// The file, if it has a name.
    pub file: Option<String>,
    /// Where in the file.
    pub path: String,
    /// Its line.
    pub line: u32,
    /// What it expects, in short.
    pub expects: String,
    /// Why it failed.
    pub failure: Option<String>,
}

/// A test as it is written.
pub(super) struct Draft {
    at: Section,
    claims: serde_json::Map<String, Json>,
    identity: Option<Identity>,
    client: Option<String>,
    audience: Vec<String>,
    scopes: Scopes,
    expect: Expect,
}

enum Expect {
    Deny,
    /// A deny rule lets it go by.
    Pass,
    Grant(Box<Expected>),
}

/// What is to be granted; what is not named may be anything.
struct Expected {
    subject: Option<String>,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
    groups: Option<Vec<String>>,
    audience: Option<Vec<String>>,
    claims: Option<Json>,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny => f.write_str("deny"),
            Self::Pass => f.write_str("pass"),
            Self::Grant(expected) => match &expected.subject {
                Some(subject) => write!(f, "grant as {subject}"),
                None => f.write_str("grant"),
            },
        }
    }
}

impl Draft {
    pub(super) fn of(self, policy: usize) -> Trial {
        Trial { policy, draft: self }
    }
}

/// Reads `tests`.
pub(super) fn read(fields: &mut Fields<'_>, deny: bool) -> Result<Vec<Draft>, Faulty> {
    let tests: Vec<_> = fields.elements("tests").iter().map(|field| draft(field, deny)).collect();
    tests.into_iter().collect::<Option<_>>().ok_or(Faulty)
}

fn draft(field: &Field<'_>, deny: bool) -> Option<Draft> {
    let mut fields = field.group();
    let claims: Option<Json> = fields.required("claims");
    let identity = fields.optional_group("identity").map(identity);
    let client = fields.optional("client");
    let audience = fields.or_default("audience");
    let raw_scopes: Vec<String> = fields.or_default("scopes");
    if !fields.has("expect") {
        fields.missing("expect", "write deny, or what is to be granted");
    }
    let expect = expectation(&fields.section("expect").field(KeyStyle::Ours, fields.faults()), deny);
    let scopes = Scopes::parse(&raw_scopes.join(" ")).ok();
    if scopes.is_none() {
        fields.unfit("scopes", "write scopes that Obol knows");
    }
    let claims = match claims {
        Some(Json::Object(claims)) => Some(claims),
        Some(_) => {
            fields.unfit("claims", "write a mapping of claims");
            None
        }
        None => None,
    };
    fields.finish();
    Some(Draft {
        at: field.section(),
        claims: claims?,
        identity,
        client,
        audience,
        scopes: scopes?,
        expect: expect?,
    })
}

/// In the names that expressions use.
fn identity(mut fields: Fields<'_>) -> Identity {
    let identity = Identity {
        user_id: fields.or_default("user_id"),
        username: fields.or_default("username"),
        preferred_username: fields.or_default("preferred_username"),
        email: fields.or_default("email"),
        email_verified: fields.or_default("email_verified"),
        groups: fields.or_default("groups"),
    };
    fields.finish();
    identity
}

fn expectation(field: &Field<'_>, deny: bool) -> Option<Expect> {
    let word = matches!(field.node().value, Value::Scalar(_));
    if deny {
        return field
            .one_of(&[("deny", true), ("pass", false)])
            .map(|deny| if deny { Expect::Deny } else { Expect::Pass });
    }
    if word {
        return field.one_of(&[("deny", ())]).map(|()| Expect::Deny);
    }
    let mut fields = field.group();
    let expected = Expected {
        subject: fields.optional("subject"),
        name: fields.optional("name"),
        preferred_username: fields.optional("preferredUsername"),
        email: fields.optional("email"),
        email_verified: fields.optional("emailVerified"),
        groups: fields.optional("groups"),
        audience: fields.optional("audience"),
        claims: fields.optional("claims"),
    };
    fields.finish();
    Some(Expect::Grant(Box::new(expected)))
}

/// Runs all tests. What does not come out as expected is written down.
pub(super) fn run(policies: &Policies, trials: &[Trial], faults: &Faults) -> Vec<Tested> {
    let one = |Trial { policy, draft }: &Trial| {
        let policy = policies.policies.get(*policy)?;
        let failure = draft.run(policies, policy).err().map(|(what, instead)| {
            draft.at.field(KeyStyle::Ours, faults).error(what.as_str(), instead);
            what
        });
        Some(Tested {
            policy: policy.name.as_ref().to_owned(),
            file: draft.at.path().file().map(str::to_owned),
            path: draft.at.path().to_string(),
            line: draft.at.node().at.line,
            expects: draft.expect.to_string(),
            failure,
        })
    };
    trials.iter().filter_map(one).collect()
}

impl Policies {
    /// Decides for claims that nobody vouched for, as the tests of policies do: for fuzzers and benches.
    ///
    /// # Errors
    /// As the token endpoint would refuse.
    pub fn rehearse(&self, connector: &str, client: &str, claims: &Claims) -> Result<Granted, Denied> {
        let user_id = claims.subject().unwrap_or_default().to_owned();
        let identity = Identity { user_id, ..Identity::default() };
        let meant_for: Vec<String> = claims.audience().map(str::to_owned).collect();
        let case = Case {
            connector,
            client,
            claims,
            identity: &identity,
            meant_for: Some(&meant_for),
            expires: claims.expires().map(Time::from_unix),
            asked: &[],
            scopes: &Scopes::default(),
            issuer: ISSUER,
            now: NOW,
        };
        self.judge(&self.live, &case)
    }
}

type Failed = (String, &'static str);

impl Draft {
    fn run(&self, policies: &Policies, policy: &Policy) -> Result<(), Failed> {
        let claims = self.claims(policy)?;
        let user =
            || Identity { user_id: claims.subject().unwrap_or_default().to_owned(), ..Identity::default() };
        let identity = self.identity.clone().unwrap_or_else(user);
        let meant_for: Vec<String> = claims.audience().map(str::to_owned).collect();
        let asked = if self.audience.is_empty() {
            policy.audiences.get(..1).unwrap_or_default().to_vec()
        } else {
            self.audience.clone()
        };
        let client = self.client.as_ref().or(policy.clients.first());
        let case = Case {
            connector: &policy.connector,
            client: client.map_or("test", String::as_str),
            claims: &claims,
            identity: &identity,
            meant_for: Some(&meant_for),
            expires: claims.expires().map(Time::from_unix),
            asked: &asked,
            scopes: &self.scopes,
            issuer: ISSUER,
            now: NOW,
        };
        match (&policy.rule, &self.expect) {
            (Rule::Deny, Expect::Deny) if policy.objects(&case, &asked).is_none() => {
                Err(("expects a deny, and the rule lets it pass".to_owned(), RULE_OR_TEST))
            }
            (Rule::Deny, Expect::Pass) => match policy.objects(&case, &asked) {
                Some(why) => {
                    Err((format!("expects that the rule lets it pass, and it is {why}"), RULE_OR_TEST))
                }
                None => Ok(()),
            },
            (Rule::Deny, _) => Ok(()),
            (Rule::Allow(_), expect) => self.compare(expect, policy, &decide(policies, policy, &case)),
        }
    }

    /// The claims of the test, with what every token has.
    fn claims(&self, policy: &Policy) -> Result<Claims, Failed> {
        let bad = |why: String| {
            (format!("has claims that no token can have: {why}"), "write them as a token would")
        };
        let accepted = policy.accepted.as_ref().and_then(|list| list.first()).map_or(ISSUER, String::as_str);
        let mut claims = self.claims.clone();
        let later = (NOW + Duration::from_secs(3600)).unix();
        let defaults = [
            ("iss", Json::from("https://issuer.test")),
            ("sub", Json::from("test")),
            ("aud", Json::from(accepted)),
            ("iat", Json::from(NOW.unix())),
            ("exp", Json::from(later)),
        ];
        for (name, value) in defaults {
            claims.entry(name).or_insert(value);
        }
        let raw = serde_json::to_vec(&claims).map_err(|error| bad(error.to_string()))?;
        Claims::parse(&raw).map_err(|error| bad(error.to_string()))
    }

    fn compare(
        &self,
        expect: &Expect,
        policy: &Policy,
        outcome: &Result<Granted, String>,
    ) -> Result<(), Failed> {
        match (expect, outcome) {
            (Expect::Deny | Expect::Pass, Err(_)) => Ok(()),
            (Expect::Deny | Expect::Pass, Ok(granted)) => {
                let what = format!("expects a deny, and {} grants {:?}", granted.policy, granted.subject);
                Err((what, RULE_OR_TEST))
            }
            (Expect::Grant(_), Err(reason)) => {
                Err((format!("expects to be granted, and is refused: {reason}"), RULE_OR_TEST))
            }
            (Expect::Grant(_), Ok(granted)) if granted.policy != policy.name => Err((
                format!("is granted by {}, which stands before", granted.policy),
                "narrow the one or the other",
            )),
            (Expect::Grant(expected), Ok(granted)) => {
                let wrong = expected.differences(granted);
                if wrong.is_empty() { Ok(()) } else { Err((wrong.join("; "), RULE_OR_TEST)) }
            }
        }
    }
}

/// The answer as the policy would give it once it is in force; the error is the reason for the audit log.
fn decide(policies: &Policies, policy: &Policy, case: &Case<'_>) -> Result<Granted, String> {
    if policy.shadow {
        let audience = policy.audience(case);
        policy.admits(case, audience).map_err(|miss| miss.to_string())?;
        return policy
            .grant(case, audience.unwrap_or_default())
            .map_err(|denied| denied.refusal.reason.into_owned());
    }
    policies.judge(&policies.live, case).map_err(|denied| denied.refusal.reason.into_owned())
}

impl Expected {
    fn differences(&self, granted: &Granted) -> Vec<String> {
        let profile = &granted.profile;
        let text = |name, wanted: &Option<String>, found: Option<&String>| {
            let found = found.map(String::as_str).unwrap_or_default();
            wanted.as_ref().filter(|wanted| **wanted != found).map(|wanted| different(name, wanted, &found))
        };
        let list = |name, wanted: &Option<Vec<String>>, found: &[String]| {
            wanted
                .as_ref()
                .filter(|wanted| wanted.as_slice() != found)
                .map(|wanted| different(name, wanted, &found))
        };
        let verified = profile.email_verified.unwrap_or(false);
        let audience: Vec<String> = granted.audience.iter().map(|name| name.as_ref().to_owned()).collect();
        [
            text("subject", &self.subject, Some(&granted.subject)),
            text("name", &self.name, profile.name.as_ref()),
            text("preferredUsername", &self.preferred_username, profile.preferred_username.as_ref()),
            text("email", &self.email, profile.email.as_ref()),
            self.email_verified
                .filter(|wanted| *wanted != verified)
                .map(|wanted| different("emailVerified", &wanted, &verified)),
            list("groups", &self.groups, &profile.groups),
            list("audience", &self.audience, &audience),
            self.claims.as_ref().and_then(|wanted| free_difference(wanted, &granted.free)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn free_difference(wanted: &Json, found: &[(String, json::Value)]) -> Option<String> {
    let found: serde_json::Map<String, Json> = found
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), serde_json::to_value(value).ok()?)))
        .collect();
    let found = Json::Object(found);
    (*wanted != found).then(|| format!("expects the claims {wanted}, and they are {found}"))
}

fn different(name: &str, wanted: &impl fmt::Debug, found: &impl fmt::Debug) -> String {
    format!("expects the {name} {wanted:?}, and it is {found:?}")
}

/// Tests know neither our issuer nor the time: both are always these.
const ISSUER: &str = "https://obol.test";
const NOW: Time = Time::from_unix(1_767_225_600);
const RULE_OR_TEST: &str = "mend the policy or its test";
