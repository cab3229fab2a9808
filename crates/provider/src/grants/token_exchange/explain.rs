//! What an exchange would come to, without making it: nothing is signed, stored or counted. For administrators, with a
//! token or with claims that nobody signed.

use std::sync::Arc;

use ambient::Time;
use serde::Serialize;
use token::UnverifiedJwt;
use wire::claims::Claims;
use wire::oauth::TokenType;

use super::{Ask, check_living, not_accepted, proof, route};
use crate::connector::{Identity, Presented, SubjectAudience, VouchError, Vouched};
use crate::error::{Error, Fault, Refusal};
use crate::issue;
use crate::policy::written::explain::Step;
use crate::policy::{self, Question, Targets};
use crate::scope::Scopes;
use crate::{Living, Peer, Provider, introspection, own};

/// What is to be explained.
#[derive(Debug)]
pub struct Supposed<'a> {
    /// Who would ask.
    pub client: &'a str,
    /// Who would vouch. Needed for claims; for a token, where several could.
    pub connector: Option<&'a str>,
    /// What would be handed in.
    pub subject: Subject<'a>,
    /// Which audiences would be asked for.
    pub audience: Vec<String>,
    /// Which scopes.
    pub scope: &'a str,
}

/// What would be handed in.
#[derive(Debug)]
pub enum Subject<'a> {
    /// A token, which its connector checks.
    Token(&'a str),
    /// Claims as they stand. Nobody has checked them.
    Claims(&'a [u8]),
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Who would ask.
    pub client: String,
    /// Who would vouch.
    pub connector: String,
    /// Whether the connector checked the token; claims without one are only supposed.
    pub verified: bool,
    /// Which audiences would be asked for.
    pub asked: Vec<String>,
    /// What the decision saw.
    pub claims: serde_json::Value,
    /// The connector's policies in the order in which they are asked.
    pub policies: Vec<Step>,
    /// How many policies are about other connectors.
    pub elsewhere: usize,
    /// The end.
    pub outcome: Outcome,
}

/// The end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Outcome {
    /// A token would be issued.
    Granted {
        /// Under this policy.
        policy: String,
        /// With these claims.
        token: serde_json::Value,
        /// Signed like this, if the policy says so.
        algorithm: Option<&'static str>,
        /// Only if the same token was not used before.
        single_use: bool,
    },
    /// Nothing would.
    Refused {
        /// The policy that decided, if one did.
        policy: Option<String>,
        /// The code that the asker would see.
        error: &'static str,
        /// The reason, which it would not.
        reason: String,
    },
}

impl Provider {
    /// Explains what the running configuration would do. It is written down that somebody asked.
    ///
    /// # Errors
    /// As [`explain`].
    pub async fn explain(&self, peer: &Peer, supposed: Supposed<'_>) -> Result<Explanation, Error> {
        let mut cx = self.begin(peer, "explain");
        let known = cx.settings().clients.find(supposed.client).map(|known| Arc::clone(&known.id));
        cx.decision.client = known;
        let in_force = |claims: &Claims| introspection::policy(&cx, claims).map(drop);
        let outcome = explain_with(&cx.living, supposed, cx.now, &in_force).await;
        cx.close(&outcome);
        outcome
    }
}

/// Decides as the token endpoint would. The policy that a token of ours was granted under is sealed in it, and only the
/// provider that issued it can tell whether that is still in force: here it is taken to be.
///
/// # Errors
/// What cannot even be asked: no such client or connector, a token that is not accepted, an issuer out of reach.
pub async fn explain(living: &Living, supposed: Supposed<'_>, now: Time) -> Result<Explanation, Error> {
    explain_with(living, supposed, now, &|_| Ok(())).await
}

