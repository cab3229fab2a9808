//! An attempt to sign in, and where it is kept.

use ambient::{Random, Secret, Time};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;
use wire::b64;

use super::{CookieChange, Way};
use crate::connector::Identity;
use crate::records::grant::{Challenge, new_id};
use crate::records::{Kept, Record, Sealing};
use crate::response_type::ResponseType;
use crate::settings::Settings;
use crate::store::Kind;

/// One authorization request on its way. Serialized into a sealed cookie, later into a sealed record.
#[derive(Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// Random; the upstream's `state`.
    pub id: String,
    /// The client.
    pub client: String,
    /// How the client is answered.
    pub way: Way,
    /// What it wants.
    pub response: ResponseType,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The client's `nonce`.
    pub nonce: Option<String>,
    /// PKCE.
    pub challenge: Option<Challenge>,
    /// `login_hint`
    pub hint: Option<String>,
    /// The client wants consent to be asked for in any case.
    pub force_consent: bool,
    /// The chosen connector.
    pub connector: String,
    /// What the connector wants back from its departure.
    pub kept: Kept,
    /// Seconds since the epoch.
    pub expires: i64,
    /// Who it turned out to be.
    pub person: Option<Person>,
    /// Whether the person agreed.
    pub agreed: bool,
}

/// Somebody who has signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub identity: Identity,
    /// What the connector needs to ask again.
    pub kept: Kept,
    /// When, in seconds since the epoch.
    pub at: i64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nobody has proved who they are.
    Identify,
    /// The person has not agreed.
    Consent,
    /// The client gets its code.
    Issue,
}

impl Attempt {
    /// The only place that decides what comes next.
    pub fn next_step(&self, settings: &Settings) -> Step {
        if self.person.is_none() {
            Step::Identify
        } else if !self.agreed && (self.must_be_asked() || !settings.oauth2.skip_approval) {
            Step::Consent
        } else {
            Step::Issue
        }
    }

    /// For a device nobody may skip the question: its code may have come by mail (RFC 8628 section 5.4).
    const fn must_be_asked(&self) -> bool {
        self.force_consent || matches!(self.way, Way::Device { .. })
    }

    /// The request that it was begun with, as a query, for whoever chooses another connector.
    pub(super) fn request(&self) -> String {
        let mut query = Serializer::new(String::new());
        if let Way::Device { code } = &self.way {
            return query.append_pair("user_code", code).finish();
        }
        query
            .append_pair("client_id", &self.client)
            .append_pair("redirect_uri", self.way.redirect_uri())
            .append_pair("response_type", &self.response.name())
            .append_pair("scope", &self.scopes.join(" "));
        if let Way::Uri { mode, state, .. } = &self.way {
            query.append_pair("response_mode", mode.name());
            query.extend_pairs(Some(("state", state)).filter(|(_, state)| !state.is_empty()));
        }
        query.extend_pairs(self.nonce.iter().map(|nonce| ("nonce", nonce)));
        if let Some(Challenge { method, value }) = &self.challenge {
            query.append_pair("code_challenge", value).append_pair("code_challenge_method", method.name());
        }
        query.extend_pairs(self.hint.iter().map(|hint| ("login_hint", hint)));
        query.extend_pairs(self.force_consent.then_some(("prompt", "consent")));
        query.finish()
    }

    /// Whether it has taken too long.
    pub const fn is_over(&self, now: Time) -> bool {
        now.unix() >= self.expires
    }
}

impl Record for Attempt {
    const KIND: Kind = Kind("attempt");
    const SEALED: bool = true;

    fn due(&self) -> Option<Time> {
        Some(Time::from_unix(self.expires))
    }
}

/// What cookies are sealed with; the same on every replica, since the secret stands in the record of the keys.
pub struct Cookies {
    sealing: Sealing,
    policies: Sealing,
    user_codes: hmac::Key,
}

