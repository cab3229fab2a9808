//! A connector in a test's hand: it vouches for tokens of a key of its own, signs one person in, and can be told how to
//! answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambient::{BoxFuture, Secret, Time};
use provider::connector::{
    Connector, Departure, Flow, Hints, Identity, Inbound, Opened, PasswordFlow, Presented, ProxiedFlow,
    RedirectFlow, Refresh, SignedIn, SubjectAudience, SubjectAudiences, UpstreamError, VouchError,
    VouchSubject, Vouched,
};
use serde_json::{Value, json};
use token::{Audience, Expect, KeySet, Rejected, SubjectToken, Trust, UnverifiedJwt, Verified, Verifier};
use url::Url;
use wire::form::Form;

use crate::issuer::{Alg, Mint, TestKey};

/// The upstream.
pub struct Upstream {
    issuer: String,
    key: Arc<TestKey>,
    verifier: Verifier<SubjectToken>,
    door: Door,
    mood: Mutex<Mood>,
    refreshed: AtomicUsize,
    rotated: AtomicUsize,
}

/// How a person signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Nobody does.
    None,
    /// [`NAME`] with [`PASSWORD`].
    Password,
    /// Whoever comes back with `code=good`.
    Redirect,
    /// The same, back to a callback of its own, and with hints.
    OwnCallback,
    /// Whoever a proxy calls `alice` in `X-Remote-User`.
    Proxied,
}

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// The person is blocked.
    Denies,
    /// It is out of reach.
    Down,
    /// It answers for another person than it did before.
    SomebodyElse,
    /// The person has these names and groups.
    Named(Box<Identity>),
    /// It takes each refresh token once and gives another.
    Rotates,
}

impl Upstream {
    /// An upstream of that name, with an ES256 key.
    pub fn new(issuer: &str, door: Door) -> Arc<Self> {
        let key = Arc::new(TestKey::generate(Alg::Es256, "upstream-1"));
        let keys = KeySet::from_jwks(json!({"keys": [key.jwk()]}).to_string().as_bytes()).unwrap();
        // Whom a token is meant for is the provider's policy to judge.
        let expect = Expect::new(issuer, Audience::Unrestricted);
        Arc::new(Self {
            issuer: issuer.to_owned(),
            key,
            verifier: Verifier::new(Trust::new(issuer), keys, expect),
            door,
            mood: Mutex::new(Mood::Well),
            refreshed: AtomicUsize::new(0),
            rotated: AtomicUsize::new(0),
        })
    }

    /// As a configured connector; `audiences` beside the provider's own issuer.
    pub fn opened(self: &Arc<Self>, id: &str, audiences: &[&str]) -> Opened {
        Opened {
            id: id.into(),
            kind: "test",
            name: format!("Test {id}").into(),
            grant_types: Arc::from([]),
            audiences: SubjectAudiences::AnyOf(audiences.iter().map(|&name| name.to_owned()).collect()),
            connector: Arc::clone(self) as Arc<dyn Connector>,
        }
    }

    /// Tells it how to answer from now on.
    pub fn turns(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How often it was asked at refresh.
    pub fn refreshed(&self) -> usize {
        self.refreshed.load(Ordering::Relaxed)
    }

    /// A token that it signs: `iss`, `iat` and an `exp` ten minutes on are filled in.
    pub fn token(&self, now: Time, claims: Value) -> Mint {
        let mut all = json!({"iss": self.issuer, "iat": now.unix(), "exp": now.unix() + 600});
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        for (name, value) in claims {
            all[name] = value;
        }
        Mint::new(all, Arc::clone(&self.key))
    }

    fn mood(&self) -> Mood {
        self.mood.lock().unwrap().clone()
    }

    fn answer(&self) -> Result<SignedIn, UpstreamError> {
        let mut identity = alice();
        match self.mood() {
            Mood::Denies => return Err(UpstreamError::Denied("blocked".into())),
            Mood::Down => return Err(UpstreamError::Unavailable("no route".into())),
            Mood::SomebodyElse => "mallory".clone_into(&mut identity.user_id),
            Mood::Named(named) => identity = Identity { user_id: identity.user_id, ..*named },
            Mood::Well | Mood::Rotates => {}
        }
        let kept = refresh_token(self.rotated.load(Ordering::Relaxed));
        Ok(SignedIn { identity, kept: Secret::new(kept.into_bytes()) })
    }
}

impl Connector for Upstream {
    fn knows(&self, _: &str) -> bool {
        self.mood() != Mood::Denies
    }

    fn flow(&self) -> Flow<'_> {
        match self.door {
            Door::None => Flow::None,
            Door::Password => Flow::Password(self),
            Door::Redirect | Door::OwnCallback => Flow::Redirect(self),
            Door::Proxied => Flow::Proxied(self),
        }
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        (self.door != Door::None).then_some(self)
    }

