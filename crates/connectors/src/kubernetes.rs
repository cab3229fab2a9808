//! `kubernetes`: the service-account issuer of a cluster. Many clusters call themselves
//! `https://kubernetes.default.svc`: what tells them apart is the keys of each entry, and a request that names the entry.

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Time};
use cluster::InCluster;
use config::{Fields, HttpUrl, KeyStyle};
use provider::connector::{Connector, Flow, Presented, VouchError, VouchSubject, Vouched};
use token::{
    Audience, Expect, Keys, Rejected, Source, SubjectToken, Trust, UnverifiedJwt, Verified, Verifier,
};
use wire::json::Value;

use crate::jwt::{audiences, owns_issuer, warm};
use crate::{Built, Given, Kind, key_source, vouching};

pub(crate) const KIND: Kind = Kind { kind: "kubernetes", keys: KeyStyle::Ours, read, file: file!() };

struct Kubernetes {
    verifier: Verifier<SubjectToken>,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let in_cluster = fields.or("inCluster", false);
    let issuer_is_written = fields.has("issuer");
    let issuer: Option<HttpUrl> = fields.optional("issuer");
    let issuer_text = issuer.as_ref().map(|issuer| issuer.as_str().to_owned());
    let (issuer_text, keys) = if in_cluster {
        let own = own_cluster(fields, given);
        let (derived, keys) = own.map_or((None, None), |(issuer, keys)| (issuer, Some(keys)));
        (issuer_text.or(derived), keys)
    } else {
        if !issuer_is_written {
            fields.missing("issuer", "add the API server's --service-account-issuer, or inCluster: true");
        }
        (issuer_text, key_source::read(fields, issuer.as_ref(), given))
    };
    let audiences = audiences(fields);
    let max_lifetime = fields.or("maxLifetime", MAX_LIFETIME);
    let expect = Expect::new(issuer_text?, Audience::Unrestricted).max_lifetime(max_lifetime);
    let verifier = Verifier::new(Trust::new(given.id), keys?, expect);
    Some(Built { connector: Arc::new(Kubernetes { verifier }), audiences })
}

/// The cluster that we run in: its API server's own key set, asked for with our own token. Our token also says what
/// the issuer is called; that it does so truly is the kubelet's word, which everything in a pod rests on.
fn own_cluster(fields: &Fields<'_>, given: &Given<'_>) -> Option<(Option<String>, Keys)> {
    let fault = |what: String| fields.error(what, "run in a pod with a service account, or remove inCluster");
    let variable = |name: &str| given.environment.get(name).map(str::to_owned);
    let own = InCluster::from(&given.context.mount, variable)
        .map_err(|error| fault(format!("asks for the own cluster, but {error}")))
        .ok()?;
    let client = own
        .client(&given.context.dial, Arc::clone(&given.context.clock))
        .map_err(|error| fault(format!("cannot use the pod's ca.crt ({error})")))
        .ok()?;
    let jwks = own.server.join("openid/v1/jwks").ok()?;
    let issuer = std::fs::read_to_string(&own.token).ok().and_then(|raw| {
        let unverified_own = UnverifiedJwt::parse(raw.trim()).ok()?;
        unverified_own.unverified_issuer().map(str::to_owned)
    });
    if issuer.is_none() && !fields.has("issuer") {
        fault("cannot read the issuer from the pod's token".into());
    }
    Some((issuer, Keys::remote(given.context.remote_keys(Source::Jwks(jwks), client))))
}

impl Connector for Kubernetes {
    fn flow(&self) -> Flow<'_> {
        Flow::None
    }

    fn subject(&self) -> Option<&dyn VouchSubject> {
        Some(self)
    }

    fn warm(&self) {
        warm(&self.verifier);
    }
}

impl VouchSubject for Kubernetes {
    fn may_own(&self, unverified: &UnverifiedJwt<'_>) -> bool {
        owns_issuer(&self.verifier, unverified)
    }

    fn vouch<'a>(&'a self, token: Presented<'a>, now: Time) -> BoxFuture<'a, Result<Vouched, VouchError>> {
        Box::pin(async move {
            let unverified = match token.unverified {
                Some(unverified) => unverified,
                None => UnverifiedJwt::parse(token.raw).map_err(|why| vouching::refusal(&why))?,
            };
            let legacy = unverified.unverified_issuer() == Some(LEGACY_ISSUER);
            let verified = self.verifier.verify(unverified, now).await.map_err(|why| match why {
                Rejected::NoExpiry => VouchError::Rejected(format!("the token never expires; {ADVICE}")),
                Rejected::Issuer(_) if legacy => {
                    VouchError::Rejected(format!("it is a service account's legacy token; {ADVICE}"))
                }
                why => vouching::refusal(&why),
            })?;
            check(&verified, now)?;
            let identity = vouching::workload(&verified, "sub")?;
            Ok(vouching::vouched(verified, identity))
        })
    }
}

/// What the API server would not refuse, and a verifier elsewhere should.
fn check(verified: &Verified<SubjectToken>, now: Time) -> Result<(), VouchError> {
    if verified.audience().next().is_none() {
        return Err(VouchError::Rejected(format!("the token is meant for nobody in particular; {ADVICE}")));
    }
    // The API server extends tokens of old clients to a year and notes when they should have ended.
    let bound = verified.claims().get("kubernetes.io").and_then(Value::as_object);
    let should_have_ended = bound.and_then(|bound| bound.get("warnafter")).and_then(Value::as_int);
    if should_have_ended.is_some_and(|at| Time::from_unix(at) <= now) {
        let what = "the token's real lifetime is over, only its extension lasts (warnafter)";
        return Err(VouchError::Rejected(format!("{what}; {ADVICE}")));
    }
    Ok(())
}

const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
const ADVICE: &str = "mount a projected serviceAccountToken with an audience and an expirationSeconds, or use kubectl create token";

/// Longer than anybody projects tokens for, and far below the year that extended ones live.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
