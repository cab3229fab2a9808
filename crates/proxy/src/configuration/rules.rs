//! `claimValidationRules` and `userValidationRules`.

use std::collections::HashSet;

use config::Fields;
use expr::Want;

use super::{compile, text};
use crate::identity::{Rule, claims_env, user_env};

/// What was read of `claimValidationRules`.
#[derive(Default)]
pub(super) struct ClaimRules {
    pub(super) required: Vec<(String, String)>,
    pub(super) rules: Vec<Rule>,
}

pub(super) fn claims(fields: &mut Fields<'_>) -> ClaimRules {
    let mut read = ClaimRules::default();
    let (mut seen_claims, mut seen_expressions) = (HashSet::new(), HashSet::new());
    for element in fields.elements("claimValidationRules") {
        let mut rule = element.group();
        let claim = text(&mut rule, "claim");
        let value = text(&mut rule, "requiredValue");
        let expression = text(&mut rule, "expression");
        let message = text(&mut rule, "message");
        match (claim, expression) {
            (Some(_), Some(_)) => element.error("claim and expression can't both be set", "keep one"),
            (None, None) => element.error("has neither", "claim or expression is required"),
            (Some((claim, field)), None) => {
                if let Some((_, field)) = message {
                    field.error("may not be specified when claim is set", "");
                }
                if !seen_claims.insert(claim.clone()) {
                    field.error(format!("is a duplicate value: {claim:?}"), "");
                }
                read.required.push((claim, value.map(|(value, _)| value).unwrap_or_default()));
            }
            (None, Some((source, field))) => {
                if let Some((_, field)) = value {
                    field.error("may not be specified when expression is set", "");
                }
                if !seen_expressions.insert(source.clone()) {
                    field.error("is a duplicate value", "");
                } else if let Some(program) = compile(&source, &field, &claims_env(), Want::Bool) {
                    let message = message.map(|(message, _)| message).unwrap_or_default();
                    read.rules.push(Rule { program, message });
                }
            }
        }
        rule.finish();
    }
    read
}

pub(super) fn users(fields: &mut Fields<'_>) -> Vec<Rule> {
    let mut read = Vec::new();
    let mut seen = HashSet::new();
    for element in fields.elements("userValidationRules") {
        let mut rule = element.group();
        let expression = text(&mut rule, "expression");
        let message = text(&mut rule, "message").map(|(message, _)| message).unwrap_or_default();
        match expression {
            None => rule.missing("expression", "write what must hold of `user`"),
            Some((source, field)) if !seen.insert(source.clone()) => field.error("is a duplicate value", ""),
            Some((source, field)) => {
                let program = compile(&source, &field, &user_env(), Want::Bool);
                read.extend(program.map(|program| Rule { program, message }));
            }
        }
        rule.finish();
    }
    read
}
