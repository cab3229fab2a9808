//! A grant: what one person allowed one client, with its code, its refresh generations and its end. Every rule of
//! single use is a step of this one record, so that a compare-and-replace enforces it across replicas.

#[cfg(test)]
mod tests;

use std::time::Duration;

use ambient::{Random, RandomExt as _, Secret, Time};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use wire::b64;
use wire::dex::Pair;

use super::lineage::Lineage;
use super::{Change, Kept, Record, Sealing};
use crate::connector::Identity;
use crate::store::Kind;

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Whom it was given to.
    pub client: String,
    /// Where the person signed in.
    pub connector: String,
    /// Who the person is, as last heard from upstream.
    pub identity: Identity,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The authorization request's nonce.
    pub nonce: Option<String>,
    /// When the person signed in, in seconds since the epoch.
    pub auth_time: i64,
    /// What the connector needs to ask again; sealed with the record.
    pub kept: Kept,
    /// The code, also after it was spent; none where a password opened the grant.
    pub code: Option<Code>,
    /// The refresh token, if one was given out.
    pub refresh: Option<Refresh>,
    /// Ended before its time: when and why.
    pub ended: Option<(i64, String)>,
    /// When the sweeper looks at it next, in seconds since the epoch.
    pub look_at: i64,
}

/// An authorization code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Code {
    hash: Hash,
    /// Must be given again at the token endpoint, byte for byte.
    pub redirect_uri: String,
    /// PKCE (RFC 7636).
    pub challenge: Option<Challenge>,
    /// Seconds since the epoch.
    pub expires: i64,
    /// Redeemed. A second redemption ends the grant (RFC 6749 section 4.1.2).
    pub spent: bool,
}

/// A PKCE challenge.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// `S256`, or `plain` where the configuration lists it.
    pub method: Method,
    /// `code_challenge`
    pub value: String,
}

/// How a verifier becomes a challenge (RFC 7636 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// `S256`
    S256,
    /// `plain`
    Plain,
}

impl Method {
    /// What requests call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S256 => "S256",
            Self::Plain => "plain",
        }
    }
}

/// A refresh token through its generations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refresh {
    current: Hash,
    previous: Option<Hash>,
    lineage: Lineage,
    /// The current secret, under a key that only the previous secret yields: within the reuse window a client that
    /// lost the answer gets the same token again, and the store never holds it readably.
    again: Vec<u8>,
    created: i64,
    used: i64,
}

/// The lifetimes of refresh tokens (dex.md 1.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RefreshRules {
    /// Keep the same secret for ever.
    pub disable_rotation: bool,
    /// How long the previous secret still works after a rotation.
    pub reuse_interval: Duration,
    /// From creation; zero: unlimited.
    pub absolute_lifetime: Duration,
    /// From the last use; zero: unlimited.
    pub valid_if_not_used_for: Duration,
}

/// What redeeming a code came to.
#[derive(Debug)]
pub enum Redeemed {
    /// It is good, and now spent.
    Done(Box<Grant>),
    /// It is not; the text is for the audit log.
    Refused(&'static str),
    /// It was spent before: the grant is ended with everything it opened.
    Replayed,
}

/// What presenting a refresh token came to.
#[derive(Debug)]
pub enum Refreshed {
    /// It is good. The grant is as stored, the secret is what the client holds from now on; `asked_again` says that
    /// this is the reuse window and the upstream need not be asked.
    Done {
        /// As stored.
        grant: Box<Grant>,
        /// The client's secret from now on.
        secret: Secret<String>,
        /// Within the reuse window.
        asked_again: bool,
    },
    /// It is not; the text is for the audit log.
    Refused(&'static str),
    /// An old secret outside of the window: the grant is ended.
    Replayed,
}

/// The hash of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash([u8; 32]);

impl Record for Grant {
    const KIND: Kind = Kind("grant");
    const SEALED: bool = true;

    fn due(&self) -> Option<Time> {
        Some(Time::from_unix(self.look_at))
    }
}

impl Grant {
    /// Redeems the code: the right client, the right redirect URI, the right verifier, in time, for the first time.
    /// A failed proof leaves the code as it is; only the holder of the secret and the verifier spends it.
    pub fn redeem(mut self, now: Time, asked: &Redemption<'_>) -> Change<Self, Redeemed> {
        if let Some(why) = self.unredeemable(now, asked) {
            return Change::Keep(Redeemed::Refused(why));
        }
        if self.code.as_ref().is_none_or(|code| code.spent) {
            return Change::Put(self.end(now, "the code was redeemed twice"), Redeemed::Replayed);
        }
        if let Some(code) = &mut self.code {
            code.spent = true;
        }
        if asked.with_refresh {
            self.open_refresh(now, asked.refresh_secret);
        }
        let done = Box::new(self.clone());
        Change::Put(self, Redeemed::Done(done))
    }

