//! Taking tokens back (RFC 7009): a refresh token ends its grant and with it the access tokens that came of it; an access
//! token ends alone. And the other side: whether a token of ours was taken back.

use wire::claims::Claims;
use wire::dex::Pair;
use wire::form::Form;

use token::UnverifiedJwt;

use crate::clients::Client;
use crate::error::{Error, Fault, Refusal};
use crate::issue;
use crate::records::Change;
use crate::records::grant::Grant;
use crate::records::revoked::Revoked;
use crate::store::StoreError;
use crate::{Cx, Peer, Provider, userinfo};

impl Provider {
    /// Takes a token back. One that is not known, not of this client or no longer good is taken back already: the answer
    /// tells nothing about it (section 2.2).
    ///
    /// # Errors
    /// `invalid_client`; `invalid_request` without a token.
    pub async fn revoke(
        &self,
        peer: &Peer,
        authorization: Option<&str>,
        form: &Form<'_>,
    ) -> Result<(), Error> {
        let mut cx = self.begin(peer, "revocation");
        let outcome = revoke(&mut cx, authorization, form).await;
        cx.close(&outcome);
        outcome
    }
}

async fn revoke(cx: &mut Cx<'_>, authorization: Option<&str>, form: &Form<'_>) -> Result<(), Error> {
    cx.must_be_heard()?;
    let client = cx.authenticate(authorization, form)?;
    // A hint may be wrong (section 2.1), so it is not looked at: the two kinds cannot be mistaken for each other.
    let raw = form.get("token").ok_or_else(|| Refusal::request("token is missing"))?;
    match Pair::decode(raw) {
        Some(pair) => refresh_token(cx, &client, &pair).await,
        None => access_token(cx, &client, raw).await,
    }
}

async fn refresh_token(cx: &mut Cx<'_>, client: &Client, pair: &Pair) -> Result<(), Error> {
    let (id, now) = (pair.first.clone(), cx.now);
    let (secret, client) = (pair.second.clone(), client.id.to_string());
    let records = cx.provider.records.clone();
    let change = async move {
        let end = |grant: Grant| {
            if grant.client == client && grant.gave(&secret) {
                let subject = grant.subject();
                return Change::Put(grant.end(now, "its refresh token was revoked"), Some(subject));
            }
            Change::Keep(None)
        };
        records.change(&id, end).await
    };
    let ended = cx.provider.around.tasks.finish(change).await?.map_err(Fault::from)?.flatten();
    cx.decision.reason = Some(if ended.is_some() { "a grant was ended" } else { UNKNOWN }.into());
    cx.decision.subject = ended;
    Ok(())
}

async fn access_token(cx: &mut Cx<'_>, client: &Client, raw: &str) -> Result<(), Error> {
    cx.decision.reason = Some(UNKNOWN.into());
    let Ok(unverified) = UnverifiedJwt::parse(raw) else { return Ok(()) };
    let Ok(verified) = userinfo::verifier(cx).verify(unverified, cx.now).await else { return Ok(()) };
    let claims = verified.claims();
    let issued_to = claims.str("client_id").or_else(|| verified.authorized_party());
    let issued_to = issued_to.or_else(|| verified.audience().next());
    let Some(id) = claims.id().filter(|_| issued_to == Some(&client.id)) else { return Ok(()) };
    cx.decision.reason = Some("an access token was revoked".into());
    cx.decision.token_id = Some(id.to_owned());
    cx.decision.subject = verified.subject().map(str::to_owned);
    let (key, revoked) = (Revoked::key(id), Revoked::until(verified.expires()));
    let records = cx.provider.records.clone();
    // Revoked before: the record is there, and that is all.
    cx.provider.around.tasks.finish(async move { records.create(&key, &revoked).await }).await??;
    Ok(())
}

/// Why an access token of ours is good no longer, though it says so: it was revoked, or the grant that it came of has
/// ended. A grant that was swept away had nothing left to end.
pub(crate) async fn ended(cx: &Cx<'_>, claims: &Claims) -> Result<Option<&'static str>, StoreError> {
    let records = &cx.provider.records;
    if let Some(id) = claims.id()
        && records.read::<Revoked>(&Revoked::key(id)).await?.is_some()
    {
        return Ok(Some("the token was revoked"));
    }
    let Some(id) = claims.str(issue::GRANT) else { return Ok(None) };
    let grant = records.read::<Grant>(id).await?;
    Ok(grant.is_some_and(|grant| grant.value.ended.is_some()).then_some("the grant it came of has ended"))
}

/// [`ended`], as a refusal with that code.
pub(crate) async fn check(cx: &Cx<'_>, claims: &Claims, refusal: Refusal) -> Result<(), Error> {
    match ended(cx, claims).await? {
        None => Ok(()),
        Some(why) => Err(refusal.because(why).into()),
    }
}

const UNKNOWN: &str = "nothing to revoke";
