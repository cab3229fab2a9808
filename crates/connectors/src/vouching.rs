//! What every kind that checks JWTs by keys has in common.

use ambient::Time;
use provider::connector::{Identity, Presented, SubjectAudience, VouchError, Vouched};
use token::{Rejected, SubjectToken, UnverifiedJwt, Verified, Verifier};

/// Checks a JWT by the keys of its trust entry. What the request calls it says nothing about it.
pub(crate) async fn verify(
    verifier: &Verifier<SubjectToken>,
    token: Presented<'_>,
    now: Time,
) -> Result<Verified<SubjectToken>, VouchError> {
    let unverified = match token.unverified {
        Some(unverified) => unverified,
        None => UnverifiedJwt::parse(token.raw).map_err(|why| refusal(&why))?,
    };
    verifier.verify(unverified, now).await.map_err(|why| refusal(&why))
}

/// A token that was checked, as policies read it. Its audience is theirs to judge.
pub(crate) fn vouched(verified: Verified<SubjectToken>, identity: Identity) -> Vouched {
    Vouched {
        audience: SubjectAudience::InToken(verified.audience().map(str::to_owned).collect()),
        expires: Some(verified.expires()),
        bound: verified.confirmation().is_some(),
        claims: verified.into_claims(),
        identity,
    }
}

/// The user id that a claim holds, and nothing more: what workloads are is said by policies.
pub(crate) fn workload(verified: &Verified<SubjectToken>, key: &str) -> Result<Identity, VouchError> {
    match verified.claims().str(key).filter(|id| !id.is_empty()) {
        Some(id) => Ok(Identity { user_id: id.to_owned(), ..Identity::default() }),
        None => Err(VouchError::Rejected(format!("the token has no text in its claim {key:?}"))),
    }
}

/// Tells an outage from a bad token.
pub(crate) fn refusal(why: &Rejected) -> VouchError {
    if why.is_temporary() {
        VouchError::Unavailable(why.to_string())
    } else {
        VouchError::Rejected(why.to_string())
    }
}
