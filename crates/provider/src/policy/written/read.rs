//! `tokenExchange`, decoded and compiled. Every key is asked for before anything is given up, so that all
//! faults come at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use config::{Faults, Field, Fields, KeyStyle, Section, Value};
use expr::{Env, Program, Want};
use token::Alg;

use super::case;
use super::files;
use super::issue::Issue;
use super::lint;
use super::names::{self, Glob};
use super::patterns::{self, Patterns};
use super::rule::{Policy, Rule};
use super::source::{Compiled, Faulty, Source};
use super::trial::{self, Trial};
use crate::scope::{OFFLINE, Scopes};

/// What has been read so far.
struct Reading {
    env: Env,
    policies: Vec<Policy>,
    trials: Vec<Trial>,
    /// Names, and where they stand.
    names: HashMap<Arc<str>, String>,
    sound: bool,
}

/// Reads all policies and their tests, those of the configuration first and then those of each file; `None` if one of
/// them is at fault.
pub(super) fn policies(fields: &mut Fields<'_>) -> Option<(Vec<Policy>, Vec<Trial>)> {
    let mut reading = Reading {
        env: case::env(),
        policies: Vec::new(),
        trials: Vec::new(),
        names: HashMap::new(),
        sound: true,
    };
    for field in fields.elements("policies") {
        reading.take(&field);
    }
    match files::read(fields) {
        Ok(sections) => {
            for section in sections {
                let mut fields = section.fields(KeyStyle::Ours, fields.faults());
                for field in fields.elements("policies") {
                    reading.take(&field);
                }
                fields.finish();
            }
        }
        Err(Faulty) => reading.sound = false,
    }
    reading.sound.then_some((reading.policies, reading.trials))
}

impl Reading {
    fn take(&mut self, field: &Field<'_>) {
        self.sound &= !refuse_nulls(field);
        let Some((policy, tests)) = policy(field, &self.env) else {
            self.sound = false;
            return;
        };
        let place = field.path().file().map_or(String::new(), |file| format!("{file}: "));
        let place = format!("{place}{}", field.path());
        if let Some(first) = self.names.insert(Arc::clone(&policy.name), place) {
            field.error(format!("has the name of {first}"), "give each policy a name of its own");
            self.sound = false;
        }
        let at = self.policies.len();
        match tests {
            Ok(tests) => self.trials.extend(tests.into_iter().map(|test| test.of(at))),
            Err(Faulty) => self.sound = false,
        }
        self.policies.push(policy);
    }
}

/// `subject`, read.
struct Subject {
    connector: Option<(String, Section)>,
    audiences: Result<Option<Vec<String>>, Faulty>,
    patterns: Result<Patterns, Faulty>,
    matching: Compiled,
    single_use: bool,
    match_at: Option<Source>,
}

fn policy(field: &Field<'_>, env: &Env) -> Option<(Policy, Result<Vec<trial::Draft>, Faulty>)> {
    let mut fields = field.group();
    let faults = fields.faults();
    let name = name(&mut fields);
    let deny = fields.or("deny", false);
    let shadow = fields.or("shadow", false);
    let subject = subject(fields.group("subject"), env, faults);
    let clients = list(&mut fields, "clients", !deny);
    let audiences = list(&mut fields, "audiences", !deny);
    let issue = if deny { forbid_issue(&mut fields) } else { issue(fields.group("issue"), env).map(Some) };
    let tests = trial::read(&mut fields, deny);
    fields.finish();

    let (connector, connector_at) = subject.connector?;
    let policy = Policy {
        name: name?,
        at: field.section(),
        shadow,
        connector,
        connector_at,
        accepted: subject.audiences.ok()?,
        patterns: subject.patterns.ok()?,
        matching: subject.matching.ok()?,
        single_use: subject.single_use,
        clients: clients.ok()?.unwrap_or_default(),
        audiences: audiences.ok()?.unwrap_or_default(),
        rule: issue.ok()?.map_or(Rule::Deny, |issue| Rule::Allow(Box::new(issue))),
    };
    lint::policy(&policy, field, subject.match_at.as_ref(), faults);
    Some((policy, tests))
}

/// Shown in audit events and metrics.
fn name(fields: &mut Fields<'_>) -> Option<Arc<str>> {
    let name: String = fields.required("name")?;
    let plain = !name.is_empty() && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_graphic());
    if !plain {
        fields.unfit("name", "write a name of visible ASCII without spaces, at most 100 characters");
    }
    plain.then(|| Arc::from(name))
}

fn subject(mut fields: Fields<'_>, env: &Env, faults: &Faults) -> Subject {
    let connector: Option<Source> = fields.required("connector");
    let connector = connector.and_then(|source| {
        let id = source.text().to_owned();
        if id.is_empty() {
            source.field(faults).error("is empty", "write the id of a connector");
        }
        (!id.is_empty()).then(|| (id, source.place().clone()))
    });
    let audiences = list(&mut fields, "audiences", false);
    let patterns = patterns::read(&mut fields);
    let single_use = fields.or("singleUse", false);
    let written = fields.is_written("match");
    let match_at: Option<Source> = fields.optional("match");
    let matching = match_at.as_ref().map(|source| source.compile(env, Want::Bool, faults)).transpose();
    let matching = if written && match_at.is_none() { Err(Faulty) } else { matching };
    fields.finish();
    Subject { connector, audiences, patterns, matching, single_use, match_at }
}