/// Whether the policy that a token of ours was granted under is in force; why it is not.
type InForce<'a> = &'a (dyn Fn(&Claims) -> Result<(), &'static str> + Sync);

async fn explain_with(
    living: &Living,
    supposed: Supposed<'_>,
    now: Time,
    in_force: InForce<'_>,
) -> Result<Explanation, Error> {
    let client = living.settings.clients.find(supposed.client);
    let client = client.ok_or_else(|| Refusal::request("there is no client of that id"))?;
    let (targets, scopes) = (Targets::of(supposed.audience)?, Scopes::parse(supposed.scope)?);
    let (raw, kind) = match supposed.subject {
        Subject::Token(raw) => (raw, TokenType::Jwt),
        Subject::Claims(_) => ("", TokenType::Jwt),
    };
    let ask = Ask {
        subject: Presented { kind, raw, unverified: UnverifiedJwt::parse(raw).ok() },
        connector: supposed.connector,
        requested: TokenType::AccessToken,
        targets,
        scopes,
    };
    let (connector, seam) = route(living, client, &ask)?;
    let verified = matches!(supposed.subject, Subject::Token(_));
    let vouched = match supposed.subject {
        Subject::Claims(raw) => assumed(raw)?,
        Subject::Token(_) => seam.vouch(ask.subject, now).await.map_err(|error| match error {
            VouchError::Unavailable(why) => Error::Fault(Fault::Upstream(why)),
            other => Error::Refusal(not_accepted(other.to_string())),
        })?,
    };
    let question = Question {
        client,
        clients: &living.settings.clients,
        connector,
        vouched: &vouched,
        targets: &ask.targets,
        scopes: &ask.scopes,
        issuer: &living.settings.issuer.text,
        now,
    };
    let written = living.settings.exchange.as_ref();
    Ok(Explanation {
        client: client.id.to_string(),
        connector: connector.id.to_string(),
        verified,
        asked: ask.targets.names().to_vec(),
        claims: serde_json::to_value(vouched.claims.object()).unwrap_or_default(),
        policies: written.map(|policies| policies.explain(&question)).unwrap_or_default(),
        elsewhere: written.map_or(0, |policies| policies.elsewhere(&connector.id)),
        outcome: outcome(living, &question, in_force),
    })
}

fn outcome(living: &Living, question: &Question<'_>, in_force: InForce<'_>) -> Outcome {
    let refused = |policy: Option<String>, refusal: Refusal| Outcome::Refused {
        policy,
        error: refusal.code.as_str(),
        reason: refusal.reason.into_owned(),
    };
    if question.vouched.bound {
        return refused(
            None,
            not_accepted("the token is bound to a key (cnf), and no proof of it can be given here"),
        );
    }
    if let Err(refusal) = check_living(living, question) {
        return refused(None, refusal);
    }
    if own::is_own(question.connector)
        && let Err(why) = in_force(&question.vouched.claims)
    {
        return refused(None, not_accepted(why));
    }
    match policy::decide(&living.settings, question).outcome {
        Err(denied) => refused(denied.policy.map(|name| name.as_ref().to_owned()), denied.refusal),
        Ok(granted) => {
            let (policy, alg, single_use) =
                (granted.policy.as_ref().to_owned(), granted.alg, granted.once.is_some());
            let proof = proof(question, granted, TokenType::AccessToken);
            match issue::preview(&living.settings, &proof, question.now) {
                Ok(token) => {
                    Outcome::Granted { policy, token, algorithm: alg.map(|alg| alg.name()), single_use }
                }
                Err(refusal) => refused(Some(policy), refusal),
            }
        }
    }
}

/// Claims without a token. The user is read as workload connectors read it.
fn assumed(raw: &[u8]) -> Result<Vouched, Refusal> {
    let claims = Claims::parse(raw);
    let claims = claims.map_err(|error| Refusal::request(format!("no token has such claims: {error}")))?;
    let text = |name: &str| claims.str(name).unwrap_or_default().to_owned();
    let groups = claims.get("groups").and_then(wire::json::Value::as_list).unwrap_or_default();
    let identity = Identity {
        user_id: text("sub"),
        username: text("name"),
        preferred_username: text("preferred_username"),
        email: text("email"),
        email_verified: claims.get("email_verified").and_then(wire::json::Value::as_bool).unwrap_or(false),
        groups: groups.iter().filter_map(wire::json::Value::as_str).map(str::to_owned).collect(),
    };
    Ok(Vouched {
        identity,
        audience: SubjectAudience::InToken(claims.audience().map(str::to_owned).collect()),
        expires: claims.expires().map(Time::from_unix),
        bound: claims.get("cnf").is_some(),
        claims,
    })
}
