//! From an upstream's claims to somebody (dex.md 3.3). A person who signs in must have what the configuration asks for;
//! a machine whose token is exchanged has whatever it has, since its name is its subject (weakness T8).

use config::Fields;
use provider::connector::Identity;
use wire::claims::Claims;
use wire::json::{Object, Value};

use super::groups::Groups;

/// The keys of `config` that map claims.
pub(super) struct Mapping {
    user_id_key: String,
    user_name_key: String,
    /// The mapped claims win over the standard ones, instead of standing in for them.
    override_standard: bool,
    preferred_username_key: Option<String>,
    email_key: Option<String>,
    skip_email_verified: bool,
    groups: Groups,
}

/// Why claims do not make somebody.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// A claim is missing or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// `allowedGroups`
    #[error("none of the groups is among allowedGroups")]
    NotAllowed,
}

/// Whose claims are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Somebody who signed in, with the scope `email` or without it.
    Person {
        /// `email` and `email_verified` must be there.
        with_email: bool,
    },
    /// The subject of an exchanged token.
    Machine,
}

impl Mapping {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.spelling("claimMapping", "claimMappings");
        let mut mapped = fields.group("claimMapping");
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let preferred_username_key = text(mapped.optional("preferred_username"));
        let email_key = text(mapped.optional("email"));
        let groups_key = text(mapped.optional("groups"));
        mapped.finish();
        let override_standard = fields.or("overrideClaimMapping", false);
        Some(Self {
            user_id_key: text(fields.optional("userIDKey")).unwrap_or_else(|| "sub".into()),
            user_name_key: text(fields.optional("userNameKey")).unwrap_or_else(|| "name".into()),
            override_standard,
            preferred_username_key,
            email_key,
            skip_email_verified: fields.or("insecureSkipEmailVerified", false),
            groups: Groups::read(fields, groups_key, override_standard)?,
        })
    }

    /// Who that is.
    pub(super) fn identify(&self, claims: &Claims, who: Who) -> Result<Identity, Unfit> {
        let missing = |key: &str| Unfit::Incomplete(format!("there is no text in the claim {key:?}"));
        let named = |key: &str| claims.str(key).filter(|text| !text.is_empty());
        let subject = claims.subject().ok_or_else(|| missing("sub"))?;
        let user_id = named(&self.user_id_key).ok_or_else(|| missing(&self.user_id_key))?;
        let username = match (claims.str(&self.user_name_key), who) {
            (Some(name), _) => name,
            (None, Who::Machine) => subject,
            (None, Who::Person { .. }) => return Err(missing(&self.user_name_key)),
        };
        let preferred = self.mapped(claims, "preferred_username", self.preferred_username_key.as_deref());
        let (email, email_verified) = self.email(claims, who)?;
        Ok(Identity {
            user_id: user_id.to_owned(),
            username: username.to_owned(),
            preferred_username: preferred.unwrap_or_default().to_owned(),
            email,
            email_verified,
            groups: self.groups.of(claims)?,
        })
    }

    fn email(&self, claims: &Claims, who: Who) -> Result<(String, bool), Unfit> {
        let email = self.address(claims);
        let said = claims.get(VERIFIED);
        let verified = said.and_then(Value::as_bool);
        // The key stands in for a claim that is missing, not for one that says something else, be it a text.
        let assumed = said.is_none() && self.skip_email_verified;
        let demanded = who == Who::Person { with_email: true };
        if demanded && email.is_none() {
            let what = "there is no claim \"email\", although the scope email is asked for";
            return Err(Unfit::Incomplete(what.into()));
        }
        if demanded && verified.is_none() && !assumed {
            let what = if said.is_some() {
                "the claim \"email_verified\" must be true or false"
            } else {
                "there is no claim \"email_verified\"; insecureSkipEmailVerified takes it for true"
            };
            return Err(Unfit::Incomplete(what.into()));
        }
        let email = email.unwrap_or_default().to_owned();
        let verified = verified.unwrap_or(assumed) && !email.is_empty();
        Ok((email, verified))
    }

    /// The standard claim, or the mapped one where that is missing or overridden.
    fn mapped<'c>(&self, claims: &'c Claims, standard: &str, key: Option<&str>) -> Option<&'c str> {
        match (claims.str(standard), key) {
            (Some(found), None) => Some(found),
            (Some(found), Some(_)) if !self.override_standard => Some(found),
            (_, key) => key.and_then(|key| claims.str(key)),
        }
    }
}

impl Mapping {
    /// UserInfo's claims over those that are known. They must be of the same subject (OpenID Connect Core section
    /// 5.3.2). That an address is verified counts only from who names that address; that it is not, from either.
    pub(super) fn merged(&self, known: &Claims, userinfo: &Claims) -> Result<Claims, String> {
        let subject = userinfo.subject().ok_or("UserInfo does not say whom it speaks of")?;
        if known.subject().is_some_and(|one| one != subject) {
            return Err("UserInfo speaks of somebody else than the token".into());
        }
        let keep = |name: &str| userinfo.get(name).is_none() || PROTECTED.contains(&name);
        let from_known = known.object().iter().filter(|(name, _)| keep(name));
        let from_userinfo = userinfo
            .object()
            .iter()
            .filter(|(name, _)| !PROTECTED.contains(name) || known.get(name).is_none() && *name == "sub");
        let both = from_known.chain(from_userinfo).filter(|(name, _)| *name != VERIFIED);
        let members: Vec<_> = both.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        let joined = claims_of(members.clone())?;
        let verified = self.verified(self.address(&joined), [userinfo, known]);
        let verified = verified.map(|value| (VERIFIED.to_owned(), value.clone()));
        claims_of(members.into_iter().chain(verified).collect())
    }

    fn verified<'c>(&self, address: Option<&str>, sources: [&'c Claims; 2]) -> Option<&'c Value> {
        let says = |claims: &'c Claims| claims.get(VERIFIED);
        let of_it = sources.into_iter().filter(|claims| self.address(claims) == address).find_map(says);
        of_it.or_else(|| sources.into_iter().filter_map(says).find(|value| value.as_bool() != Some(true)))
    }

    fn address<'c>(&self, claims: &'c Claims) -> Option<&'c str> {
        self.mapped(claims, "email", self.email_key.as_deref())
    }
}

fn claims_of(members: Vec<(String, Value)>) -> Result<Claims, String> {
    let object = Object::from_members(members).ok_or("a claim stands twice")?;
    Claims::from_object(object).map_err(|why| why.to_string())
}

const VERIFIED: &str = "email_verified";

/// What UserInfo, which anybody's token opens, cannot say.
const PROTECTED: [&str; 12] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "azp", "nonce", "cnf", "client_id", "scope", "active"];
