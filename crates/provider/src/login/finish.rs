//! Agreeing, and the code for the client.

use std::sync::Arc;

use ambient::Secret;
use wire::oauth::{ErrorCode, grant_type};

use super::attempt::{forget, fresh_id};
use super::identify::{tell, too_large};
use super::{Answer, Ask, Attempt, ConsentPage, Notice, Reply, Step, Stop, Way};
use crate::error::{Error, Fault};
use crate::grants::proof;
use crate::issue::{Proof, issue_in_front};
use crate::records::grant::{self, Code, Grant, Hash};
use crate::scope::{EMAIL, FEDERATED, GROUPS, OFFLINE, PROFILE, Scopes};
use crate::store::Outcome;
use crate::{Cx, Living, Peer, Provider};

impl Provider {
    /// `/approval` by GET: what is asked for.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn consent_page(
        &self,
        peer: &Peer,
        request: &str,
        cookies: Option<&str>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "consent");
        let outcome = self.identified(&mut cx, request, cookies).await;
        let outcome = outcome.and_then(|attempt| consent(&cx.living, &attempt));
        tell(cx, outcome.map(|page| Reply::asking(Answer::Consent(page))))
    }

    /// The same by POST. A refusal goes back to the client as `access_denied` (Dex weakness P8).
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn submit_consent(
        &self,
        peer: &Peer,
        request: &str,
        agreed: bool,
        cookies: Option<&str>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "consent");
        let outcome = async {
            cx.must_be_heard()?;
            let mut attempt = self.identified(&mut cx, request, cookies).await?;
            if !agreed {
                self.discard(&attempt).await?;
                self.refuse_device(&cx, &attempt).await?;
                return Err(attempt.way.stop(ErrorCode::AccessDenied, "the person did not agree"));
            }
            attempt.agreed = true;
            let reply = self.go_on(&mut cx, attempt, true).await?;
            cx.decision.allowed = true;
            Ok(reply)
        };
        let outcome = outcome.await;
        tell(cx, outcome)
    }

    /// Where an attempt goes from here. `stored`: it is a record already.
    pub(super) async fn go_on(&self, cx: &mut Cx<'_>, attempt: Attempt, stored: bool) -> Result<Reply, Stop> {
        match attempt.next_step(cx.settings()) {
            Step::Identify => Err(Stop::Fault(Fault::Internal("an attempt went on without a person".into()))),
            Step::Consent => {
                let random = &*self.around.random;
                let others = vec![forget(cx.settings(), &attempt.id)];
                let attempt = Attempt { id: fresh_id(random), ..attempt };
                let cookie = self.cookies.keep(random, cx.settings(), cx.now, &attempt);
                let cookie = Some(cookie.ok_or_else(too_large)?);
                self.keep(&attempt).await?;
                let to = format!("{}/approval?req={}", cx.settings().issuer.path(), attempt.id);
                Ok(Reply { answer: Answer::Redirect(to), cookie, others })
            }
            Step::Issue if matches!(attempt.way, Way::Device { .. }) => {
                let cookie = Some(forget(cx.settings(), &attempt.id));
                let answer = self.allow_device(cx, attempt).await?;
                Ok(Reply { cookie, ..Reply::asking(answer) })
            }
            Step::Issue => self.answer_client(cx, attempt, stored).await,
        }
    }

    /// The attempt after somebody signed in: the cookie says whose it is, the record who it is.
    async fn identified(
        &self,
        cx: &mut Cx<'_>,
        request: &str,
        cookies: Option<&str>,
    ) -> Result<Attempt, Stop> {
        let held = self.attempt_of(cx, request, cookies)?;
        let record = self.records.read::<Attempt>(&held.id).await?;
        let attempt = record.map(|found| found.value).filter(|attempt| !attempt.is_over(cx.now));
        let attempt = attempt.ok_or(Stop::page(400, Notice::Over))?;
        cx.is_about(&attempt);
        Ok(attempt)
    }

    /// What somebody has signed in to has a name of its own, which only the browser that signed in is told: the cookie from
    /// before may have been planted there by somebody who kept a copy.
    async fn keep(&self, attempt: &Attempt) -> Result<(), Stop> {
        match self.records.create(&attempt.id, attempt).await? {
            Outcome::Done => Ok(()),
            Outcome::Lost => Err(finished()),
        }
    }

    /// An attempt is used once: whoever removes it goes on, a second submission does not.
    pub(super) async fn discard(&self, attempt: &Attempt) -> Result<(), Stop> {
        let found = self.records.read::<Attempt>(&attempt.id).await?.ok_or(finished())?;
        match self.records.remove::<Attempt>(&attempt.id, found.stamped()).await? {
            Outcome::Done => Ok(()),
            Outcome::Lost => Err(finished()),
        }
    }

    /// A code, tokens, or both. They are made before the attempt is used up, so that what cannot be given costs nothing;
    /// whoever uses up the attempt is the one that answers.
    async fn answer_client(&self, cx: &mut Cx<'_>, attempt: Attempt, stored: bool) -> Result<Reply, Stop> {
        let living = Arc::clone(&cx.living);
        let client = living.settings.clients.find(&attempt.client);
        let client = client.ok_or(Stop::page(400, Notice::ClientGone))?;
        let random = &*self.around.random;
        let (id, secret) = (grant::new_id(random), grant::new_secret(random));
        let grant = Grant::of_attempt(&attempt, code_of(&attempt, &secret, cx))?;
        let code = attempt.response.code.then(|| format!("{id}.{}", secret.expose()));
        let mut fields: Vec<(&str, String)> = code.iter().map(|code| ("code", code.clone())).collect();
        if attempt.response.in_front() {
            let proof = proof(cx, grant.clone(), client, grant_type::IMPLICIT, None);
            let proof = proof.map_err(|error| refused(&attempt.way, error))?;
            let proof = Proof { grant: code.is_some().then(|| id.clone()), alg: client.signing_alg, ..proof };
            let front = issue_in_front(cx, proof, attempt.response, code.as_deref()).await;
            fields.extend(front.map_err(|error| refused(&attempt.way, error))?);
        }
        if stored {
            self.discard(&attempt).await?;
        }
        if code.is_some() {
            let (records, key) = (self.records.clone(), id);
            self.around.tasks.finish(async move { records.create(&key, &grant).await }).await??;
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = attempt.way.answer(&living.settings.issuer.text, &fields)?;
        let cookie = Some(forget(&living.settings, &attempt.id));
        Ok(Reply { cookie, ..Reply::asking(answer) })
    }
}

