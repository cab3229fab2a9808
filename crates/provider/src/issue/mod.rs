//! Proof in, tokens out: the only place that signs.
//!
//! Claims stand in Dex's order (dex.md 1.6). An access token carries the same claims as an ID token, because kubectl
//! and others read them; the two are told apart by `typ` (RFC 9068 section 2.1).

mod claims;

use std::sync::Arc;
use std::time::Duration;

use ambient::{RandomExt as _, Secret, Time};
use token::{Alg, SignError, Signer};
use wire::json::Value;
use wire::oauth::{ErrorCode, TokenResponse, TokenType};

use claims::Claims;
pub(crate) use claims::{GRANT, OWN_CLAIMS, POLICY};

use crate::Cx;
use crate::clients::AccessTokens;
use crate::connector::Identity;
use crate::error::{Error, Fault, Refusal};
use crate::records::Stamped;
use crate::records::grant::Grant;
use crate::records::used::Once;
use crate::response_type::ResponseType;
use crate::scope::{EMAIL, GROUPS, PROFILE, Scopes};
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
    /// The grant that lives on after this answer: its end is the tokens' end.
    pub grant: Option<String>,
}

/// What becomes of a grant once its tokens are signed: nothing is spent for an answer that cannot be given.
pub(crate) struct Spend {
    pub key: String,
    /// As it was read; none if it is new.
    pub read: Option<Stamped>,
    pub next: Grant,
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
        let change = async move {
            match read {
                Some(read) => records.put(&key, read, &next).await,
                None => records.create(&key, &next).await,
            }
        };
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

/// What is about to be signed.
struct Signing<'a> {
    cx: &'a Cx<'a>,
    proof: &'a Proof,
    signer: Arc<dyn Signer>,
    expires: i64,
    /// Access tokens without what belongs to an ID token.
    lean: bool,
}

impl<'a> Signing<'a> {
    fn new(cx: &'a Cx<'_>, proof: &'a Proof, expires: i64) -> Result<Self, Error> {
        let alg = proof.alg.unwrap_or(cx.settings().signer.default_alg);
        let signer = cx.provider.ring().signer(alg).map_err(|error| Fault::Internal(error.to_string()))?;
        let client = cx.settings().clients.find(&proof.client);
        let lean = client.is_some_and(|client| client.access_tokens == AccessTokens::Rfc9068);
        Ok(Self { cx, proof, signer, expires, lean })
    }

    fn hash(&self, of: &str) -> String {
        self.signer.alg().left_half_hash(of)
    }

    fn claims(&self) -> Claims<'a> {
        Claims::of(self.proof, &self.cx.living.settings.issuer.text, self.cx.now.unix(), self.expires)
    }

    /// An access token, or what an exchange gives in its place.
    async fn access(&self, id: &str, kind: TokenType) -> Result<String, Error> {
        // Dex computes the `at_hash` of an access token over a random value; readers may expect the claim.
        let random_hash = self.hash(id);
        let claims = Claims {
            id,
            policy: seal_policy(self.cx, self.proof.policy.as_deref(), id)?,
            at_hash: (kind != TokenType::IdToken).then_some(&*random_hash),
            for_client: true,
            lean: self.lean && kind == TokenType::AccessToken,
            ..self.claims()
        };
        let typ = if kind == TokenType::AccessToken { ACCESS } else { ID };
        sign(&*self.signer, typ, &claims).await
    }

    /// An ID token, bound to what is handed out with it (OpenID Connect Core section 3.3.2.11).
    async fn id_token(&self, access: Option<&str>, code: Option<&str>) -> Result<String, Error> {
        let id = self.cx.provider.around.random.uuid();
        let (at_hash, c_hash) = (access.map(|text| self.hash(text)), code.map(|text| self.hash(text)));
        let claims =
            Claims { id: &id, at_hash: at_hash.as_deref(), c_hash: c_hash.as_deref(), ..self.claims() };
        sign(&*self.signer, ID, &claims).await
    }
}

async fn sign_all(
    cx: &Cx<'_>,
    proof: &Proof,
    access_id: &str,
    expires: i64,
) -> Result<(String, Option<String>), Error> {
    let signing = Signing::new(cx, proof, expires)?;
    match &proof.products {
        Products::Exchanged(kind) => Ok((signing.access(access_id, *kind).await?, None)),
        Products::Session { id_token, .. } => {
            let access = signing.access(access_id, TokenType::AccessToken).await?;
            let id_token = if *id_token { Some(signing.id_token(Some(&access), None).await?) } else { None };
            Ok((access, id_token))
        }
    }
}

/// What the authorization endpoint itself hands out beside `code`, as parameters of its answer (OpenID Connect Core
/// sections 3.2.2.5 and 3.3.2.5).
///
/// # Errors
/// As [`issue`].
pub(crate) async fn issue_in_front(
    cx: &mut Cx<'_>,
    proof: Proof,
    response: ResponseType,
    code: Option<&str>,
) -> Result<Vec<(&'static str, String)>, Error> {
    let expires = expiry(&proof, cx.now);
    let access_id = cx.provider.around.random.uuid();
    let signing = Signing::new(cx, &proof, expires)?;
    let mut fields = Vec::new();
    let access =
        if response.token { Some(signing.access(&access_id, TokenType::AccessToken).await?) } else { None };
    if response.id_token {
        fields.push(("id_token", signing.id_token(access.as_deref(), code).await?));
    }
    if let Some(access) = access {
        fields.push(("access_token", access));
        fields.push(("token_type", BEARER.to_owned()));
        fields.push(("expires_in", expires.saturating_sub(cx.now.unix()).to_string()));
        fields.extend(proof.scopes.to_text().map(|scope| ("scope", scope)));
    }
    record(cx, &proof, access_id, expires);
    Ok(fields)
}

fn seal_policy(cx: &Cx<'_>, policy: Option<&str>, token_id: &str) -> Result<Option<String>, Error> {
    let Some(policy) = policy else { return Ok(None) };
    let around = &cx.provider.around;
    let sealed = cx.provider.cookies.seal_policy(&*around.random, token_id, policy);
    sealed.map(Some).ok_or_else(|| Fault::Internal("the policy's name cannot be sealed".into()).into())
}

async fn sign(signer: &dyn Signer, typ: &str, claims: &Claims<'_>) -> Result<String, Error> {
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

/// RFC 9068 section 2.1
const ACCESS: &str = "at+jwt";
const ID: &str = "JWT";
/// Lower case, as Dex writes it (RFC 6749 section 5.1: case-insensitive).
const BEARER: &str = "bearer";
