//! `claimMappings`: how claims become a user.

use std::collections::HashSet;

use config::{Field, Fields};
use expr::{Program, Want};

use super::rules::ClaimRules;
use super::{compile, text};
use crate::identity::{Mapping, Named, claims_env};

/// Reads them. `None`: they cannot be used, and the faults say why. `claims`: rules that may look at `email_verified`.
pub(super) fn read(entry: &mut Fields<'_>, claims: &ClaimRules) -> Option<Mapping> {
    let mut fields = entry.group("claimMappings");
    let username = named(&mut fields, "username", Need::Required);
    let groups = named(&mut fields, "groups", Need::Optional);
    let uid = named(&mut fields, "uid", Need::WithoutPrefix);
    let extra = read_extra(&mut fields);
    if let Some(Named::Expression(program)) = &username {
        check_email(program, &extra, claims, &fields);
    }
    fields.finish();
    Some(Mapping { uid, extra, ..Mapping::of_claims(username?, groups) })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    /// Optional, and `prefix` is no key of it.
    WithoutPrefix,
}

fn named(fields: &mut Fields<'_>, key: &str, need: Need) -> Option<Named> {
    let Some(mut group) = fields.optional_group(key) else {
        if need == Need::Required {
            fields.missing(key, "claim or expression is required");
        }
        return None;
    };
    let claim = text(&mut group, "claim");
    let expression = text(&mut group, "expression");
    let prefix = if need == Need::WithoutPrefix { None } else { group.take("prefix") };
    let has_prefix = prefix.is_some();
    let literal = prefix.as_ref().and_then(Field::string);
    let read = match (claim, expression) {
        (Some(_), Some(_)) => {
            group.error("claim and expression can't both be set", "keep one");
            None
        }
        (None, None) => {
            if need == Need::Required {
                group.error("has neither", "claim or expression is required");
            }
            None
        }
        (None, Some((source, field))) => {
            if let Some(prefix) = prefix {
                prefix.error("may not be specified when expression is set", "write it into the expression");
            }
            compile(&source, &field, &claims_env(), Want::Any).map(Box::new).map(Named::Expression)
        }
        (Some((claim, _)), None) => {
            if need != Need::WithoutPrefix && !has_prefix {
                group.missing("prefix", "it is required when claim is set; write \"\" for none");
            }
            Some(Named::claim(claim, literal.unwrap_or_default()))
        }
    };
    group.finish();
    read
}

fn read_extra(fields: &mut Fields<'_>) -> Vec<(String, Program)> {
    let mut read = Vec::new();
    let mut seen = HashSet::new();
    for element in fields.elements("extra") {
        let mut mapping = element.group();
        let key = text(&mut mapping, "key");
        let value = text(&mut mapping, "valueExpression");
        match &key {
            None => mapping.missing("key", "write a domain-prefixed path such as example.org/team"),
            Some((key, field)) => check_key(key, field),
        }
        let Some((source, field)) = value else {
            mapping.missing("valueExpression", "write an expression over claims");
            mapping.finish();
            continue;
        };
        mapping.finish();
        let Some((key, key_field)) = key else { continue };
        if !seen.insert(key.clone()) {
            key_field.error(format!("is a duplicate value: {key:?}"), "");
            continue;
        }
        read.extend(compile(&source, &field, &claims_env(), Want::Any).map(|program| (key, program)));
    }
    read
}

/// A domain that is not Kubernetes' own, a slash, and a path.
fn check_key(key: &str, field: &Field<'_>) {
    let (domain, path) = key.split_once('/').unwrap_or_default();
    let unfit = |what: &str| field.error(format!("is an invalid value: {key:?}: {what}"), "");
    if domain.is_empty() || path.is_empty() {
        unfit("must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    }
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if domain.len() > 253 || !domain.split('.').all(label) {
        unfit("its domain is no lowercase RFC 1123 subdomain");
    }
    if !path.chars().all(|c| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c)) {
        unfit("its path holds something else than letters, digits and /-._~%!$&'()*+,;=:");
    }
    if key.to_lowercase() != key {
        unfit("must be lowercase");
    }
    if ["kubernetes.io", "k8s.io"]
        .iter()
        .any(|own| domain.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.')))
    {
        unfit("k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use");
    }
}

/// An address may be anybody's until somebody looked whether it is verified.
fn check_email(username: &Program, extra: &[(String, Program)], claims: &ClaimRules, fields: &Fields<'_>) {
    let email = |program: &Program| {
        program
            .reads()
            .iter()
            .any(|path| matches!(&path[..], [root, claim, ..] if root == "claims" && claim == "email"))
            || program.selects("claims", "email")
    };
    let verified = |program: &Program| program.selects("claims", "email_verified");
    let looked = verified(username)
        || extra.iter().any(|(_, program)| verified(program))
        || claims.rules.iter().any(|rule| verified(&rule.program));
    if email(username) && !looked {
        fields.unfit(
            "username",
            "claims.email_verified must be used in claimMappings.username.expression or \
             claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in \
             claimMappings.username.expression",
        );
    }
}