/// A list without empty texts. Absent is `None`; written but empty is a fault, because it reads like "none" and could be
/// taken for "any".
pub(super) fn list(fields: &mut Fields<'_>, key: &str, needed: bool) -> Result<Option<Vec<String>>, Faulty> {
    let written = fields.is_written(key);
    let read: Option<Vec<String>> = fields.optional(key);
    match read {
        Some(list) if !list.is_empty() && list.iter().all(|text| !text.is_empty()) => Ok(Some(list)),
        None if !written && !needed => Ok(None),
        _ => {
            let instead = if needed {
                "list at least one; none means nobody"
            } else {
                "list at least one, or remove it"
            };
            fields.unfit(key, instead);
            Err(Faulty)
        }
    }
}

fn forbid_issue(fields: &mut Fields<'_>) -> Result<Option<Issue>, Faulty> {
    match fields.take("issue") {
        None => Ok(None),
        Some(field) => {
            field.error("stands in a deny rule, which issues nothing", "remove it, or deny");
            Err(Faulty)
        }
    }
}

fn issue(mut fields: Fields<'_>, env: &Env) -> Result<Issue, Faulty> {
    let faults = fields.faults();
    let mut program = |key: &str, want| compiled(&mut fields, key, env, want);
    let subject = program("subject", Want::String);
    let name = program("name", Want::String);
    let preferred_username = program("preferredUsername", Want::String);
    let email = program("email", Want::String);
    let email_verified = program("emailVerified", Want::Bool);
    let groups = program("groups", Want::Strings);
    let claims = claims(&mut fields, env, faults);
    let lifetime = lifetime(&mut fields);
    let within_subject = fields.or("withinSubject", false);
    let scopes = scopes(&mut fields);
    let alg = fields.one_of("algorithm", &[("RS256", Alg::Rs256), ("ES256", Alg::Es256)]);
    let system = system(&mut fields);
    if matches!((&email, &email_verified), (Ok(None), Ok(Some(_)))) {
        fields.missing("email", "emailVerified says something about it; write both or neither");
    }
    fields.finish();
    Ok(Issue {
        subject: subject?,
        name: name?,
        preferred_username: preferred_username?,
        email: email?,
        email_verified: email_verified?,
        groups: groups?,
        claims: claims?,
        lifetime: lifetime?,
        within_subject,
        scopes: scopes?,
        alg,
        system: system?,
    })
}

fn compiled(fields: &mut Fields<'_>, key: &str, env: &Env, want: Want) -> Compiled {
    let written = fields.is_written(key);
    let faults = fields.faults();
    match fields.optional::<Source>(key) {
        Some(source) => source.compile(env, want, faults).map(Some),
        None if written => Err(Faulty),
        None => Ok(None),
    }
}

fn claims(fields: &mut Fields<'_>, env: &Env, faults: &Faults) -> Result<Vec<(String, Program)>, Faulty> {
    let written: BTreeMap<String, Source> = fields.or_default("claims");
    let compile = |(name, source): (String, Source)| {
        if let Err(why) = names::check_claim_name(&name) {
            let instead =
                "identity claims have fields of their own under issue; Obol writes the others itself";
            source.field(faults).error(why, instead);
            return Err(Faulty);
        }
        Ok((name, source.compile(env, Want::Any, faults)?))
    };
    let all: Vec<_> = written.into_iter().map(compile).collect();
    all.into_iter().collect()
}

fn lifetime(fields: &mut Fields<'_>) -> Result<Duration, Faulty> {
    let lifetime = fields.or("lifetime", LIFETIME);
    if lifetime < Duration::from_secs(1) {
        fields.unfit("lifetime", "write a duration of at least 1s");
        return Err(Faulty);
    }
    Ok(lifetime)
}

fn scopes(fields: &mut Fields<'_>) -> Result<Scopes, Faulty> {
    let listed: Vec<String> = fields.or_default("scopes");
    let scopes = Scopes::parse(&listed.join(" ")).ok();
    let usable = scopes.filter(|scopes| scopes.peers().is_empty() && !scopes.has(OFFLINE));
    if usable.is_none() {
        fields.unfit("scopes", "write some of openid, profile, email, groups, federated:id");
    }
    usable.ok_or(Faulty)
}

fn system(fields: &mut Fields<'_>) -> Result<Vec<Glob>, Faulty> {
    let patterns: Vec<String> = fields.or_default("allowSystem");
    let globs: Result<Vec<Glob>, _> = patterns.iter().map(|pattern| Glob::new(pattern)).collect();
    globs.map_err(|instead| {
        fields.unfit("allowSystem", instead);
        Faulty
    })
}

/// A key with nothing behind it reads as absent elsewhere. Here a forgotten `match:` or `deny:` would let everybody in.
fn refuse_nulls(field: &Field<'_>) -> bool {
    let Value::Map(entries) = &field.node().value else { return false };
    if entries.is_empty() {
        return false;
    }
    let mut found = false;
    for (key, field) in field.entries().unwrap_or_default() {
        if field.node().is_null() {
            field.error("is empty", "write a value, or remove the key");
            found = true;
        } else if key != TESTS {
            found |= refuse_nulls(&field);
        }
    }
    found
}

/// Claims of tests may be null.
const TESTS: &str = "tests";
/// DESIGN section 4.3
const LIFETIME: Duration = Duration::from_secs(15 * 60);
