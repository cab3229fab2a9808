//! One element of `staticPasswords`.

use std::str::FromStr as _;

use ambient::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use config::{Environment, Field};
use provider::connector::Identity;

/// Somebody who can sign in with a password.
pub(super) struct Row {
    pub(super) email: String,
    pub(super) hash: Secret<String>,
    pub(super) cost: u32,
    pub(super) identity: Identity,
}

impl Row {
    pub(super) fn read(field: &Field<'_>, environment: &Environment) -> Option<Self> {
        let mut fields = field.group();
        let email: Option<String> = fields.required("email");
        if !fields.is_written("hash") && !fields.is_written("hashFromEnv") {
            fields.missing("hash", "add it, or hashFromEnv; `obol hash-password` makes one");
        }
        let written: Option<Secret<String>> = fields.direct_or_env("hash", "hashFromEnv", environment);
        let username: String = fields.or_default("username");
        let name: String = fields.or_default("name");
        let identity = Identity {
            user_id: fields.or_default("userID"),
            username: if name.is_empty() { username } else { name },
            preferred_username: fields.or_default("preferredUsername"),
            email: email.clone().unwrap_or_default(),
            email_verified: fields.or("emailVerified", true),
            groups: fields.or_default("groups"),
        };
        fields.finish();
        if identity.user_id.is_empty() {
            field.error("has no userID", "add one that never changes: it is part of the sub");
        }
        let (hash, cost) = hash(field, written?.expose())?;
        Some(Self { email: email.filter(|email| !email.is_empty())?, hash, cost, identity })
    }
}

/// A bcrypt hash, or base64 of one, of a cost that is neither weak nor a way to keep us busy.
fn hash(field: &Field<'_>, written: &str) -> Option<(Secret<String>, u32)> {
    let decoded = || STANDARD.decode(written).ok().and_then(|raw| String::from_utf8(raw).ok());
    let cost = |text: &str| HashParts::from_str(text).ok().map(|parts| parts.get_cost());
    let found = cost(written)
        .map(|cost| (written.to_owned(), cost))
        .or_else(|| decoded().and_then(|text| cost(&text).map(|cost| (text, cost))));
    let Some((text, cost)) = found else {
        field.error("has a hash that is not bcrypt", "make one with `obol hash-password`");
        return None;
    };
    if !(LEAST_COST..=MOST_COST).contains(&cost) {
        let what =
            format!("has a bcrypt hash of cost {cost}; the cost must lie from {LEAST_COST} to {MOST_COST}");
        field.error(what, "make one with `obol hash-password`");
        return None;
    }
    Some((Secret::new(text), cost))
}

/// Dex's bounds.
pub(super) const LEAST_COST: u32 = 10;
const MOST_COST: u32 = 16;
