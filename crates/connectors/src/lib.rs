//! Upstreams: one file (or folder) a kind, and [`KINDS`] is the table of them.
//!
//! Reading a configuration opens no connection: what a connector needs to know of its upstream it learns at first use,
//! or in the background once [`provider::connector::Connector::warm`] is called.

mod atlassian_crowd;
mod authproxy;
mod bitbucket_cloud;
mod context;
mod gitea;
mod github;
mod gitlab;
mod jwt;
mod key_source;
mod keystone;
mod kubernetes;
mod ldap;
mod linkedin;
mod local;
mod microsoft;
mod mock_callback;
mod mock_password;
mod oauth;
mod oauth2;
mod oidc;
mod openshift;
mod root_ca;
mod vouching;

use std::collections::HashSet;
use std::sync::Arc;

use config::{Environment, Faults, Field, Fields, KeyStyle, Read, Section};
use provider::connector::{Connector, Opened, SubjectAudiences};
use wire::oauth::grant_type;

pub use context::Context;

/// A kind of connector.
#[derive(Debug)]
pub struct Kind {
    /// What `connectors[].type` calls it.
    pub kind: &'static str,
    /// How its keys are read: Dex's kinds as Dex does, ours to the letter.
    keys: KeyStyle,
    read: fn(&mut Fields<'_>, &Given<'_>) -> Option<Built>,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares the table with the folder"))]
    file: &'static str,
}

/// Every kind that `connectors[]` may name. The password database is no kind: it comes with `enablePasswordDB`.
pub const KINDS: &[Kind] = &[
    atlassian_crowd::KIND,
    authproxy::KIND,
    bitbucket_cloud::KIND,
    gitea::KIND,
    github::KIND,
    gitlab::KIND,
    jwt::KIND,
    keystone::KIND,
    kubernetes::KIND,
    ldap::KIND,
    linkedin::KIND,
    microsoft::KIND,
    mock_callback::KIND,
    mock_password::KIND,
    oauth::KIND,
    oidc::KIND,
    openshift::KIND,
];

/// What a kind is given besides its keys.
pub(crate) struct Given<'a> {
    pub(crate) id: &'a str,
    pub(crate) environment: &'a Environment,
    pub(crate) context: &'a Context,
}

/// What a kind makes of its keys.
pub(crate) struct Built {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) audiences: SubjectAudiences,
}

/// Reads `connectors`, `enablePasswordDB` and `staticPasswords`. What is wrong is in the faults.
pub fn read(root: &mut Fields<'_>, environment: &Environment, context: &Context) -> Vec<Opened> {
    let elements = root.elements("connectors");
    let mut ids = HashSet::from([String::from(local::ID), String::from(OWN)]);
    let mut opened: Vec<Opened> = Vec::with_capacity(elements.len() + 1);
    let mut absent = 0;
    for element in &elements {
        match entry(element, &mut ids, environment, context) {
            Some(Entry::Open(connector)) => opened.push(connector),
            Some(Entry::NotYet) => absent += 1,
            None => {}
        }
    }
    opened.extend(local::read(root, environment));
    // What is faulty was meant to be there, and is reported itself.
    if opened.is_empty() && absent == elements.len() {
        let kinds: Vec<_> = KINDS.iter().map(|kind| kind.kind).collect();
        let instead =
            format!("name at least one upstream of {}, or write enablePasswordDB: true", kinds.join(", "));
        root.unfit("connectors", instead);
    }
    opened
}

/// Asks for every key of every kind, for the reference page ([`Faults::rehearsal`]).
pub fn rehearse(faults: &Faults, context: &Context) {
    let environment = Environment::default();
    for kind in KINDS {
        let given = Given { id: kind.kind, environment: &environment, context };
        kind.build(&Section::empty(&format!("connectors[{}].config", kind.kind)), faults, &given);
    }
}

/// What an element of `connectors` comes to.
enum Entry {
    Open(Opened),
    /// Of a kind that Dex has and Obol has not: nobody comes in through it, and the others serve.
    NotYet,
}

