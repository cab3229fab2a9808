//! The payload of the tokens that are issued.

use serde::Serialize;
use serde::ser::SerializeMap as _;

use super::Proof;
use crate::scope::FEDERATED;

/// The payload, in Dex's order and then ours.
pub(super) struct Claims<'a> {
    pub(super) issuer: &'a str,
    pub(super) issued: i64,
    pub(super) expires: i64,
    pub(super) id: &'a str,
    pub(super) at_hash: Option<&'a str>,
    pub(super) c_hash: Option<&'a str>,
    /// Whether `client_id` and `scope` stand in it (RFC 9068 section 2.2, RFC 8693 section 4.3).
    pub(super) for_client: bool,
    /// Whether what belongs to an ID token alone is left out (RFC 9068 section 2.2).
    pub(super) lean: bool,
    pub(super) scope: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) proof: &'a Proof,
}

impl<'a> Claims<'a> {
    pub(super) fn of(proof: &'a Proof, issuer: &'a str, issued: i64, expires: i64) -> Self {
        Self {
            issuer,
            issued,
            expires,
            id: "",
            at_hash: None,
            c_hash: None,
            for_client: false,
            lean: false,
            scope: proof.scopes.to_text(),
            policy: None,
            proof,
        }
    }
}

impl Serialize for Claims<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let proof = self.proof;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", self.issuer)?;
        map.serialize_entry("sub", &proof.subject)?;
        match proof.audience.as_slice() {
            [one] => map.serialize_entry("aud", &**one)?,
            many => map.serialize_entry("aud", &many.iter().map(|aud| &**aud).collect::<Vec<_>>())?,
        }
        map.serialize_entry("exp", &self.expires)?;
        map.serialize_entry("iat", &self.issued)?;
        map.serialize_entry("jti", self.id)?;
        if proof.audience.len() > 1 && !self.lean {
            map.serialize_entry("azp", &*proof.client)?;
        }
        entry(&mut map, "nonce", proof.nonce.as_ref().filter(|_| !self.lean))?;
        entry(&mut map, "auth_time", proof.auth_time.as_ref())?;
        entry(&mut map, "at_hash", self.at_hash.as_ref().filter(|_| !self.lean))?;
        entry(&mut map, "c_hash", self.c_hash.as_ref())?;
        entry(&mut map, "email", proof.profile.email.as_ref())?;
        entry(&mut map, "email_verified", proof.profile.email_verified.as_ref())?;
        if !proof.profile.groups.is_empty() {
            map.serialize_entry("groups", &proof.profile.groups)?;
        }
        entry(&mut map, "name", proof.profile.name.as_ref())?;
        entry(&mut map, "preferred_username", proof.profile.preferred_username.as_ref())?;
        if let Some((connector, user)) = proof.federated.as_ref().filter(|_| proof.scopes.has(FEDERATED)) {
            map.serialize_entry("federated_claims", &Federated { connector_id: connector, user_id: user })?;
        }
        if self.for_client {
            map.serialize_entry("client_id", &*proof.client)?;
            entry(&mut map, "scope", self.scope.as_ref())?;
            entry(&mut map, GRANT, proof.grant.as_ref())?;
        }
        entry(&mut map, POLICY, self.policy.as_ref())?;
        for (name, value) in &proof.free {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Federated<'a> {
    connector_id: &'a str,
    user_id: &'a str,
}

fn entry<M: serde::ser::SerializeMap, T: Serialize>(
    map: &mut M,
    name: &str,
    value: Option<&T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// Every claim that Obol may emit itself: a policy's free claims may hold none of them.
pub(crate) const OWN_CLAIMS: [&str; 29] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "auth_time",
    "sid",
    "at_hash",
    "c_hash",
    "email",
    "email_verified",
    "groups",
    "name",
    "preferred_username",
    "federated_claims",
    "client_id",
    "scope",
    "act",
    "may_act",
    "cnf",
    "events",
    "acr",
    "amr",
    POLICY,
    GRANT,
];

/// The name of the written policy that granted a token, sealed: whoever holds the token learns no rule from it, and
/// whoever asks by introspection is told, and a token whose policy is gone is dead, without a record of each token.
pub(crate) const POLICY: &str = "obol_policy";

/// The id of the grant that a token came of: when that is ended, so are its tokens. It opens nothing.
pub(crate) const GRANT: &str = "obol_grant";
