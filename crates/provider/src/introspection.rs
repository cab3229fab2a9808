//! What a token was issued for (RFC 7662): asked by a client that can keep a secret, answered about tokens that concern
//! it. Everything else is exactly `{"active":false}` (attack list 23; Dex weaknesses P1, P2).
//!
//! A token is looked at as at any use: its client, its connector and the policy that granted it must still be there.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use token::{OwnAccessToken, UnverifiedJwt, Verified};
use wire::claims::Claims;
use wire::form::Form;
use wire::json::Value;

use crate::clients::{Client, failed};
use crate::error::{Error, Refusal};
use crate::issue::POLICY;
use crate::{Cx, Peer, Provider, own, revocation, userinfo};

/// The answer. Without `facts` it says nothing but `active: false`.
#[derive(Debug, Serialize)]
pub struct Introspection {
    /// Whether the token is good now, and the asker's business.
    pub active: bool,
    /// The rest.
    #[serde(flatten)]
    pub facts: Option<Facts>,
}

/// What is said of an active token: RFC 7662 section 2.2, Dex's extensions (dex.md 1.15), and `policy`.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the members are the claims of the same name")]
pub struct Facts {
    pub iss: String,
    pub sub: String,
    pub aud: Vec<String>,
    pub client_id: String,
    pub exp: i64,
    pub iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    pub token_type: &'static str,
    pub token_use: &'static str,
    /// The written policy that granted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The identity claims, as Dex tells them.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub ext: serde_json::Map<String, serde_json::Value>,
}

impl Provider {
    /// Answers for a token.
    ///
    /// # Errors
    /// `invalid_client` without the authentication of a client that has a secret, `invalid_request` without a token.
    pub async fn introspect(
        &self,
        peer: &Peer,
        authorization: Option<&str>,
        form: &Form<'_>,
    ) -> Result<Introspection, Error> {
        let mut cx = self.begin(peer, ACTION);
        let outcome = answer(&mut cx, authorization, form).await;
        cx.close(&outcome);
        outcome
    }
}

async fn answer(
    cx: &mut Cx<'_>,
    authorization: Option<&str>,
    form: &Form<'_>,
) -> Result<Introspection, Error> {
    let asker = cx.authenticate(authorization, form)?;
    if asker.public || asker.secret.is_none() {
        return Err(failed("a public client proves nothing about itself").into());
    }
    let raw = form.get("token").ok_or_else(|| Refusal::request("token is missing"))?;
    match facts(cx, &asker, raw).await {
        Ok(facts) => Ok(Introspection { active: true, facts: Some(facts) }),
        Err(why) => {
            cx.decision.reason = Some(format!("inactive: {why}").into());
            Ok(Introspection { active: false, facts: None })
        }
    }
}

/// The error is for the audit log alone.
async fn facts(cx: &mut Cx<'_>, asker: &Client, raw: &str) -> Result<Facts, Cow<'static, str>> {
    let unverified = UnverifiedJwt::parse(raw).map_err(|error| error.to_string())?;
    let verified =
        userinfo::verifier(cx).verify(unverified, cx.now).await.map_err(|error| error.to_string())?;
    let audience: Vec<String> = verified.audience().map(str::to_owned).collect();
    let claims = verified.claims();
    let client = claims.str("client_id").or_else(|| verified.authorized_party());
    let client = client.or(audience.first().map(String::as_str)).unwrap_or_default().to_owned();
    if client != *asker.id && !audience.iter().any(|name| **name == *asker.id) {
        return Err("the asker is neither in its audience nor its client".into());
    }
    let policy = living(cx, &verified, &client)?;
    if let Some(why) = revocation::ended(cx, claims).await.map_err(|error| error.to_string())? {
        return Err(why.into());
    }
    cx.decision.subject = verified.subject().map(str::to_owned);
    cx.decision.token_id = claims.id().map(str::to_owned);
    cx.decision.policy = policy.as_deref().map(Arc::from);
    let text = |name: &str| claims.str(name).map(str::to_owned);
    let ext = EXT
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), serde_json::to_value(claims.get(name)?).ok()?)));
    Ok(Facts {
        iss: cx.living.settings.issuer.text.to_string(),
        sub: verified.subject().unwrap_or_default().to_owned(),
        client_id: client,
        exp: verified.expires().unix(),
        iat: claims.get("iat").and_then(Value::as_int).unwrap_or_default(),
        jti: claims.id().map(str::to_owned),
        scope: text("scope"),
        username: text("preferred_username"),
        token_type: "Bearer",
        token_use: "access_token",
        policy,
        ext: ext.collect(),
        aud: audience,
    })
}

/// Every use looks at the living configuration. The policy's name, if a written one granted.
fn living(
    cx: &Cx<'_>,
    verified: &Verified<OwnAccessToken>,
    client: &str,
) -> Result<Option<String>, Cow<'static, str>> {
    let living = &cx.living;
    if living.settings.clients.find(client).is_none() {
        return Err("its client is gone".into());
    }
    if let Some(origin) = verified.subject().and_then(own::origin)
        && living.connector(&origin.second).is_none()
    {
        return Err("its connector is gone".into());
    }
    Ok(policy(cx, verified.claims())?)
}

/// The written policy that a token of ours was granted under, if one was. It must still be in force.
pub(crate) fn policy(cx: &Cx<'_>, claims: &Claims) -> Result<Option<String>, &'static str> {
    let Some(sealed) = claims.str(POLICY) else { return Ok(None) };
    let opened = cx.provider.cookies.open_policy(claims.id().unwrap_or_default(), sealed);
    let name = opened.ok_or("the policy that granted it cannot be read")?;
    match &cx.living.settings.exchange {
        Some(policies) if policies.allows(&name) => Ok(Some(name)),
        _ => Err("the policy that granted it is gone"),
    }
}

const ACTION: &str = "introspection";
/// The claims that Dex tells of.
const EXT: [&str; 7] =
    ["azp", "email", "email_verified", "groups", "name", "preferred_username", "federated_claims"];
