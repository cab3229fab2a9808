//! One request as policies see it: of the question only what a rule may look at, and the variables of its expressions.

use ambient::Time;
use expr::{Env, Type, Value, Vars};
use wire::claims::Claims;

use crate::connector::{Identity, SubjectAudience};
use crate::own;
use crate::policy::Question;
use crate::scope::Scopes;

/// See the module. Tests of policies make it without a connector.
pub(super) struct Case<'a> {
    pub(super) connector: &'a str,
    pub(super) client: &'a str,
    pub(super) claims: &'a Claims,
    pub(super) identity: &'a Identity,
    /// Whom the subject token was meant for; `None`: nobody knows.
    pub(super) meant_for: Option<&'a [String]>,
    pub(super) expires: Option<Time>,
    /// The audiences that are asked for; may be empty.
    pub(super) asked: &'a [String],
    pub(super) scopes: &'a Scopes,
    pub(super) issuer: &'a str,
    pub(super) now: Time,
}

impl<'a> Case<'a> {
    pub(super) fn of(question: &Question<'a>, asked: &'a [String]) -> Self {
        let vouched = question.vouched;
        Self {
            connector: &question.connector.id,
            client: &question.client.id,
            claims: &vouched.claims,
            identity: &vouched.identity,
            meant_for: match &vouched.audience {
                SubjectAudience::InToken(meant) | SubjectAudience::Introspected(meant) => Some(meant),
                SubjectAudience::Unknown => None,
            },
            expires: vouched.expires,
            asked,
            scopes: question.scopes,
            issuer: question.issuer,
            now: question.now,
        }
    }

    /// Whether the subject token is one of Obol's own. The id is reserved.
    pub(super) fn is_own(&self) -> bool {
        self.connector == own::ID
    }

    /// The variables. `audience` is what would be granted.
    pub(super) fn vars<'v>(&self, audience: &'v [String]) -> Vars<'v>
    where
        'a: 'v,
    {
        let identity = self.identity;
        let identity = Value::object([
            ("user_id", Value::from(identity.user_id.as_str())),
            ("username", Value::from(identity.username.as_str())),
            ("preferred_username", Value::from(identity.preferred_username.as_str())),
            ("email", Value::from(identity.email.as_str())),
            ("email_verified", Value::from(identity.email_verified)),
            ("groups", Value::from(identity.groups.as_slice())),
        ]);
        Vars::new()
            .with("claims", self.claims.object())
            .with("identity", identity)
            .with("client", self.client)
            .with("connector", self.connector)
            .with("audience", audience)
    }
}

/// What expressions are checked against.
pub(super) fn env() -> Env {
    let identity = [
        ("user_id", Type::String),
        ("username", Type::String),
        ("preferred_username", Type::String),
        ("email", Type::String),
        ("email_verified", Type::Bool),
        ("groups", Type::list(Type::String)),
    ];
    Env::new()
        .with("claims", Type::claims())
        .with("identity", Type::object("identity", identity))
        .with("client", Type::String)
        .with("connector", Type::String)
        .with("audience", Type::list(Type::String))
}
