//! Proof in, tokens out: the only place that signs.
//!
//! Claims stand in Dex's order (dex.md 1.6). An access token carries the same claims as an ID token, because kubectl
//! and others read them; the two are told apart by `typ` (RFC 9068 section 2.1).

use std::sync::Arc;
use std::time::Duration;

use ambient::{RandomExt as _, Secret, Time};
use serde::Serialize;
use serde::ser::SerializeMap as _;
use token::{Alg, SignError};
use wire::json::Value;
use wire::oauth::{ErrorCode, TokenResponse, TokenType};

use crate::Cx;
use crate::connector::Identity;
use crate::error::{Error, Fault, Refusal};
use crate::records::Stamped;
use crate::records::grant::Grant;
use crate::records::used::Once;
use crate::scope::{EMAIL, FEDERATED, GROUPS, PROFILE, Scopes};
use crate::settings::Settings;
use crate::store::Outcome;

/// What a grant has proven: who, for whom, how long. Everything in it has passed a policy.
pub(crate) struct Proof {
    pub subject: String,
    pub profile: Profile,
    /// `federated_claims`: connector and user there.
    pub federated: Option<(Arc<str>, String)>,
    /// Free claims of a policy; none of them is one that Obol emits itself.
    pub free: Vec<(String, Value)>,
    pub scopes: Scopes,
    /// Never empty.
    pub audience: Vec<Arc<str>>,
    pub client: Arc<str>,
    pub nonce: Option<String>,
    pub auth_time: Option<i64>,
    pub lifetime: Duration,
    /// No token lives past this.
    pub not_after: Option<Time>,
    pub alg: Option<Alg>,
    pub products: Products,
    pub spend: Option<Spend>,
    /// The written policy that granted: sealed into the token for introspection.
    pub policy: Option<Arc<str>>,
    /// What was handed in may be used once.
    pub once: Option<Once>,
}

/// What becomes of a grant once its tokens are signed: nothing is spent for an answer that cannot be given.
pub(crate) struct Spend {
    pub key: String,
    pub read: Stamped,
    pub next: Grant,
}

impl Proof {
    pub(crate) fn spending(self, spend: Spend) -> Self {
        Self { spend: Some(spend), ..self }
    }
}

/// Identity claims, each only if it is to be emitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// `email`
    pub email: Option<String>,
    /// `email_verified`
    pub email_verified: Option<bool>,
    /// `groups`
    pub groups: Vec<String>,
    /// `name`
    pub name: Option<String>,
    /// `preferred_username`
    pub preferred_username: Option<String>,
}

/// What comes out.
pub(crate) enum Products {
    /// One token, under the name it was asked for.
    Exchanged(TokenType),
    /// An access token, an ID token and perhaps a refresh token.
    Session { id_token: bool, refresh: Option<Secret<String>> },
}

impl Profile {
    /// What Dex emits for these scopes.
    pub fn by_scopes(identity: &Identity, scopes: &Scopes) -> Self {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (email, profile) = (scopes.has(EMAIL), scopes.has(PROFILE));
        Self {
            email: if email { some(&identity.email) } else { None },
            email_verified: email.then_some(identity.email_verified),
            groups: if scopes.has(GROUPS) { identity.groups.clone() } else { Vec::new() },
            name: if profile { some(&identity.username) } else { None },
            preferred_username: if profile { some(&identity.preferred_username) } else { None },
        }
    }
}

/// Signs what the proof allows, and then spends what it was proven with. `None`: somebody else was faster, and what was
/// signed is thrown away.
///
/// # Errors
/// [`Fault::Busy`] when signing has no capacity, the store's, [`Fault::Internal`] for anything else; a refusal if the
/// subject token has no time left.
pub(crate) async fn issue(cx: &mut Cx<'_>, mut proof: Proof) -> Result<Option<TokenResponse>, Error> {
    let expires = expiry(&proof, cx.now);
    let lives = expires.saturating_sub(cx.now.unix());
    if lives < 1 {
        return Err(Refusal::request("the subject token is not accepted")
            .because("it has no time left")
            .into());
    }
    let access_id = cx.provider.around.random.uuid();
    let (access, id_token) = sign_all(cx, &proof, &access_id, expires).await?;
    if let Some(Spend { key, read, next }) = proof.spend.take() {
        let records = cx.provider.records.clone();
        let change = async move { records.put(&key, read, &next).await };
        if cx.provider.around.tasks.finish(change).await?? == Outcome::Lost {
            return Ok(None);
        }
    }
    if let Some(once) = proof.once.take() {
        use_up(cx, once).await?;
    }
    record(cx, &proof, access_id, expires);
    Ok(Some(respond(proof, access, id_token, lives)))
}

/// Single use: whoever creates the record was the first, on whichever replica. A store that fails grants nothing.
async fn use_up(cx: &Cx<'_>, once: Once) -> Result<(), Error> {
    let records = cx.provider.records.clone();
    let create = async move { records.create(&once.key, &once.used).await };
    if cx.provider.around.tasks.finish(create).await?? == Outcome::Done {
        return Ok(());
    }
    let refusal = Refusal::request("the subject token is not accepted")
        .because("it was used before, and the policy allows one use")
        .as_dex(ErrorCode::AccessDenied, 401);
    Err(refusal.into())
}

/// The claims of the token that would be issued, without what each token has for itself.
pub(crate) fn preview(settings: &Settings, proof: &Proof, now: Time) -> Result<serde_json::Value, Refusal> {
    let expires = expiry(proof, now);
    if expires.saturating_sub(now.unix()) < 1 {
        let refusal = Refusal::request("the subject token is not accepted");
        return Err(refusal.because("it has no time left"));
    }
    let mut claims = Claims::of(proof, &settings.issuer.text, now.unix(), expires);
    claims.for_client = true;
    let mut shown = serde_json::to_value(claims).unwrap_or_default();
    if let Some(members) = shown.as_object_mut() {
        members.remove("jti");
    }
    Ok(shown)
}