    fn unredeemable(&self, now: Time, asked: &Redemption<'_>) -> Option<&'static str> {
        let Some(code) = self.code.as_ref().filter(|code| code.hash.is_of(asked.secret)) else {
            return Some("unknown code");
        };
        if self.client != asked.client {
            return Some("the code belongs to another client");
        }
        if self.ended.is_some() {
            return Some("the grant has ended");
        }
        if now.unix() >= code.expires && !code.spent {
            return Some("the code has expired");
        }
        if code.redirect_uri != asked.redirect_uri {
            return Some("redirect_uri differs from the authorization request's");
        }
        match (&code.challenge, asked.verifier) {
            (None, None) => None,
            (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => None,
            (Some(_), Some(_)) => Some("code_verifier does not match"),
            (Some(_), None) => Some("code_verifier is missing"),
            // A verifier nobody asked for is the sign of a stripped challenge (RFC 9700 section 4.8.2).
            (None, Some(_)) => Some("code_verifier without a code_challenge"),
        }
    }

    /// The same, ended: nothing can be got with it any more. Ended once, it keeps its first reason.
    #[must_use]
    pub fn end(mut self, now: Time, why: &str) -> Self {
        self.ended.get_or_insert_with(|| (now.unix(), why.to_owned()));
        self
    }

    /// Gives it a first refresh token.
    pub fn open_refresh(&mut self, now: Time, secret: &Secret<String>) {
        self.refresh = Some(Refresh::first(now, secret));
        self.look_at = now.unix().saturating_add(LOOK_AGAIN);
    }

    /// Whether the secret is of any of its refresh tokens.
    pub fn gave(&self, secret: &str) -> bool {
        self.refresh
            .as_ref()
            .is_some_and(|refresh| refresh.current.is_of(secret) || refresh.lineage.knows(secret))
    }

    /// The `sub` of its tokens.
    pub fn subject(&self) -> String {
        Pair::new(&*self.identity.user_id, &*self.connector).encode()
    }

    /// What the sweeper makes of it: `None` if nothing can be done with it any more, else the same, looked at again later.
    /// A spent code is kept until it would have expired, so that its replay is noticed; an ended grant as long as an
    /// access token may live, so that it ends those that came of it.
    pub fn swept(mut self, now: Time, rules: &RefreshRules, longest_token: Duration) -> Option<Self> {
        let code_over = self.code.as_ref().is_none_or(|code| now.unix() >= code.expires);
        let refresh_over = self.refresh.as_ref().is_none_or(|refresh| refresh.is_over(now, rules));
        let ended =
            self.ended.as_ref().map(|(at, _)| now.unix() >= at.saturating_add(seconds(longest_token)));
        if code_over && ended.unwrap_or(refresh_over) {
            return None;
        }
        self.look_at = now.unix().saturating_add(LOOK_AGAIN);
        Some(self)
    }

    /// Presents a refresh secret (dex.md 1.14, with the family ended on replay: RFC 9700 section 4.14.2).
    pub fn present(
        mut self,
        now: Time,
        rules: &RefreshRules,
        client: &str,
        secret: &str,
        random: &dyn Random,
    ) -> Change<Self, Refreshed> {
        let refuse = |why| Change::Keep(Refreshed::Refused(why));
        if self.client != client {
            return refuse("the refresh token belongs to another client");
        }
        if self.ended.is_some() {
            return refuse("the grant has ended");
        }
        let Some(refresh) = self.refresh.as_mut() else { return refuse("the grant has no refresh token") };
        if refresh.is_over(now, rules) {
            return refuse("the refresh token has expired");
        }
        // No interval is no window, not even within the same second.
        let within = !rules.reuse_interval.is_zero()
            && now.unix() <= refresh.used.saturating_add(seconds(rules.reuse_interval));
        if refresh.current.is_of(secret) {
            let next =
                if rules.disable_rotation { Secret::from(secret) } else { refresh.lineage.next(random) };
            refresh.advance(now, secret, &next, random);
            let grant = Box::new(self.clone());
            return Change::Put(self, Refreshed::Done { grant, secret: next, asked_again: false });
        }
        let is_previous = refresh.previous.is_some_and(|previous| previous.is_of(secret));
        if is_previous
            && within
            && let Some(secret) = refresh.again(secret)
        {
            let grant = Box::new(self);
            return Change::Keep(Refreshed::Done { grant, secret, asked_again: true });
        }
        if refresh.lineage.knows(secret) {
            return Change::Put(self.end(now, "an old refresh token was presented"), Refreshed::Replayed);
        }
        refuse("unknown refresh token")
    }
}

/// What a token request says about a code.
pub struct Redemption<'a> {
    /// The second half of the code.
    pub secret: &'a str,
    /// The authenticated client.
    pub client: &'a str,
    /// `redirect_uri`, empty if absent.
    pub redirect_uri: &'a str,
    /// `code_verifier`
    pub verifier: Option<&'a str>,
    /// Whether a refresh token comes with it.
    pub with_refresh: bool,
    /// Its secret, if so.
    pub refresh_secret: &'a Secret<String>,
}

impl Code {
    /// A code whose secret has that hash.
    pub fn new(hash: Hash, redirect_uri: String, challenge: Option<Challenge>, expires: Time) -> Self {
        Self { hash, redirect_uri, challenge, expires: expires.unix(), spent: false }
    }
}

impl Challenge {
    /// Whether the verifier has the right form and yields this challenge.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let formed = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        let yields = match self.method {
            Method::Plain => crate::clients::same(verifier, &self.value),
            Method::S256 => {
                crate::clients::same(&b64::encode(digest(&SHA256, verifier.as_bytes())), &self.value)
            }
        };
        formed && yields
    }
}

impl Refresh {
    fn first(now: Time, secret: &Secret<String>) -> Self {
        Self {
            current: Hash::of(secret.expose()),
            previous: None,
            lineage: Lineage::founded_by(secret.expose()),
            again: Vec::new(),
            created: now.unix(),
            used: now.unix(),
        }
    }

