//! `jwt`: any issuer whose tokens are JWTs, by discovery, by a key set's URL or by keys written down. GitLab CI runs on
//! it as it is; with `trustDomain` it takes SPIFFE's JWT-SVIDs.

mod spiffe;

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Time};
use config::{Field, Fields, HttpUrl, KeyStyle, Read};
use provider::connector::{Connector, Flow, Presented, SubjectAudiences, VouchError, VouchSubject, Vouched};
use token::{Alg, AlgSet, Audience, Expect, Keys, SubjectToken, Trust, UnverifiedJwt, Verifier};

use crate::{Built, Given, Kind, key_source, vouching};
use spiffe::TrustDomain;

pub(crate) const KIND: Kind = Kind { kind: "jwt", keys: KeyStyle::Ours, read, file: file!() };

struct Jwt {
    verifier: Verifier<SubjectToken>,
    user_id_key: String,
    trust_domain: Option<TrustDomain>,
}

/// The keys that narrow which tokens pass.
struct Bounds {
    algs: AlgSet,
    kinds: Vec<TokenKind>,
    max_lifetime: Option<Duration>,
    max_age: Option<Duration>,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let trust_domain: Option<TrustDomain> = fields.optional("trustDomain");
    let issuer_is_written = fields.has("issuer");
    let issuer: Option<HttpUrl> = fields.optional("issuer");
    if issuer.is_none() && !issuer_is_written && trust_domain.is_none() {
        fields.missing("issuer", "add the issuer as it stands in the tokens");
    }
    let keys = key_source::read(fields, issuer.as_ref(), given);
    let audiences = audiences(fields);
    let user_id_key = fields.or("userIDKey", String::from("sub"));
    let bounds = Bounds::read(fields);
    let expect = match (&issuer, &trust_domain) {
        (Some(issuer), _) => Expect::new(issuer.as_str(), Audience::Unrestricted),
        (None, Some(_)) if !issuer_is_written => Expect::of_any_issuer(Audience::Unrestricted),
        _ => return None,
    };
    let expect = bounds.narrow(expect, trust_domain.is_some());
    let verifier = Verifier::new(Trust::new(given.id), keys?, expect);
    Some(Built { connector: Arc::new(Jwt { verifier, user_id_key, trust_domain }), audiences })
}

/// Reads `audiences` and `unrestrictedAudience`. Our issuer is always among the audiences.
pub(crate) fn audiences(fields: &mut Fields<'_>) -> SubjectAudiences {
    let audiences: Vec<String> = fields.or_default("audiences");
    let unrestricted = fields.or("unrestrictedAudience", false);
    if unrestricted && !audiences.is_empty() {
        fields.error("has both audiences and unrestrictedAudience", "keep one of the two");
    } else if unrestricted {
        fields.warning(
            "accepts tokens that were meant for anybody: whoever is given one can exchange it",
            "list audiences",
        );
        return SubjectAudiences::Unrestricted;
    }
    SubjectAudiences::AnyOf(audiences.into())
}

impl Bounds {
    fn read(fields: &mut Fields<'_>) -> Self {
        let listed = fields.is_written("algorithms");
        let algs: Vec<Algorithm> = fields.or_default("algorithms");
        let algs: AlgSet = algs.into_iter().map(|Algorithm(alg)| alg).collect();
        Self {
            // A list that is there and empty restricts to nothing; it never means all.
            algs: if listed { algs } else { AlgSet::ALL },
            kinds: fields.or_default("typ"),
            max_lifetime: fields.optional("maxLifetime"),
            max_age: fields.optional("maxAge"),
        }
    }

    fn narrow(self, mut expect: Expect<SubjectToken>, svid: bool) -> Expect<SubjectToken> {
        let mut kinds: Vec<_> = self.kinds.into_iter().map(|TokenKind(kind)| kind).collect();
        let mut algs = self.algs;
        if svid {
            kinds.push("jose"); // SPIFFE JWT-SVID section 2.3
            algs = algs.iter().filter(|alg| *alg != Alg::EdDsa).collect(); // section 2.1
        }
        for kind in kinds {
            expect = expect.also_of_kind(kind);
        }
        if let Some(span) = self.max_lifetime {
            expect = expect.max_lifetime(span);
        }
        if let Some(span) = self.max_age {
            expect = expect.max_age(span);
        }
        expect.algs(algs)
    }
}

impl Connector for Jwt {
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

impl VouchSubject for Jwt {
    fn may_own(&self, unverified: &UnverifiedJwt<'_>) -> bool {
        let domain = self.trust_domain.as_ref();
        owns_issuer(&self.verifier, unverified)
            && domain.is_none_or(|domain| domain.check(unverified.unverified_subject()).is_ok())
    }

    fn vouch<'a>(&'a self, token: Presented<'a>, now: Time) -> BoxFuture<'a, Result<Vouched, VouchError>> {
        Box::pin(async move {
            if self.trust_domain.is_some() {
                spiffe::check_header(token.unverified.as_ref())?;
            }
            let verified = vouching::verify(&self.verifier, token, now).await?;
            if let Some(domain) = &self.trust_domain {
                domain.check(verified.subject()).map_err(VouchError::Rejected)?;
                spiffe::check_audience(&verified)?;
            }
            let identity = vouching::workload(&verified, &self.user_id_key)?;
            Ok(vouching::vouched(verified, identity))
        })
    }
}

/// Whether a token says that it is of the trust entry's issuer, byte for byte; where any issuer passes, always.
pub(crate) fn owns_issuer(verifier: &Verifier<SubjectToken>, unverified: &UnverifiedJwt<'_>) -> bool {
    let issuers = verifier.expect().issuers();
    issuers.is_empty() || issuers.iter().any(|issuer| Some(&**issuer) == unverified.unverified_issuer())
}

/// Begins to fetch the keys, if they are fetched at all.
pub(crate) fn warm(verifier: &Verifier<SubjectToken>) {
    if let Keys::Remote(keys) = verifier.keys() {
        keys.warm();
    }
}

/// A name of a signature algorithm.
struct Algorithm(Alg);

impl Read for Algorithm {
    const KIND: config::Kind = config::Kind::Word;

    fn read(field: &Field<'_>) -> Option<Self> {
        field.one_of(&Alg::ALL.map(|alg| (alg.name(), alg))).map(Self)
    }
}

/// Another `typ` that tokens may have. A closed list: logout tokens, DPoP proofs and their kin never pass.
struct TokenKind(&'static str);

impl Read for TokenKind {
    const KIND: config::Kind = config::Kind::Word;

    fn read(field: &Field<'_>) -> Option<Self> {
        field.one_of(&["at+jwt", "jose"].map(|kind| (kind, kind))).map(Self)
    }
}