async fn sign_all(
    cx: &Cx<'_>,
    proof: &Proof,
    access_id: &str,
    expires: i64,
) -> Result<(String, Option<String>), Error> {
    let alg = proof.alg.unwrap_or(cx.settings().signer.default_alg);
    let signer = cx.provider.ring().signer(alg).map_err(|error| Fault::Internal(error.to_string()))?;
    let hash = |of: &str| alg.left_half_hash(of);
    // Dex computes the `at_hash` of an access token over a random value; readers may expect the claim.
    let random_hash = hash(access_id);
    let mut claims = Claims::of(proof, &cx.living.settings.issuer.text, cx.now.unix(), expires);
    claims.id = access_id;
    claims.policy = seal_policy(cx, proof.policy.as_deref(), access_id)?;
    claims.at_hash = Some(&random_hash);
    claims.for_client = true;
    match &proof.products {
        Products::Exchanged(kind) => {
            if *kind == TokenType::IdToken {
                claims.at_hash = None;
            }
            let typ = if *kind == TokenType::AccessToken { ACCESS } else { ID };
            Ok((sign(&*signer, typ, &claims).await?, None))
        }
        Products::Session { id_token, .. } => {
            let access = sign(&*signer, ACCESS, &claims).await?;
            if !id_token {
                return Ok((access, None));
            }
            let (id, real_hash) = (cx.provider.around.random.uuid(), hash(&access));
            claims.id = &id;
            claims.at_hash = Some(&real_hash);
            claims.for_client = false;
            let id_token = sign(&*signer, ID, &claims).await?;
            Ok((access, Some(id_token)))
        }
    }
}

fn seal_policy(cx: &Cx<'_>, policy: Option<&str>, token_id: &str) -> Result<Option<String>, Error> {
    let Some(policy) = policy else { return Ok(None) };
    let around = &cx.provider.around;
    let sealed = cx.provider.cookies.seal_policy(&*around.random, token_id, policy);
    sealed.map(Some).ok_or_else(|| Fault::Internal("the policy's name cannot be sealed".into()).into())
}

async fn sign(signer: &dyn token::Signer, typ: &str, claims: &Claims<'_>) -> Result<String, Error> {
    let payload = serde_json::to_vec(claims).map_err(|e| Fault::Internal(e.to_string()))?;
    token::sign_jwt(signer, Some(typ), &payload).await.map_err(|error| {
        Error::Fault(match error {
            SignError::Busy => Fault::Busy { retry_after: Duration::from_secs(1) },
            other => Fault::Internal(other.to_string()),
        })
    })
}

fn expiry(proof: &Proof, now: Time) -> i64 {
    let by_policy = now + proof.lifetime;
    proof.not_after.map_or(by_policy, |bound| bound.min(by_policy)).unix()
}

fn record(cx: &mut Cx<'_>, proof: &Proof, token_id: String, expires: i64) {
    cx.decision.subject = Some(proof.subject.clone());
    cx.decision.audience.clone_from(&proof.audience);
    cx.decision.token_id = Some(token_id);
    cx.decision.lifetime = Some(Time::from_unix(expires).since(cx.now));
}

fn respond(proof: Proof, access_token: String, id_token: Option<String>, expires_in: i64) -> TokenResponse {
    let scope = proof.scopes.to_text();
    match proof.products {
        Products::Exchanged(kind) => TokenResponse {
            access_token,
            issued_token_type: Some(kind.uri()),
            // RFC 8693 section 2.2.1: what is no access token is not called a bearer token (Dex weakness T6).
            token_type: if kind == TokenType::AccessToken { BEARER } else { "N_A" },
            expires_in,
            refresh_token: None,
            id_token: None,
            scope,
        },
        Products::Session { refresh, .. } => TokenResponse {
            access_token,
            issued_token_type: None,
            token_type: BEARER,
            expires_in,
            refresh_token: refresh.map(|secret| secret.expose().clone()),
            id_token,
            scope,
        },
    }
}

/// The payload, in Dex's order and then ours.
struct Claims<'a> {
    issuer: &'a str,
    issued: i64,
    expires: i64,
    id: &'a str,
    at_hash: Option<&'a str>,
    /// Whether `client_id` and `scope` stand in it (RFC 9068 section 2.2, RFC 8693 section 4.3).
    for_client: bool,
    scope: Option<String>,
    policy: Option<String>,
    proof: &'a Proof,
}

impl<'a> Claims<'a> {
    fn of(proof: &'a Proof, issuer: &'a str, issued: i64, expires: i64) -> Self {
        Self {
            issuer,
            issued,
            expires,
            id: "",
            at_hash: None,
            for_client: false,
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
        if proof.audience.len() > 1 {
            map.serialize_entry("azp", &*proof.client)?;
        }
        entry(&mut map, "nonce", proof.nonce.as_ref())?;
        entry(&mut map, "auth_time", proof.auth_time.as_ref())?;
        entry(&mut map, "at_hash", self.at_hash.as_ref())?;
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
pub(crate) const OWN_CLAIMS: [&str; 28] = [
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
];

/// The name of the written policy that granted a token, sealed: whoever holds the token learns no rule from it, and
/// whoever asks by introspection is told, and a token whose policy is gone is dead, without a record of each token.
pub(crate) const POLICY: &str = "obol_policy";

/// RFC 9068 section 2.1
const ACCESS: &str = "at+jwt";
const ID: &str = "JWT";
/// Lower case, as Dex writes it (RFC 6749 section 5.1: case-insensitive).
const BEARER: &str = "bearer";
