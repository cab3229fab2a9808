//! UserInfo (OpenID Connect Core section 5.3): an access token of ours in, its claims out. ID tokens are refused
//! (Dex weakness P1).

use std::sync::Arc;

use token::{Audience, Expect, KeyRing, OwnAccessToken, Trust, UnverifiedJwt, Verifier};
use wire::claims::Claims;
use wire::oauth::ErrorCode;

use crate::error::{Error, Refusal};
use crate::{Cx, Peer, Provider, introspection, own, revocation};

impl Provider {
    /// Answers for a bearer token.
    ///
    /// # Errors
    /// `invalid_token` for anything that is not a living access token of ours.
    pub async fn userinfo(&self, peer: &Peer, bearer: Option<&str>) -> Result<Claims, Error> {
        let mut cx = self.begin(peer, "userinfo");
        let outcome = answer(&mut cx, bearer).await;
        cx.close(&outcome);
        outcome
    }
}

async fn answer(cx: &mut Cx<'_>, bearer: Option<&str>) -> Result<Claims, Error> {
    cx.must_be_heard()?;
    let raw = bearer.ok_or_else(|| invalid("no bearer token"))?;
    let unverified = UnverifiedJwt::parse(raw).map_err(|error| invalid(error.to_string()))?;
    let verified =
        verifier(cx).verify(unverified, cx.now).await.map_err(|error| invalid(error.to_string()))?;
    let living = Arc::clone(&cx.living);
    // Tokens that a Dex issued name their client only by audience.
    let client = verified
        .claims()
        .str("client_id")
        .or_else(|| verified.authorized_party())
        .or_else(|| verified.audience().next());
    let client = client
        .and_then(|id| living.settings.clients.find(id))
        .ok_or_else(|| invalid("the token's client is gone"))?;
    introspection::policy(cx, verified.claims()).map_err(invalid)?;
    revocation::check(cx, verified.claims(), invalid("")).await?;
    cx.decision.client = Some(Arc::clone(&client.id));
    cx.decision.subject = verified.subject().map(str::to_owned);
    match verified.subject().and_then(own::origin) {
        Some(origin) => match living.connector(&origin.second) {
            None => Err(invalid("the token's connector is gone").into()),
            Some(opened) if !opened.connector.knows(&origin.first) => {
                Err(invalid("the token's user is gone").into())
            }
            Some(_) => Ok(verified.into_claims()),
        },
        None => Ok(verified.into_claims()),
    }
}

pub(crate) fn verifier(cx: &Cx<'_>) -> Verifier<OwnAccessToken> {
    let expect = Expect::new(Arc::clone(&cx.settings().issuer.text), Audience::Unrestricted);
    Verifier::new(Trust::new(own::ID), KeyRing::clone(cx.provider.ring()), expect)
}

fn invalid(reason: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(ErrorCode::InvalidToken, "the access token is not valid").because(reason)
}
