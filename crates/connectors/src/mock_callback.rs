//! `mockCallback`: an upstream that lets everybody in as one person, for trying things out (dex.md 3.13).

use std::sync::Arc;

use ambient::{BoxFuture, Secret, Time};
use config::{Fields, KeyStyle};
use provider::connector::{
    Connector, Departure, Flow, Hints, Identity, Presented, RedirectFlow, Refresh, SignedIn, SubjectAudience,
    SubjectAudiences, UpstreamError, VouchError, VouchSubject, Vouched,
};
use token::UnverifiedJwt;
use url::Url;
use wire::claims::Claims;
use wire::form::Form;
use wire::json::{Object, Value};

use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "mockCallback", keys: KeyStyle::Dex, read, file: file!() };

struct MockCallback {
    vouches: bool,
}

fn read(fields: &mut Fields<'_>, _: &Given<'_>) -> Option<Built> {
    let vouches = fields.or("unsafeDexExchange", false);
    if vouches {
        fields.warning("exchanges whatever text it is given", "remove unsafeDexExchange");
    }
    let audiences = SubjectAudiences::AnyOf(Arc::from([]));
    Some(Built { connector: Arc::new(MockCallback { vouches }), audiences })
}

impl Connector for MockCallback {
    fn flow(&self) -> Flow<'_> {
        Flow::Redirect(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }

    fn subject(&self) -> Option<&dyn VouchSubject> {
        Some(self)
    }
}

impl RedirectFlow for MockCallback {
    fn depart<'a>(
        &'a self,
        _: Hints,
        callback: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Departure, UpstreamError>> {
        let mut to = callback.clone();
        to.query_pairs_mut().append_pair("state", state);
        Box::pin(async { Ok(Departure { to, keep: Secret::default() }) })
    }

    fn arrive<'a>(
        &'a self,
        _: Hints,
        _: &'a Url,
        _: &'a [u8],
        _: &'a Form<'a>,
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async { Ok(signed_in()) })
    }
}

impl Refresh for MockCallback {
    fn refresh<'a>(
        &'a self,
        _: Hints,
        known: &'a Identity,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async { signed_in().about(known) })
    }
}

impl VouchSubject for MockCallback {
    /// Its tokens are not JWTs: a request must name it.
    fn may_own(&self, _: &UnverifiedJwt<'_>) -> bool {
        false
    }

    fn vouch<'a>(&'a self, _: Presented<'a>, _: Time) -> BoxFuture<'a, Result<Vouched, VouchError>> {
        Box::pin(async {
            if !self.vouches {
                return Err(VouchError::Unsupported("any token without unsafeDexExchange"));
            }
            let identity = somebody();
            let members = vec![
                (String::from("sub"), Value::Str(identity.user_id.clone())),
                (String::from("name"), Value::Str(identity.username.clone())),
                (String::from("email"), Value::Str(identity.email.clone())),
            ];
            let claims = Claims::from_object(Object::from_members(members).unwrap_or_default());
            let claims = claims.map_err(|why| VouchError::Rejected(why.to_string()))?;
            Ok(Vouched { claims, identity, audience: SubjectAudience::Unknown, expires: None, bound: false })
        })
    }
}

fn signed_in() -> SignedIn {
    SignedIn { identity: somebody(), kept: Secret::new(b"foobar".to_vec()) }
}

/// Who everybody is, as in Dex.
pub(crate) fn somebody() -> Identity {
    Identity {
        user_id: "0-385-28089-0".into(),
        username: "Kilgore Trout".into(),
        preferred_username: String::new(),
        email: "kilgore@kilgore.trout".into(),
        email_verified: true,
        groups: vec!["authors".into()],
    }
}
