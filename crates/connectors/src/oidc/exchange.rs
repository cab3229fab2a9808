//! Vouching for subject tokens (RFC 8693).
//!
//! An ID token (or any JWT of the issuer) is verified by its keys, and its audience is left to the policy: Dex checks
//! neither (weakness T1). An access token is worth what is known about it: UserInfo says whose it is, and introspection
//! for whom it was issued. Where nobody says that, any application's token would do (T2), so it is refused unless the
//! configuration accepts exactly that.

use ambient::{BoxFuture, Time};
use provider::connector::{Presented, SubjectAudience, VouchError, VouchSubject, Vouched};
use token::UnverifiedJwt;
use wire::claims::Claims;
use wire::oauth::TokenType;

use super::Oidc;
use super::asking::Refused;
use super::claims::Who;
use crate::{jwt, vouching};

impl VouchSubject for Oidc {
    fn may_own(&self, unverified: &UnverifiedJwt<'_>) -> bool {
        jwt::owns_issuer(&self.subjects, unverified)
    }

    fn vouch<'a>(&'a self, token: Presented<'a>, now: Time) -> BoxFuture<'a, Result<Vouched, VouchError>> {
        Box::pin(async move {
            match token.kind {
                TokenType::IdToken | TokenType::Jwt => self.vouch_by_keys(token, now).await,
                TokenType::AccessToken => self.vouch_by_asking(token.raw, now).await,
            }
        })
    }
}

impl Oidc {
    async fn vouch_by_keys(&self, token: Presented<'_>, now: Time) -> Result<Vouched, VouchError> {
        let verified = vouching::verify(&self.subjects, token, now).await?;
        let identity = self
            .mapping
            .identify(verified.claims(), Who::Machine)
            .map_err(|why| VouchError::Rejected(why.to_string()))?;
        Ok(vouching::vouched(verified, identity))
    }

    async fn vouch_by_asking(&self, raw: &str, now: Time) -> Result<Vouched, VouchError> {
        if !self.settings.userinfo {
            return Err(VouchError::Unsupported("access tokens without getUserInfo: true"));
        }
        let told = self.introspected(raw).await?;
        if told.is_none() && !self.settings.unsafe_exchange {
            return Err(VouchError::Rejected(NOBODY_KNOWS.into()));
        }
        let expires = told.as_ref().and_then(Claims::expires).map(Time::from_unix);
        if expires.is_some_and(|at| at <= now) {
            return Err(VouchError::Rejected("the access token has expired".into()));
        }
        let userinfo = self.userinfo(raw).await.map_err(unvouched)?;
        let audience = match &told {
            Some(told) => SubjectAudience::Introspected(
                told.audience().chain(told.str("client_id")).map(str::to_owned).collect(),
            ),
            None => SubjectAudience::Unknown,
        };
        let claims =
            self.mapping.merged(&told.unwrap_or_default(), &userinfo).map_err(VouchError::Rejected)?;
        if claims.issuer().is_some_and(|issuer| !self.issuers.iter().any(|known| **known == *issuer)) {
            return Err(VouchError::Rejected("the access token is another issuer's".into()));
        }
        let identity = self
            .mapping
            .identify(&claims, Who::Machine)
            .map_err(|why| VouchError::Rejected(why.to_string()))?;
        Ok(Vouched { identity, audience, expires, bound: claims.get("cnf").is_some(), claims })
    }

    /// What introspection says, if we are a client that may ask and the upstream can be asked.
    async fn introspected(&self, raw: &str) -> Result<Option<Claims>, VouchError> {
        if self.settings.client_id.is_none() || self.settings.client_secret.is_none() {
            return Ok(None);
        }
        let document = self.endpoints.document().await.map_err(VouchError::Unavailable)?;
        let Some(endpoint) = document.introspection_endpoint.as_deref() else { return Ok(None) };
        match self.introspect(&document, endpoint, raw).await.map_err(unvouched)? {
            Some(claims) => Ok(Some(claims)),
            None => Err(VouchError::Rejected("the access token is not active".into())),
        }
    }
}

fn unvouched(why: Refused) -> VouchError {
    match why {
        Refused::Denied(why) => VouchError::Rejected(why),
        Refused::Unavailable(why) | Refused::Unusable(why) => VouchError::Unavailable(why),
    }
}

const NOBODY_KNOWS: &str = "nobody can say whom the access token was meant for: introspection needs clientID, clientSecret \
                            and an introspection_endpoint of the upstream; unsafeDexExchange does without knowing";
