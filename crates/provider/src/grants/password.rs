//! RFC 6749 section 4.3, by the connector that `oauth2.passwordConnector` names: without it there is no such grant. RFC
//! 9700 section 2.4 says not to use it; Dex's users do.

use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use wire::dex::Pair;
use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::authorization_code::{opens_refresh, proof};
use super::{Demands, Grant};
use crate::Cx;
use crate::clients::Client;
use crate::connector::{Flow, Hints, Opened, SignedIn, UpstreamError};
use crate::error::{Error, Fault, Refusal};
use crate::issue::{Proof, Spend};
use crate::limits::Door;
use crate::records::grant;
use crate::scope::{GROUPS, OFFLINE, OPENID, Scopes};

/// See the module.
pub(super) struct Password;

impl Grant for Password {
    fn kind(&self) -> &'static str {
        grant_type::PASSWORD
    }

    fn demands(&self) -> Demands {
        Demands::AnyClient
    }

    fn prove<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
        form: &'a Form<'_>,
        client: &'a Arc<Client>,
    ) -> BoxFuture<'a, Result<Proof, Error>> {
        Box::pin(async move {
            let name = form.get("username").ok_or_else(|| Refusal::request("username is missing"))?;
            let password = form.get("password").ok_or_else(|| Refusal::request("password is missing"))?;
            let scopes = scopes(form, client, cx)?;
            let opened = connector(cx, client)?;
            cx.decision.connector = Some(Arc::clone(&opened.id));
            let signed_in = sign_in(cx, &opened, &scopes, name, password).await?;
            let mut held = grant::Grant {
                client: client.id.to_string(),
                connector: opened.id.to_string(),
                identity: signed_in.identity,
                scopes: scopes.iter().collect(),
                nonce: form.get("nonce").map(str::to_owned),
                auth_time: cx.now.unix(),
                kept: signed_in.kept.into(),
                code: None,
                refresh: None,
                ended: None,
                look_at: cx.now.unix(),
            };
            if !opens_refresh(cx, &held) {
                return proof(cx, held, client, self.kind(), None);
            }
            let random = &*cx.provider.around.random;
            let (id, secret) = (grant::new_id(random), grant::new_secret(random));
            held.open_refresh(cx.now, &secret);
            let refresh = Pair::new(id.clone(), secret.expose().clone()).encode();
            let spend = Spend { key: id.clone(), read: None, next: held.clone() };
            let proof = proof(cx, held, client, self.kind(), Some(Secret::new(refresh)))?;
            Ok(Proof { spend: Some(spend), grant: Some(id), ..proof })
        })
    }
}

/// As Dex demands them (dex.md 1.13).
fn scopes(form: &Form<'_>, client: &Client, cx: &Cx<'_>) -> Result<Scopes, Refusal> {
    let as_dex = |refusal: Refusal| refusal.as_dex(ErrorCode::InvalidRequest, 400);
    let scopes = Scopes::parse(form.get("scope").unwrap_or_default()).map_err(as_dex)?;
    if !scopes.has(OPENID) {
        return Err(as_dex(Refusal::new(ErrorCode::InvalidScope, "the scope openid is missing")));
    }
    scopes.audience(client, &cx.settings().clients).map_err(as_dex)?;
    Ok(scopes)
}

fn connector(cx: &Cx<'_>, client: &Client) -> Result<Opened, Refusal> {
    let id = cx.settings().oauth2.password_connector.as_deref().unwrap_or_default();
    let opened = cx.living.connector(id).filter(|opened| {
        client.may_use(&opened.id)
            && opened.allows(grant_type::PASSWORD)
            && matches!(opened.connector.flow(), Flow::Password(_))
    });
    let none = || {
        Refusal::new(ErrorCode::UnauthorizedClient, "the client may not use this grant type")
            .because("oauth2.passwordConnector is gone, forbidden for the client or takes no passwords")
            .as_dex(ErrorCode::InvalidRequest, 400)
    };
    opened.cloned().ok_or_else(none)
}

async fn sign_in(
    cx: &Cx<'_>,
    opened: &Opened,
    scopes: &Scopes,
    name: &str,
    password: &str,
) -> Result<SignedIn, Error> {
    let wrong = |why: String| {
        Refusal::grant("wrong name or password").because(why).as_dex(ErrorCode::AccessDenied, 401)
    };
    let Flow::Password(flow) = opened.connector.flow() else {
        return Err(Fault::Internal("a connector changed its flow".into()).into());
    };
    let now = cx.provider.around.clock.monotonic();
    let attempt = cx.provider.limits.admit(now, Door::Password, cx.decision.address, name)?;
    let hints = Hints { offline: scopes.has(OFFLINE), groups: scopes.has(GROUPS) };
    match flow.login(hints, name, &Secret::from(password)).await {
        Ok(Some(signed_in)) => {
            attempt.give_back();
            Ok(signed_in)
        }
        Ok(None) => Err(wrong("wrong name or password".into()).into()),
        Err(UpstreamError::Denied(why)) => Err(wrong(why).into()),
        Err(other) => {
            attempt.give_back();
            Err(match other {
                UpstreamError::Busy => Fault::Busy { retry_after: BUSY },
                other => Fault::Upstream(other.to_string()),
            }
            .into())
        }
    }
}

/// A queue of passwords is worked off within this.
const BUSY: std::time::Duration = std::time::Duration::from_secs(2);
