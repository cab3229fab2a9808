//! RFC 6749 section 6 with rotation (RFC 9700 section 4.14). The upstream is asked and the tokens are signed before
//! anything changes, so that an outage costs nobody a session; then one compare-and-replace rotates.

use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use wire::dex::Pair;
use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::authorization_code::proof;
use super::{Demands, Grant, MAX_RACES, end};
use crate::Cx;
use crate::clients::Client;
use crate::connector::{Connector, Hints, SignedIn, UpstreamError};
use crate::error::{Error, Fault, Refusal};
use crate::issue::{Proof, Spend};
use crate::records::grant::{self, Refreshed};
use crate::records::{Change, Stamped};
use crate::scope::{GROUPS, Scopes};
use crate::store::StoreError;

/// See the module.
pub(super) struct RefreshToken;

impl Grant for RefreshToken {
    fn kind(&self) -> &'static str {
        grant_type::REFRESH_TOKEN
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
            let raw =
                form.get("refresh_token").ok_or_else(|| Refusal::request("refresh_token is missing"))?;
            let Pair { first: id, second: secret } =
                Pair::decode(raw).ok_or_else(|| bad_token("malformed refresh token"))?;
            for _ in 0..MAX_RACES {
                if let Some(proof) = attempt(cx, form, client, &id, &secret).await? {
                    return Ok(proof);
                }
            }
            Err(Fault::Store(StoreError::Unavailable("lost too many races for one grant".into())).into())
        })
    }
}

/// `None`: somebody else changed the grant meanwhile.
async fn attempt(
    cx: &mut Cx<'_>,
    form: &Form<'_>,
    client: &Arc<Client>,
    id: &str,
    secret: &str,
) -> Result<Option<Proof>, Error> {
    let rules = cx.settings().expiry.refresh;
    let stored = cx.provider.records.read::<grant::Grant>(id).await?;
    let stored = stored.ok_or_else(|| bad_token("unknown refresh token"))?;
    let (read, held) = (stored.stamped(), stored.value);
    let scopes = narrowed(form, &held)?;
    let random = Arc::clone(&cx.provider.around.random);
    // A wrong secret asks nobody anything, nor does the reuse window, where the stored answer is fresh.
    let (next, secret) = match held.clone().present(cx.now, &rules, &client.id, secret, &*random) {
        Change::Put(next, Refreshed::Done { secret, .. }) => (Some(next), secret),
        Change::Keep(Refreshed::Done { secret, .. }) => (None, secret),
        Change::Keep(Refreshed::Refused(why)) => return Err(bad_token(why).into()),
        _ => {
            end(cx, id, "an old refresh token was presented").await?;
            return Err(bad_token("an old refresh token was presented; its grant is ended").into());
        }
    };
    let seam = living_seam(cx, &held, client)?;
    let spend = match next {
        Some(mut next) => {
            let Some((news, read)) = asked(cx, seam, id, read, &held).await? else { return Ok(None) };
            next.identity = news.identity;
            next.kept = news.kept.into();
            Some(Spend { key: id.to_owned(), read: Some(read), next })
        }
        None => None,
    };
    let held = spend.as_ref().map_or(held, |spend| spend.next.clone());
    let held = grant::Grant { scopes: scopes.iter().collect(), ..held };
    let refresh = Pair::new(id.to_owned(), secret.expose().clone()).encode();
    let proof = proof(cx, held, client, grant_type::REFRESH_TOKEN, Some(Secret::new(refresh)))?;
    Ok(Some(Proof { spend, grant: Some(id.to_owned()), ..proof }))
}

/// A refresh may ask for less than was granted, never for more.
fn narrowed(form: &Form<'_>, stored: &grant::Grant) -> Result<Scopes, Refusal> {
    let granted = Scopes::from_stored(&stored.scopes);
    let Some(asked) = form.get("scope") else { return Ok(granted) };
    let asked = Scopes::parse(asked)?;
    if asked.within(&granted) {
        Ok(asked)
    } else {
        Err(Refusal::new(ErrorCode::InvalidScope, "a refresh may not ask for more than was granted"))
    }
}

/// The connector, if it is still there, may still be used and can still be asked.
fn living_seam(cx: &Cx<'_>, held: &grant::Grant, client: &Client) -> Result<Arc<dyn Connector>, Refusal> {
    let opened = cx.living.connector(&held.connector).filter(|opened| {
        client.may_use(&opened.id)
            && opened.allows(grant_type::REFRESH_TOKEN)
            && opened.connector.refresh().is_some()
    });
    opened
        .map(|opened| Arc::clone(&opened.connector))
        .ok_or_else(|| bad_token("its connector is gone, forbidden or cannot refresh"))
}

/// What the upstream says of the person now, and the grant as it is read after that. What the upstream gave in return
/// for its own refresh token is stored at once, whoever hangs up and whatever fails afterwards: the old one may be spent.
async fn asked(
    cx: &Cx<'_>,
    seam: Arc<dyn Connector>,
    id: &str,
    read: Stamped,
    held: &grant::Grant,
) -> Result<Option<(SignedIn, Stamped)>, Error> {
    let (records, id, held, now) = (cx.provider.records.clone(), id.to_owned(), held.clone(), cx.now);
    let change = async move {
        let news = match news(&*seam, &held).await {
            Err(Denied(why)) => {
                records.put(&id, read, &held.end(now, "the upstream refused")).await?;
                return Err(bad_token("the upstream refused").because(why).into());
            }
            Ok(news) => news?,
        };
        if news.kept.expose() == held.kept.expose() {
            return Ok(Some((news, read)));
        }
        let (identity, kept) = (news.identity.clone(), news.kept.clone().into());
        let known = grant::Grant { identity, kept, ..held };
        Ok(records.step(&id, read, &known).await?.map(|read| (news, read)))
    };
    cx.provider.around.tasks.finish(change).await?
}

/// The upstream, or a rule of its connector, says no: the grant ends. Anything else leaves it as it is.
struct Denied(String);

async fn news(seam: &dyn Connector, held: &grant::Grant) -> Result<Result<SignedIn, Error>, Denied> {
    let Some(seam) = seam.refresh() else { return Ok(Err(bad_token("its connector cannot refresh").into())) };
    let hints = Hints { offline: true, groups: held.scopes.iter().any(|scope| scope == GROUPS) };
    Ok(match seam.refresh(hints, &held.identity, held.kept.expose()).await {
        Ok(news) if news.identity.user_id == held.identity.user_id => Ok(news),
        Ok(_) => Err(bad_token("the upstream answered for somebody else").into()),
        Err(UpstreamError::Denied(why)) => return Err(Denied(why)),
        Err(other) => Err(Fault::Upstream(other.to_string()).into()),
    })
}

/// Dex answers `invalid_request` (dex.md 1.14, weakness P7).
fn bad_token(why: &'static str) -> Refusal {
    Refusal::grant("the refresh token is not valid").because(why).as_dex(ErrorCode::InvalidRequest, 400)
}