/// One element of `connectors`.
fn entry(
    field: &Field<'_>,
    ids: &mut HashSet<String>,
    environment: &Environment,
    context: &Context,
) -> Option<Entry> {
    let mut fields = field.group();
    let kind = fields.required::<Named>("type");
    let id = fields.required::<Id>("id");
    let name: Option<String> = fields.required("name");
    let grant_types: Vec<GrantType> = fields.or_default("grantTypes");
    let section = fields.section("config").expanded(environment);
    let faults = fields.faults();
    fields.finish();
    if let Some(Id(id)) = &id
        && !ids.insert(id.clone())
    {
        let what =
            if id == OWN || id == local::ID { "is reserved" } else { "is the id of another connector" };
        field.error(format!("has the id {id:?}, which {what}"), "choose another id");
    }
    let given = Given { id: id.as_ref().map_or("", |id| &id.0), environment, context };
    let kind = match kind? {
        Named::There(kind) => kind,
        Named::NotYet(kind) => {
            field.without_effect(&format!("type {kind}"));
            return Some(Entry::NotYet);
        }
    };
    let built = kind.build(&section, faults, &given)?;
    Some(Entry::Open(Opened {
        id: Arc::from(id?.0),
        kind: kind.kind,
        name: Arc::from(name?),
        grant_types: grant_types.into_iter().map(|GrantType(name)| name.to_owned()).collect(),
        audiences: built.audiences,
        connector: built.connector,
    }))
}

impl Kind {
    fn build(&self, section: &Section, faults: &Faults, given: &Given<'_>) -> Option<Built> {
        let mut fields = section.fields(self.keys, faults);
        let built = (self.read)(&mut fields, given);
        fields.finish();
        built
    }
}

/// What `type` names.
enum Named {
    There(&'static Kind),
    NotYet(&'static str),
}

impl Read for Named {
    const KIND: config::Kind = config::Kind::Word;

    fn read(field: &Field<'_>) -> Option<Self> {
        let word = field.string()?;
        let there = KINDS.iter().find(|kind| kind.kind == word).map(Self::There);
        let found =
            there.or_else(|| NOT_YET.iter().find(|kind| **kind == word).map(|kind| Self::NotYet(kind)));
        if found.is_none() {
            let kinds: Vec<_> = KINDS.iter().map(|kind| kind.kind).collect();
            let instead = format!("write one of {}", kinds.join(", "));
            field.error(format!("is {word:?}, which is not known"), instead);
        }
        found
    }
}

/// The id of a connector: part of every `sub`, so it is not empty.
struct Id(String);

impl Read for Id {
    const KIND: config::Kind = config::Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let id = field.string()?;
        if id.is_empty() {
            field.error("is empty", "write a name that never changes: it is part of every sub");
            return None;
        }
        Some(Self(id))
    }
}

/// A grant type that a connector may be used for.
struct GrantType(&'static str);

impl Read for GrantType {
    const KIND: config::Kind = config::Kind::Word;

    fn read(field: &Field<'_>) -> Option<Self> {
        field.one_of(&GRANT_TYPES.map(|name| (name, name))).map(Self)
    }
}

/// As in Dex (dex.md 2.2).
const GRANT_TYPES: [&str; 6] = [
    grant_type::AUTHORIZATION_CODE,
    grant_type::REFRESH_TOKEN,
    grant_type::IMPLICIT,
    grant_type::PASSWORD,
    grant_type::DEVICE_CODE,
    grant_type::TOKEN_EXCHANGE,
];

/// Dex's other kinds.
const NOT_YET: &[&str] = &["google", "saml", "samlExperimental"];

/// The provider's own tokens come under this id.
const OWN: &str = "self";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Files here that are no kind of their own.
    const SHARED: &[&str] = &["lib", "context", "key_source", "local", "oauth2", "root_ca", "vouching"];

    #[test]
    fn every_file_is_a_row_of_the_table_and_has_its_tests() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let files = std::fs::read_dir(here.join("src")).unwrap().map(|entry| stem(&entry.unwrap().path()));
        let files: BTreeSet<_> = files.filter(|stem| !SHARED.contains(&stem.as_str())).collect();
        let rows: BTreeSet<_> = KINDS.iter().map(|kind| stem(Path::new(kind.file))).collect();
        assert_eq!(files, rows);
        for row in rows {
            assert!(here.join(format!("tests/it/{row}.rs")).exists(), "{row} has no tests");
        }
    }

    #[test]
    fn a_kind_is_either_there_or_not_yet() {
        let there = KINDS.iter().map(|kind| kind.kind);
        assert!(there.clone().all(|kind| !NOT_YET.contains(&kind)));
        assert_eq!(there.clone().collect::<BTreeSet<_>>().len(), there.count());
    }
}
