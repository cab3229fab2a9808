//! Kubernetes' AuthenticationConfiguration (`apiserver.config.k8s.io`), read as the API server reads it.
//!
//! A file that is accepted here is accepted there and makes the same users of the same tokens; what is refused here alone
//! stands in docs/authentication.md. Every fault is told at once, under the path that the API server names.

mod issuer;
mod mappings;
mod rules;

use std::collections::HashSet;

use config::{Faults, Field, Fields, KeyStyle};
use expr::{Program, Want};

pub use issuer::kubernetes_algs;

use crate::issuers::IssuerSpec;

/// A file that was read.
#[derive(Debug)]
pub struct Configuration {
    /// The issuers whose tokens are accepted.
    pub issuers: Vec<IssuerSpec>,
    /// Who may come without any credential; `None`: the file does not say.
    pub anonymous: Option<Anonymous>,
}

/// Who may come without any credential.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// Nobody.
    #[default]
    Nobody,
    /// Everybody.
    Everywhere,
    /// Everybody, to exactly these paths.
    Paths(Vec<String>),
}

impl Anonymous {
    /// Whether a request to `path` needs no credential.
    pub(crate) fn allows(&self, path: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everywhere => true,
            Self::Paths(paths) => paths.iter().any(|allowed| allowed == path),
        }
    }
}

impl Configuration {
    /// Reads a file. `None`: it cannot be used, and the faults say why.
    pub fn read(text: &str, file: &str, faults: &Faults) -> Option<Self> {
        let section = config::parse_file(text, file, faults)?;
        let mut root = section.fields(KeyStyle::Ours, faults);
        check_kind(&mut root);
        let written = root.elements("jwt");
        if written.len() > MOST_ISSUERS {
            root.error(format!("jwt has {} entries", written.len()), "at most 64 are allowed");
        }
        let mut seen = Seen::default();
        let issuers: Vec<_> = written.iter().map(|entry| issuer::read(entry, &mut seen)).collect();
        let anonymous = root.optional_group("anonymous").map(read_anonymous);
        root.finish();
        let issuers = issuers.into_iter().collect::<Option<Vec<_>>>()?;
        (!faults.has_errors()).then_some(Self { issuers, anonymous })
    }
}

/// What may stand in a file only once.
#[derive(Default)]
struct Seen {
    issuers: HashSet<String>,
    discovery: HashSet<String>,
}

fn check_kind(root: &mut Fields<'_>) {
    let versions: Vec<_> = VERSIONS.iter().map(|version| (*version, ())).collect();
    for (key, words) in [("apiVersion", &versions[..]), ("kind", &[("AuthenticationConfiguration", ())])] {
        match root.take(key) {
            Some(field) => _ = field.one_of(words),
            None => root.missing(key, format!("write {}", words.first().map_or("", |word| word.0))),
        }
    }
}

fn read_anonymous(mut fields: Fields<'_>) -> Anonymous {
    let enabled = fields.or("enabled", false);
    let conditions = fields.elements("conditions");
    let paths: Vec<String> = conditions
        .iter()
        .map(|condition| {
            let mut condition = condition.group();
            let path = condition.required("path");
            condition.finish();
            path.unwrap_or_default()
        })
        .collect();
    if !enabled && !conditions.is_empty() {
        fields.error("enabled should be set to true when conditions are defined", "");
    }
    fields.finish();
    match (enabled, paths.is_empty()) {
        (false, _) => Anonymous::Nobody,
        (true, true) => Anonymous::Everywhere,
        (true, false) => Anonymous::Paths(paths),
    }
}

/// A text that says something; the API server takes an empty one for none.
fn text<'f>(fields: &mut Fields<'f>, key: &str) -> Option<(String, Field<'f>)> {
    let field = fields.take(key)?;
    let text = field.string()?;
    (!text.is_empty()).then_some((text, field))
}

/// Compiles an expression, or says what is wrong with it.
fn compile(source: &str, field: &Field<'_>, env: &expr::Env, want: Want) -> Option<Program> {
    if let Some(name) = escaped(source) {
        field.error(
            format!("uses {name:?}, which the API server takes for an escaped name"),
            "write the name itself: claims[\"a.b\"]",
        );
        return None;
    }
    match Program::compile(source, env, want) {
        Ok(program) if program.loops_over("claims") => {
            field.error("loops over the claims themselves", "name the claim: dyn(claims.groups)");
            None
        }
        Ok(program) => Some(program),
        Err(fault) => {
            field.error(format!("compilation failed: {fault}"), "");
            None
        }
    }
}

/// `__dot__` and its like. The API server looks for `a.b` where an expression says `a__dot__b`, in the claims and in maps that
/// the expression made alike; one reading here and another there would be two identities.
fn escaped(source: &str) -> Option<&str> {
    let (at, _) = source.match_indices("__").find(|(at, _)| {
        let rest = source.get(at + 2..).unwrap_or_default();
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        word > 0 && rest.get(word..).is_some_and(|rest| rest.starts_with("__"))
    })?;
    let rest = source.get(at + 2..)?;
    source.get(at..at + 2 + rest.find("__")? + 2)
}

const VERSIONS: [&str; 3] =
    ["apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1", "apiserver.config.k8s.io/v1alpha1"];

const MOST_ISSUERS: usize = 64;
