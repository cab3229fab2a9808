//! RFC 6749 section 4.1.3 with RFC 7636: a code, once, by the client it was given to, with the verifier of its
//! challenge.

use std::sync::Arc;

use ambient::BoxFuture;
use wire::dex::Pair;
use wire::form::Form;
use wire::oauth::grant_type;

use super::{Demands, Grant, end};
use crate::clients::Client;
use crate::error::{Error, Refusal};
use crate::issue::{Products, Profile, Proof, Spend};
use crate::records::Change;
use crate::records::grant::{self, Redeemed, Redemption};
use crate::scope::{OFFLINE, OPENID, Scopes};
use crate::{Cx, Living, reserved};

/// See the module.
pub(super) struct AuthorizationCode;

impl Grant for AuthorizationCode {
    fn kind(&self) -> &'static str {
        grant_type::AUTHORIZATION_CODE
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
            let code = form.get("code").ok_or_else(|| Refusal::request("code is missing"))?;
            let (id, secret) = code.split_once('.').ok_or_else(|| bad_code("malformed code"))?;
            let asked = Asked {
                id,
                secret,
                redirect_uri: form.get("redirect_uri").unwrap_or_default(),
                verifier: form.get("code_verifier"),
                kind: self.kind(),
            };
            match redeem(cx, client, &asked).await? {
                Worth::Good(proof) => Ok(*proof),
                Worth::Nothing(why) => Err(bad_code(why).into()),
                Worth::Spent => {
                    end(cx, id, "the code was redeemed twice").await?;
                    Err(bad_code("the code was redeemed before; what it opened is ended").into())
                }
            }
        })
    }
}

/// A code as it is presented, an application's or a device's.
pub(super) struct Asked<'a> {
    /// Of its grant.
    pub id: &'a str,
    pub secret: &'a str,
    /// Empty if absent.
    pub redirect_uri: &'a str,
    pub verifier: Option<&'a str>,
    /// The grant type that the connector must be for.
    pub kind: &'static str,
}

/// What a code is worth.
pub(super) enum Worth {
    Good(Box<Proof>),
    /// The text is for the audit log.
    Nothing(&'static str),
    /// It was redeemed before.
    Spent,
}

/// Redeems a code: nothing is spent before the tokens are signed.
pub(super) async fn redeem(cx: &mut Cx<'_>, client: &Arc<Client>, asked: &Asked<'_>) -> Result<Worth, Error> {
    let Some(stored) = cx.provider.records.read::<grant::Grant>(asked.id).await? else {
        return Ok(Worth::Nothing("unknown code"));
    };
    let read = stored.stamped();
    let with_refresh = opens_refresh(cx, &stored.value);
    let refresh_secret = grant::new_secret(&*cx.provider.around.random);
    let redemption = Redemption {
        secret: asked.secret,
        client: &client.id,
        redirect_uri: asked.redirect_uri,
        verifier: asked.verifier,
        with_refresh,
        refresh_secret: &refresh_secret,
    };
    match stored.value.redeem(cx.now, &redemption) {
        Change::Put(next, Redeemed::Done(grant)) => {
            let refresh =
                with_refresh.then(|| Pair::new(asked.id, refresh_secret.expose().clone()).encode().into());
            let proof = proof(cx, *grant, client, asked.kind, refresh)?;
            let spend = Spend { key: asked.id.to_owned(), read: Some(read), next };
            let proof = Proof { grant: Some(asked.id.to_owned()), spend: Some(spend), ..proof };
            Ok(Worth::Good(Box::new(proof)))
        }
        Change::Keep(Redeemed::Refused(why)) => Ok(Worth::Nothing(why)),
        _ => Ok(Worth::Spent),
    }
}

/// Whether a refresh token comes with the code: the client asked for one, and the connector can be asked again.
pub(super) fn opens_refresh(cx: &Cx<'_>, grant: &grant::Grant) -> bool {
    let connector = cx.living.connector(&grant.connector);
    connector.is_some_and(|opened| {
        opened.connector.refresh().is_some() && opened.allows(grant_type::REFRESH_TOKEN)
    }) && cx.settings().oauth2.grants(grant_type::REFRESH_TOKEN)
        && grant.scopes.iter().any(|scope| scope == OFFLINE)
}

/// What a grant is worth now, for this grant type: the client and the connector are looked up again, so that what was removed
/// or is no longer for that use is dead.
pub(crate) fn proof(
    cx: &mut Cx<'_>,
    grant: grant::Grant,
    client: &Arc<Client>,
    kind: &str,
    refresh: Option<ambient::Secret<String>>,
) -> Result<Proof, Error> {
    let living: &Living = &cx.living;
    let connector =
        living.connector(&grant.connector).filter(|opened| client.may_use(&opened.id) && opened.allows(kind));
    let connector = connector.ok_or_else(|| {
        Refusal::grant("the grant is no longer valid").because("its connector is gone or forbidden")
    })?;
    cx.decision.connector = Some(Arc::clone(&connector.id));
    cx.decision.upstream_subject = Some(grant.identity.user_id.clone());
    let scopes = Scopes::from_stored(&grant.scopes);
    let mut profile = Profile::by_scopes(&grant.identity, &scopes);
    if reserved::withhold(&mut profile, connector) {
        cx.decision.reason = Some(reserved::WITHHELD.into());
    }
    client.groups.apply(&mut profile.groups);
    Ok(Proof {
        subject: grant.subject(),
        profile,
        federated: Some((Arc::clone(&connector.id), grant.identity.user_id)),
        free: Vec::new(),
        audience: scopes.audience(client, &living.settings.clients)?,
        client: Arc::clone(&client.id),
        nonce: grant.nonce,
        auth_time: Some(grant.auth_time),
        lifetime: living.settings.expiry.id_tokens,
        not_after: None,
        alg: None,
        products: Products::Session { id_token: scopes.has(OPENID), refresh },
        scopes,
        spend: None,
        policy: None,
        once: None,
        grant: None,
    })
}

fn bad_code(why: &'static str) -> Refusal {
    Refusal::grant("the code is not valid").because(why)
}
