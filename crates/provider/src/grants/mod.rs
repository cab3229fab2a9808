//! The token endpoint: one function of phases, and the grants as a table of values that fill its blanks.
//!
//! The order is the security of this file. A grant cannot skip a phase, and adding a grant adds no phase:
//!
//! 1. **Which grant.** Unknown or switched off: `unsupported_grant_type`, before anything else is looked at.
//! 2. **Who asks.** Exactly one way of client authentication ([`clients::Credentials`]); the living client record is
//!    looked up now, so a removed client is dead at its next request.
//! 3. **May this client use this grant.** What the grant demands of it.
//! 4. **Prove.** The grant's own work: a code redeemed, a subject token verified and judged by policy. It ends in a
//!    [`Proof`], which only says what was proven; it cannot sign.
//! 5. **Issue.** The one place that signs; then what was proven with (a code, a refresh token) is spent by one
//!    compare-and-replace. Whoever loses that race begins again at phase 4 and meets what the winner left.
//! 6. **Tell.** One event, allow or deny, whatever happened above, also if the connection closed meanwhile.
//!
//! Nothing before phase 5 writes, except to end a grant that is abused and to remember when a device last asked. A change of state, once begun, finishes even if
//! the connection closes.

mod authorization_code;
mod client_credentials;
mod device_code;
mod password;
mod refresh_token;
pub mod token_exchange;

use std::sync::Arc;

pub(crate) use authorization_code::proof;

use ambient::BoxFuture;
use wire::form::Form;
use wire::oauth::{ErrorCode, TokenResponse};

use crate::clients::Client;
use crate::error::{Error, Fault, Refusal};
use crate::issue::{Proof, issue};
use crate::records::{self, Change};
use crate::store::StoreError;
use crate::{Cx, Peer, Provider};

/// One grant type.
pub trait Grant: Send + Sync {
    /// Its registered name.
    fn kind(&self) -> &'static str;

    /// What it demands of the client.
    fn demands(&self) -> Demands;

    /// Proves what is asked for.
    #[expect(private_interfaces, reason = "grants live in this crate; only the table is shown outside")]
    fn prove<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
        form: &'a Form<'_>,
        client: &'a Arc<Client>,
    ) -> BoxFuture<'a, Result<Proof, Error>>;
}

/// What a grant demands of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demands {
    /// Any registered client.
    AnyClient,
    /// One that can keep a secret (RFC 6749 section 4.4).
    ConfidentialClient,
}

/// All grants, in the order discovery names them.
pub const TABLE: [&dyn Grant; 6] = [
    &authorization_code::AuthorizationCode,
    &client_credentials::ClientCredentials,
    &device_code::DeviceCode,
    &password::Password,
    &refresh_token::RefreshToken,
    &token_exchange::TokenExchange,
];

/// Parameters that may stand more than once (RFC 8693 section 2.1).
pub const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// More lost races than this mean that something is wrong.
const MAX_RACES: usize = 8;

impl Provider {
    /// Answers a token request: the `Authorization` header and the body's form.
    ///
    /// # Errors
    /// [`Error`]; exactly one event was written in either case.
    pub async fn token(
        &self,
        peer: &Peer,
        authorization: Option<&str>,
        form: &Form<'_>,
    ) -> Result<TokenResponse, Error> {
        let mut heard = Heard(Some(self.begin(peer, "token")));
        let Some(cx) = heard.0.as_mut() else { return Err(abandoned().into()) };
        let outcome = phases(cx, authorization, form).await;
        heard.close(&outcome);
        outcome
    }

    /// Writes down a token request that cannot even be read.
    pub fn turn_away(&self, peer: &Peer, error: Error) -> Error {
        let outcome: Result<(), Error> = Err(error);
        self.begin(peer, "token").close(&outcome);
        outcome.err().unwrap_or_else(|| abandoned().into())
    }
}

/// A request whose decision is written down exactly once, also if its future is dropped.
struct Heard<'a>(Option<Cx<'a>>);

impl Heard<'_> {
    fn close<T>(mut self, outcome: &Result<T, Error>) {
        if let Some(cx) = self.0.take() {
            cx.close(outcome);
        }
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        if let Some(cx) = self.0.take() {
            cx.close::<()>(&Err(abandoned().into()));
        }
    }
}

async fn phases(
    cx: &mut Cx<'_>,
    authorization: Option<&str>,
    form: &Form<'_>,
) -> Result<TokenResponse, Error> {
    cx.must_be_heard()?;
    let grant = find(cx, form)?;
    cx.decision.action = grant.kind().into();
    let client = cx.authenticate(authorization, form)?;
    if grant.demands() == Demands::ConfidentialClient && client.public {
        return Err(Refusal::new(
            ErrorCode::UnauthorizedClient,
            "public clients may not use this grant type",
        )
        .into());
    }
    for _ in 0..MAX_RACES {
        let mut proof = grant.prove(cx, form, &client).await?;
        proof.alg = proof.alg.or(client.signing_alg);
        if let Some(tokens) = issue(cx, proof).await? {
            return Ok(tokens);
        }
    }
    Err(Fault::Store(StoreError::Unavailable(format!("lost {MAX_RACES} races for one grant"))).into())
}

/// Ends a grant because what opened it was presented twice: the spent never becomes unspent, so nothing can have changed
/// that meanwhile.
async fn end(cx: &Cx<'_>, id: &str, why: &'static str) -> Result<(), Error> {
    let (records, now, id) = (cx.provider.records.clone(), cx.now, id.to_owned());
    let change = async move {
        records.change::<records::grant::Grant, _>(&id, |grant| Change::Put(grant.end(now, why), ())).await
    };
    cx.provider.around.tasks.finish(change).await?.map_err(Fault::from)?;
    Ok(())
}

fn abandoned() -> Fault {
    Fault::Internal("the connection was closed before the answer".into())
}

fn find(cx: &Cx<'_>, form: &Form<'_>) -> Result<&'static dyn Grant, Refusal> {
    let asked = form.get("grant_type").ok_or_else(|| Refusal::request("grant_type is missing"))?;
    TABLE
        .into_iter()
        .find(|grant| grant.kind() == asked && cx.settings().oauth2.grants(asked))
        .ok_or_else(|| Refusal::new(ErrorCode::UnsupportedGrantType, "this grant type is not supported"))
}
