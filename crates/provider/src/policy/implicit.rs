//! The one policy of a Dex configuration without `tokenExchange` (DESIGN section 6): what Dex does, with the subject
//! token's audience checked where the connector can know it, and without the `system:` names that an upstream gives.

use std::sync::Arc;

use wire::dex::Pair;
use wire::oauth::ErrorCode;

use super::{Denied, Granted, Question};
use crate::connector::{SubjectAudience, SubjectAudiences};
use crate::error::Refusal;
use crate::issue::Profile;
use crate::own;
use crate::reserved;
use crate::scope::OFFLINE;
use crate::settings::Settings;

pub(super) fn decide(settings: &Settings, question: &Question<'_>) -> Result<Granted, Denied> {
    let deny = |refusal| Denied::new(Some(Arc::from(NAME)), refusal);
    let unrestricted = check_audience(question).map_err(deny)?;
    let scopes = question.scopes.clone().without(OFFLINE);
    let own = own::is_own(question.connector);
    if own {
        own::check_narrowing(question, &scopes).map_err(deny)?;
    }
    let identity = &question.vouched.identity;
    let mut profile = Profile::by_scopes(identity, &scopes);
    let withheld = reserved::withhold(&mut profile, question.connector);
    Ok(Granted {
        policy: Arc::from(NAME),
        written: false,
        subject: if own {
            identity.user_id.clone()
        } else {
            Pair::new(&*identity.user_id, &*question.connector.id).encode()
        },
        profile,
        free: Vec::new(),
        audience: audience(question).map_err(deny)?,
        scopes,
        lifetime: settings.expiry.id_tokens,
        not_after: if own { question.vouched.expires } else { None },
        alg: None,
        once: None,
        unrestricted,
        withheld,
    })
}

/// Dex weaknesses T1 and T2. `Ok(true)`: nobody knows whom the token was meant for, and the configuration says so.
fn check_audience(question: &Question<'_>) -> Result<bool, Refusal> {
    let refused = |why| {
        Err(Refusal::request("the subject token is not accepted")
            .because(why)
            .as_dex(ErrorCode::AccessDenied, 401))
    };
    let meant = match &question.vouched.audience {
        SubjectAudience::InToken(meant) | SubjectAudience::Introspected(meant) => meant,
        // Only connectors whose configuration accepts that vouch without knowing.
        SubjectAudience::Unknown => return Ok(true),
    };
    let SubjectAudiences::AnyOf(accepted) = &question.connector.audiences else { return Ok(true) };
    if own::is_own(question.connector) {
        return match meant.iter().any(|name| *name == *question.client.id) {
            true => Ok(false),
            false => refused("the subject token is meant for somebody else"),
        };
    }
    let accepts = |name: &str| name == question.issuer || accepted.iter().any(|known| known == name);
    if meant.is_empty() {
        return refused("the subject token names no audience");
    }
    if !meant.iter().any(|name| accepts(name)) {
        return refused("the subject token is meant for somebody else");
    }
    // OpenID Connect Core section 3.1.3.7: of several audiences the authorized party is the one it was issued to.
    match question.vouched.claims.str("azp") {
        Some(party) if !accepts(party) => refused("the subject token was issued to somebody else (azp)"),
        None if !meant.iter().all(|name| accepts(name)) => {
            refused("the subject token is meant for others too and names no authorized party (azp)")
        }
        _ => Ok(false),
    }
}

/// Named audiences are clients that trust the asking one; without any, Dex's rule by scopes holds.
fn audience(question: &Question<'_>) -> Result<Vec<Arc<str>>, Refusal> {
    if question.targets.names().is_empty() {
        return question.scopes.audience(question.client, question.clients);
    }
    if !question.scopes.peers().is_empty() {
        return Err(Refusal::target("audiences are named both as parameters and as scopes"));
    }
    if own::is_own(question.connector) {
        let meant = |name: &String| question.vouched.claims.audience().any(|aud| aud == name);
        if !question.targets.names().iter().all(meant) {
            return Err(Refusal::target("the subject token was not issued for all of these audiences"));
        }
    }
    let named = |name: &String| {
        let client = question.clients.find(name).filter(|client| client.trusts(&question.client.id));
        client.map(|client| Arc::clone(&client.id)).ok_or_else(|| {
            Refusal::target("the client may not ask for tokens for one of these audiences")
                .because("the audience is no client that trusts the asking one")
        })
    };
    question.targets.names().iter().map(named).collect()
}

/// Shown in audit events and metrics.
const NAME: &str = "implicit";