impl Cookies {
    /// From the secret that [`crate::keys::Keeper::load`] gives.
    pub fn new(secret: &Secret<Vec<u8>>) -> Option<Self> {
        let sealing = Sealing::from_material(secret, "cookies")?;
        let user_codes = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), b"user codes");
        let user_codes = hmac::Key::new(hmac::HMAC_SHA256, user_codes.as_ref());
        Some(Self { sealing, policies: Sealing::from_material(secret, "policies")?, user_codes })
    }

    /// What the other cookies of ours are sealed with.
    pub(super) const fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    /// The key of a device's record: who reads the store cannot tell the code from it.
    pub(super) fn device_key(&self, user_code: &str) -> String {
        b64::encode(hmac::sign(&self.user_codes, user_code.as_bytes()))
    }

    /// The name of the policy that granted a token, for the claim `obol_policy` of that token.
    pub(crate) fn seal_policy(&self, random: &dyn Random, token_id: &str, policy: &str) -> Option<String> {
        let sealed = self.policies.seal(random, token_id.as_bytes(), policy.as_bytes().to_vec());
        sealed.map(b64::encode)
    }

    /// What [`Self::seal_policy`] sealed for the same token.
    pub(crate) fn open_policy(&self, token_id: &str, sealed: &str) -> Option<String> {
        let plain = self.policies.open(token_id.as_bytes(), &b64::decode(sealed)?)?;
        String::from_utf8(plain).ok()
    }

    /// The cookie that binds an attempt to the browser. It holds the attempt itself until somebody has signed in, and
    /// only what names it afterwards. `None` if browsers would drop it for its size.
    pub(super) fn keep(
        &self,
        random: &dyn Random,
        settings: &Settings,
        now: Time,
        attempt: &Attempt,
    ) -> Option<CookieChange> {
        let carried = Attempt { person: None, ..attempt.clone() };
        let plain = serde_json::to_vec(&carried).ok()?;
        let sealed = self.sealing.seal(random, attempt.id.as_bytes(), plain)?;
        let max_age = attempt.expires.saturating_sub(now.unix());
        let value = b64::encode(sealed);
        (value.len() <= MAX_COOKIE).then(|| CookieChange {
            value: Some(value),
            max_age,
            ..forget(settings, &attempt.id)
        })
    }

    /// The attempt of that id, if this browser holds its cookie and it is not over.
    pub(super) fn find(&self, header: Option<&str>, id: &str, now: Time) -> Option<Attempt> {
        let name = name(id)?;
        let raw = header?
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)?
            .1;
        self.open(id, raw).filter(|attempt| !attempt.is_over(now))
    }

    /// Removes all but the newest [`OPEN_ATTEMPTS`] of this browser: what was begun and left would fill the head of every
    /// request until it is refused. A cookie that is not ours to read goes too.
    pub(super) fn stale(&self, header: Option<&str>, settings: &Settings, now: Time) -> Vec<CookieChange> {
        let ids = header.into_iter().flat_map(|header| header.split(';')).filter_map(|pair| {
            let (name, raw) = pair.trim().split_once('=')?;
            let id = name.strip_prefix(PREFIX).filter(|id| self::name(id).is_some())?;
            let living = self.open(id, raw).filter(|attempt| !attempt.is_over(now));
            Some((living.map(|attempt| attempt.expires), id))
        });
        let mut ids: Vec<_> = ids.collect();
        ids.sort_by(|a, b| b.cmp(a));
        let over = ids.iter().position(|(expires, _)| expires.is_none()).unwrap_or(ids.len());
        ids.into_iter().skip(over.min(OPEN_ATTEMPTS)).map(|(_, id)| forget(settings, id)).collect()
    }

    fn open(&self, id: &str, raw: &str) -> Option<Attempt> {
        let plain = self.sealing.open(id.as_bytes(), &b64::decode(raw)?)?;
        let attempt: Attempt = serde_json::from_slice(&plain).ok()?;
        (attempt.id == id).then_some(attempt)
    }
}

/// Removes an attempt's cookie.
pub(super) fn forget(settings: &Settings, id: &str) -> CookieChange {
    CookieChange {
        name: name(id).unwrap_or_default(),
        value: None,
        max_age: 0,
        path: path(settings),
        secure: settings.issuer.is_https(),
    }
}

/// Where our cookies are sent.
pub(super) fn path(settings: &Settings) -> String {
    let path = settings.issuer.path();
    if path.is_empty() { "/".into() } else { path.into() }
}

/// A new attempt's id.
pub(super) fn fresh_id(random: &dyn Random) -> String {
    new_id(random)
}

/// One cookie an attempt, so that two tabs do not disturb each other.
fn name(id: &str) -> Option<String> {
    let shaped = id.len() == 25 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    shaped.then(|| format!("{PREFIX}{id}"))
}

const PREFIX: &str = "obol_attempt_";

/// Attempts that one browser may have open beside the one it begins: tabs, not history.
const OPEN_ATTEMPTS: usize = 4;

/// Browsers keep 4096 bytes of name, value and attributes (RFC 6265 section 6.1) and drop what is larger.
const MAX_COOKIE: usize = 3900;
