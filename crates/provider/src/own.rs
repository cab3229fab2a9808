//! Obol's own tokens as subject tokens: they may be narrowed, never lengthened or widened. They come through the
//! connector seam like anybody else's.

use std::sync::Arc;

use ambient::{BoxFuture, Time};
use token::{Audience, Expect, KeyRing, OwnSubjectToken, Trust, UnverifiedJwt, Verified, Verifier};
use wire::claims::Claims;
use wire::dex::Pair;
use wire::json::Value;
use wire::oauth::{ErrorCode, TokenType};

use crate::connector::{
    Connector, Flow, Identity, Opened, Presented, SubjectAudience, SubjectAudiences, VouchError,
    VouchSubject, Vouched,
};
use crate::error::Refusal;
use crate::policy::Question;
use crate::scope::{EMAIL, FEDERATED, GROUPS, OPENID, PROFILE, Scopes};
use crate::settings::Issuer;

struct OwnTokens {
    issuer: Arc<str>,
    verifier: Verifier<OwnSubjectToken>,
}

/// The connector of our own tokens.
pub(crate) fn opened(issuer: &Issuer, ring: &Arc<KeyRing>) -> Opened {
    // The audience is judged by the policy, which knows who asks.
    let expect = Expect::new(Arc::clone(&issuer.text), Audience::Unrestricted);
    let verifier = Verifier::new(Trust::new(ID), KeyRing::clone(ring), expect);
    Opened {
        id: Arc::from(ID),
        kind: ID,
        name: Arc::from("Obol's own tokens"),
        grant_types: Arc::from([]),
        // Nobody but the audience or the asking client: the policy adds that client.
        audiences: SubjectAudiences::AnyOf(Arc::from([])),
        connector: Arc::new(OwnTokens { issuer: Arc::clone(&issuer.text), verifier }),
    }
}

/// Whether a connector is this one.
pub(crate) fn is_own(connector: &Opened) -> bool {
    connector.kind == ID
}

/// What is asked for must already be in the token: an exchange of our own token adds no scope.
pub(crate) fn check_narrowing(question: &Question<'_>, scopes: &Scopes) -> Result<(), Refusal> {
    if scopes.clone().without(OPENID).within(&held(&question.vouched.claims)) {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::InvalidScope, "the subject token does not hold all of these scopes"))
    }
}

/// What a token was issued for: its `scope`. ID tokens have none; what stands in them tells.
fn held(claims: &Claims) -> Scopes {
    if let Some(written) = claims.str("scope") {
        return Scopes::parse(written).unwrap_or_default();
    }
    let shown = SHOWS.into_iter().filter(|(claim, _)| claims.get(claim).is_some());
    Scopes::from_stored(&shown.map(|(_, scope)| scope.to_owned()).collect::<Vec<_>>())
}

impl Connector for OwnTokens {
    fn flow(&self) -> Flow<'_> {
        Flow::None
    }

    fn subject(&self) -> Option<&dyn VouchSubject> {
        Some(self)
    }
}

impl VouchSubject for OwnTokens {
    fn may_own(&self, unverified: &UnverifiedJwt<'_>) -> bool {
        unverified.unverified_issuer() == Some(&*self.issuer)
    }

    fn vouch<'a>(&'a self, token: Presented<'a>, now: Time) -> BoxFuture<'a, Result<Vouched, VouchError>> {
        Box::pin(async move {
            let rejected = |why: &str| VouchError::Rejected(why.to_owned());
            let unverified = token.unverified.ok_or_else(|| rejected("not a JWT"))?;
            let verified = self
                .verifier
                .verify(unverified, now)
                .await
                .map_err(|error| VouchError::Rejected(error.to_string()))?;
            let access = verified.kind() == Some("at+jwt");
            let as_declared = match token.kind {
                TokenType::AccessToken => access,
                TokenType::IdToken => !access,
                TokenType::Jwt => true,
            };
            if as_declared {
                Ok(vouched(verified))
            } else {
                Err(rejected("the token is not of the declared type"))
            }
        })
    }
}

fn vouched(verified: Verified<OwnSubjectToken>) -> Vouched {
    let text = |name: &str| verified.claims().str(name).unwrap_or_default().to_owned();
    let groups = verified.claims().get("groups").and_then(Value::as_list).unwrap_or_default();
    let identity = Identity {
        user_id: text("sub"),
        username: text("name"),
        preferred_username: text("preferred_username"),
        email: text("email"),
        email_verified: verified.claims().get("email_verified").and_then(Value::as_bool).unwrap_or(false),
        groups: groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    };
    Vouched {
        audience: SubjectAudience::InToken(verified.audience().map(str::to_owned).collect()),
        expires: Some(verified.expires()),
        bound: verified.confirmation().is_some(),
        identity,
        claims: verified.into_claims(),
    }
}

/// The user and the connector that a `sub` of ours in Dex's form names.
pub(crate) fn origin(subject: &str) -> Option<Pair> {
    Pair::decode(subject).filter(|pair| !pair.second.is_empty())
}

/// Which scope a claim shows.
const SHOWS: [(&str, &str); 5] = [
    ("email_verified", EMAIL),
    ("groups", GROUPS),
    ("name", PROFILE),
    ("preferred_username", PROFILE),
    ("federated_claims", FEDERATED),
];

/// Reserved: no configured connector may have it.
pub(crate) const ID: &str = "self";