    fn is_over(&self, now: Time, rules: &RefreshRules) -> bool {
        let past =
            |since: i64, span: Duration| !span.is_zero() && now.unix() >= since.saturating_add(seconds(span));
        past(self.created, rules.absolute_lifetime) || past(self.used, rules.valid_if_not_used_for)
    }

    fn advance(&mut self, now: Time, old: &str, next: &Secret<String>, random: &dyn Random) {
        self.used = now.unix();
        if old == next.expose() {
            return;
        }
        self.previous = Some(self.current);
        self.current = Hash::of(next.expose());
        let current = next.expose().clone().into_bytes();
        self.again =
            reuse_sealing(old).and_then(|sealing| sealing.seal(random, REUSE, current)).unwrap_or_default();
    }

    fn again(&self, previous: &str) -> Option<Secret<String>> {
        let plain = reuse_sealing(previous)?.open(REUSE, &self.again)?;
        String::from_utf8(plain).ok().map(Secret::new)
    }
}

impl Hash {
    /// Of a secret that cannot be guessed.
    pub fn of(secret: &str) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(out)
    }

    /// Whether it is of that one.
    pub fn is_of(self, secret: &str) -> bool {
        // Hashes of secrets with 160 random bits: the time of comparing them tells nothing usable.
        self == Self::of(secret)
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hash]")
    }
}

/// A plain challenge is its verifier.
impl std::fmt::Debug for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenge").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A secret as codes and refresh tokens carry it: 160 random bits, base64url.
pub fn new_secret(random: &dyn Random) -> Secret<String> {
    Secret::new(b64::encode(random.bytes::<20>()))
}

/// A grant's id, in Dex's shape: 25 characters of `a-z2-7`, the first a letter (dex.md 1.4).
pub fn new_id(random: &dyn Random) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let raw: [u8; 25] = random.bytes();
    raw.iter()
        .enumerate()
        .map(|(at, byte)| {
            let index = if at == 0 { usize::from(*byte) % 26 } else { usize::from(*byte) % 32 };
            char::from(*ALPHABET.get(index).unwrap_or(&b'a'))
        })
        .collect()
}

fn reuse_sealing(secret: &str) -> Option<Sealing> {
    let material = digest(&SHA256, &[b"reuse\0", secret.as_bytes()].concat());
    Sealing::from_material(&Secret::new(material.as_ref().to_vec()), "refresh reuse")
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

const REUSE: &[u8] = b"reuse";

/// A grant with a refresh token is looked at daily.
const LOOK_AGAIN: i64 = 24 * 3600;