    fn subject(&self) -> Option<&dyn VouchSubject> {
        Some(self)
    }
}

impl PasswordFlow for Upstream {
    fn prompt(&self) -> &str {
        "Email Address"
    }

    fn login<'a>(
        &'a self,
        _: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>> {
        Box::pin(async move {
            let right = name == NAME && password.expose() == PASSWORD;
            self.answer().map(|signed_in| right.then_some(signed_in))
        })
    }
}

impl ProxiedFlow for Upstream {
    fn arrive(&self, inbound: &Inbound<'_>) -> Result<SignedIn, UpstreamError> {
        let said = inbound.headers.get("x-remote-user").and_then(|value| value.to_str().ok());
        if said == Some("alice") { self.answer() } else { Err(UpstreamError::Invalid("nobody".into())) }
    }
}

impl RedirectFlow for Upstream {
    fn hint_parameter(&self) -> Option<&'static str> {
        (self.door == Door::OwnCallback).then_some("login_hint")
    }

    fn has_own_callback(&self) -> bool {
        self.door == Door::OwnCallback
    }

    fn depart<'a>(
        &'a self,
        _: Hints,
        callback: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Departure, UpstreamError>> {
        let mut to = Url::parse(&format!("{}/authorize", self.issuer)).unwrap();
        to.query_pairs_mut().append_pair("redirect_uri", callback.as_str()).append_pair("state", state);
        Box::pin(async { Ok(Departure { to, keep: Secret::new(KEPT.as_bytes().to_vec()) }) })
    }

    fn arrive<'a>(
        &'a self,
        _: Hints,
        _: &'a Url,
        kept: &'a [u8],
        query: &'a Form<'a>,
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            if kept != KEPT.as_bytes() || query.get("code") != Some("good") {
                return Err(UpstreamError::Invalid("not what was asked for".into()));
            }
            self.answer()
        })
    }
}

impl Refresh for Upstream {
    fn refresh<'a>(
        &'a self,
        _: Hints,
        _: &'a Identity,
        kept: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        self.refreshed.fetch_add(1, Ordering::Relaxed);
        let rotated = self.rotated.load(Ordering::Relaxed);
        let current = kept == refresh_token(rotated).as_bytes();
        if self.mood() == Mood::Rotates && current {
            self.rotated.fetch_add(1, Ordering::Relaxed);
        }
        Box::pin(async move {
            if !current {
                return Err(UpstreamError::Denied("the refresh token was used before".into()));
            }
            self.answer()
        })
    }
}

impl VouchSubject for Upstream {
    fn may_own(&self, unverified: &UnverifiedJwt<'_>) -> bool {
        unverified.unverified_issuer() == Some(&*self.issuer)
    }

    fn vouch<'a>(&'a self, token: Presented<'a>, now: Time) -> BoxFuture<'a, Result<Vouched, VouchError>> {
        Box::pin(async move {
            if self.mood() == Mood::Down {
                return Err(VouchError::Unavailable("no route".into()));
            }
            let rejected = |why: Rejected| VouchError::Rejected(why.to_string());
            let unverified = UnverifiedJwt::parse(token.raw).map_err(rejected)?;
            self.verifier.verify(unverified, now).await.map(vouched).map_err(rejected)
        })
    }
}

/// As Dex's `oidc` connector maps a token.
fn vouched(verified: Verified<SubjectToken>) -> Vouched {
    let claims = verified.claims();
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
    Vouched {
        audience: SubjectAudience::InToken(verified.audience().map(str::to_owned).collect()),
        expires: Some(verified.expires()),
        bound: verified.confirmation().is_some(),
        identity,
        claims: verified.into_claims(),
    }
}

/// What it gives after so many refreshes with [`Mood::Rotates`].
fn refresh_token(rotated: usize) -> String {
    if rotated == 0 { KEPT.to_owned() } else { format!("{KEPT}-{rotated}") }
}

/// The person who signs in.
pub fn alice() -> Identity {
    Identity {
        user_id: "1234".into(),
        username: "Alice".into(),
        preferred_username: "alice".into(),
        email: NAME.into(),
        email_verified: true,
        groups: vec!["dev".into(), "ops".into()],
    }
}

/// What [`alice`] types as her name.
pub const NAME: &str = "alice@example.com";
/// And as her password.
pub const PASSWORD: &str = "canary-password-of-alice";
/// What the upstream wants back: its refresh token, as it were.
pub const KEPT: &str = "canary-upstream-refresh-token";
/// How long [`Upstream::token`]s live.
pub const LIVES: Duration = Duration::from_secs(600);
