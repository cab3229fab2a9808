//! `mockPassword`: one name and one password, for trying things out (dex.md 3.13).

use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use config::{Fields, KeyStyle};
use provider::connector::{
    Connector, Flow, Hints, Identity, PasswordFlow, Refresh, SignedIn, SubjectAudiences, UpstreamError,
};

use crate::mock_callback::somebody;
use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "mockPassword", keys: KeyStyle::Dex, read, file: file!() };

struct MockPassword {
    username: String,
    password: Secret<String>,
}

fn read(fields: &mut Fields<'_>, _: &Given<'_>) -> Option<Built> {
    let username = fields.required::<String>("username").filter(|name| !name.is_empty());
    let password = fields.required::<Secret<String>>("password").filter(|word| !word.expose().is_empty());
    let (Some(username), Some(password)) = (username, password) else {
        fields.error("needs a username and a password", "write both");
        return None;
    };
    let connector = Arc::new(MockPassword { username, password });
    Some(Built { connector, audiences: SubjectAudiences::AnyOf(Arc::from([])) })
}

impl MockPassword {
    fn signed_in() -> SignedIn {
        let identity = Identity { groups: Vec::new(), ..somebody() };
        SignedIn { identity, kept: Secret::new(br#"{"test": "true"}"#.to_vec()) }
    }
}

impl Connector for MockPassword {
    fn flow(&self) -> Flow<'_> {
        Flow::Password(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }
}

impl PasswordFlow for MockPassword {
    fn prompt(&self) -> &str {
        "Username"
    }

    fn login<'a>(
        &'a self,
        _: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>> {
        let (known, typed) = (self.password.expose().as_bytes(), password.expose().as_bytes());
        let right = verify_slices_are_equal(known, typed).is_ok() & (self.username == name);
        Box::pin(async move { Ok(right.then(Self::signed_in)) })
    }
}

impl Refresh for MockPassword {
    fn refresh<'a>(
        &'a self,
        _: Hints,
        known: &'a Identity,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async { Self::signed_in().about(known) })
    }
}
