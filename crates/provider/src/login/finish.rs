//! Agreeing, and the code for the client.

use std::borrow::Cow;
use std::sync::Arc;

use ambient::Time;
use url::Url;
use wire::oauth::ErrorCode;

use super::attempt::forget;
use super::identify::tell;
use super::{Answer, Attempt, ConsentPage, Reply, Step, Stop, answer};
use crate::error::Fault;
use crate::records::Change;
use crate::records::grant::{self, Code, Grant};
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
                return Err(back(&attempt, ErrorCode::AccessDenied, "the person did not agree"));
            }
            attempt.agreed = true;
            let reply = self.go_on(&Arc::clone(&cx.living), cx.now, attempt, true).await?;
            cx.decision.allowed = true;
            Ok(reply)
        };
        let outcome = outcome.await;
        tell(cx, outcome)
    }

    /// Where an attempt goes from here. `stored`: it is a record already.
    pub(super) async fn go_on(
        &self,
        living: &Arc<Living>,
        now: Time,
        attempt: Attempt,
        stored: bool,
    ) -> Result<Reply, Stop> {
        match attempt.next_step(&living.settings) {
            Step::Identify => Err(Stop::Fault(Fault::Internal("an attempt went on without a person".into()))),
            Step::Consent => {
                self.keep(&attempt).await?;
                let to = format!("{}/approval?req={}", living.settings.issuer.path(), attempt.id);
                Ok(Reply::asking(Answer::Redirect(to)))
            }
            Step::Issue => {
                if stored {
                    self.discard(&attempt).await?;
                }
                self.issue_code(living, now, attempt).await
            }
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
        let over = || {
            Stop::page(
                400,
                "This sign-in is already finished or has expired. Please begin again at the application.",
            )
        };
        let attempt = record.map(|found| found.value).filter(|attempt| !attempt.is_over(cx.now));
        let attempt = attempt.ok_or_else(over)?;
        cx.is_about(&attempt);
        Ok(attempt)
    }

    /// Whoever signed in last in this browser is who it is: a second sign-in takes the place of the first.
    async fn keep(&self, attempt: &Attempt) -> Result<(), Stop> {
        if self.records.create(&attempt.id, attempt).await? == Outcome::Done {
            return Ok(());
        }
        let replaced =
            self.records.change(&attempt.id, |_: Attempt| Change::Put(attempt.clone(), ())).await?;
        replaced.ok_or_else(finished)
    }

    /// An attempt is used once: whoever removes it goes on, a second submission does not.
    async fn discard(&self, attempt: &Attempt) -> Result<(), Stop> {
        let found = self.records.read::<Attempt>(&attempt.id).await?.ok_or_else(finished)?;
        match self.records.remove::<Attempt>(&attempt.id, found.stamped()).await? {
            Outcome::Done => Ok(()),
            Outcome::Lost => Err(finished()),
        }
    }

    async fn issue_code(&self, living: &Arc<Living>, now: Time, attempt: Attempt) -> Result<Reply, Stop> {
        let missing = || Stop::Fault(Fault::Internal("an attempt was issued without a person".into()));
        let random = &*self.around.random;
        let (id, secret) = (grant::new_id(random), grant::new_secret(random));
        let mut to = redirect_uri(&attempt)?;
        let person = attempt.person.ok_or_else(missing)?;
        let grant = Grant {
            client: attempt.client,
            connector: attempt.connector,
            identity: person.identity,
            scopes: attempt.scopes,
            nonce: attempt.nonce,
            auth_time: person.at,
            kept: person.kept,
            code: Code::new(
                &secret,
                attempt.redirect_uri,
                attempt.challenge,
                now + living.settings.expiry.codes,
            ),
            refresh: None,
            ended: None,
            look_at: (now + living.settings.expiry.codes).unix(),
        };
        let (records, key) = (self.records.clone(), id.clone());
        self.around.tasks.finish(async move { records.create(&key, &grant).await }).await??;
        let code = format!("{id}.{}", secret.expose());
        answer(&mut to, &[("code", &code)], &attempt.state, &living.settings.issuer.text);
        let cookie = Some(forget(&living.settings, &attempt.id));
        Ok(Reply { cookie, ..Reply::asking(Answer::Redirect(to.into())) })
    }
}

fn consent(living: &Living, attempt: &Attempt) -> Result<ConsentPage, Stop> {
    let client = living.settings.clients.find(&attempt.client);
    let client = client.ok_or_else(|| Stop::page(400, "The application is no longer registered here."))?;
    let identity = attempt.person.as_ref().map(|person| person.identity.clone()).unwrap_or_default();
    let person = [identity.email, identity.preferred_username, identity.username]
        .into_iter()
        .find(|text| !text.is_empty());
    Ok(ConsentPage {
        action: format!("{}/approval", living.settings.issuer.path()),
        request: attempt.id.clone(),
        client: client.name.clone(),
        person: person.unwrap_or(identity.user_id),
        asks: asks(&Scopes::from_stored(&attempt.scopes)),
    })
}

/// Everything that is asked for, in words; nothing is left out (Dex weakness L12).
fn asks(scopes: &Scopes) -> Vec<Cow<'static, str>> {
    let words = [
        (PROFILE, "your name"),
        (EMAIL, "your e-mail address"),
        (GROUPS, "the groups you belong to"),
        (OFFLINE, "access while you are away"),
        (FEDERATED, "your account at the sign-in service"),
    ];
    let plain =
        words.into_iter().filter(|(scope, _)| scopes.has(scope)).map(|(_, words)| Cow::Borrowed(words));
    plain.chain(scopes.peers().iter().map(|peer| Cow::Owned(format!("tokens that {peer} accepts")))).collect()
}

fn finished() -> Stop {
    Stop::page(400, "This sign-in is already finished. Please begin again at the application.")
}

fn back(attempt: &Attempt, code: ErrorCode, told: &'static str) -> Stop {
    match redirect_uri(attempt) {
        Ok(to) => Stop::Back { to: Box::new(to), state: attempt.state.clone(), code, told: told.into() },
        Err(stop) => stop,
    }
}

fn redirect_uri(attempt: &Attempt) -> Result<Url, Stop> {
    Url::parse(&attempt.redirect_uri).map_err(|e| Stop::Fault(Fault::Internal(e.to_string())))
}