impl Grant {
    /// What the person allowed.
    pub(super) fn of_attempt(attempt: &Attempt, code: Code) -> Result<Self, Stop> {
        let missing = || Stop::Fault(Fault::Internal("an attempt was issued without a person".into()));
        let person = attempt.person.clone().ok_or_else(missing)?;
        Ok(Self {
            client: attempt.client.clone(),
            connector: attempt.connector.clone(),
            identity: person.identity,
            scopes: attempt.scopes.clone(),
            nonce: attempt.nonce.clone(),
            auth_time: person.at,
            kept: person.kept,
            look_at: code.expires,
            code: Some(code),
            refresh: None,
            ended: None,
        })
    }
}

fn code_of(attempt: &Attempt, secret: &Secret<String>, cx: &Cx<'_>) -> Code {
    let expires = cx.now + cx.settings().expiry.codes;
    let uri = attempt.way.redirect_uri().to_owned();
    Code::new(Hash::of(secret.expose()), uri, attempt.challenge.clone(), expires)
}

/// The client was checked when the request came; what is refused now is the configuration's, which is another one.
fn refused(way: &Way, error: Error) -> Stop {
    match error {
        Error::Refusal(refusal) => way.stop(refusal.code, "the request can no longer be granted"),
        Error::Fault(fault) => Stop::Fault(fault),
    }
}

fn consent(living: &Living, attempt: &Attempt) -> Result<ConsentPage, Stop> {
    let client = living.settings.clients.find(&attempt.client);
    let client = client.ok_or(Stop::page(400, Notice::ClientGone))?;
    let identity = attempt.person.as_ref().map(|person| person.identity.clone()).unwrap_or_default();
    let person = [identity.email, identity.preferred_username, identity.username]
        .into_iter()
        .find(|text| !text.is_empty());
    let device = match &attempt.way {
        Way::Device { code } => Some(code.clone()),
        Way::Uri { .. } | Way::ByHand => None,
    };
    Ok(ConsentPage {
        device,
        action: format!("{}/approval", living.settings.issuer.path()),
        request: attempt.id.clone(),
        client: client.name.clone(),
        logo: client.logo.clone(),
        person: person.unwrap_or(identity.user_id),
        asks: asks(living, &Scopes::from_stored(&attempt.scopes)),
    })
}

/// Everything that is asked for; nothing is left out (Dex weakness L12).
fn asks(living: &Living, scopes: &Scopes) -> Vec<Ask> {
    let plain = [
        (PROFILE, Ask::Profile),
        (EMAIL, Ask::Email),
        (GROUPS, Ask::Groups),
        (OFFLINE, Ask::Offline),
        (FEDERATED, Ask::Federated),
    ];
    let plain = plain.into_iter().filter_map(|(scope, ask)| scopes.has(scope).then_some(ask));
    let name = |id: &String| living.settings.clients.find(id).map_or(id, |peer| &peer.name).clone();
    plain.chain(scopes.peers().iter().map(|peer| Ask::Peer(name(peer)))).collect()
}

const fn finished() -> Stop {
    Stop::page(400, Notice::Finished)
}
