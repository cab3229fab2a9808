//! A grant: what one person allowed one client, with its code, its refresh generations and its end. Every rule of
//! single use is a step of this one record, so that a compare-and-replace enforces it across replicas.

use std::time::Duration;

use ambient::{Random, RandomExt as _, Secret, Time};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use wire::b64;

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
    /// The code, also after it was spent.
    pub code: Code,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Hash([u8; 32]);

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
        if self.code.spent {
            return Change::Put(self.end(now, "the code was redeemed twice"), Redeemed::Replayed);
        }
        self.code.spent = true;
        if asked.with_refresh {
            self.refresh = Some(Refresh::first(now, asked.refresh_secret));
            self.look_at = now.unix().saturating_add(LOOK_AGAIN);
        }
        let done = Box::new(self.clone());
        Change::Put(self, Redeemed::Done(done))
    }

    fn unredeemable(&self, now: Time, asked: &Redemption<'_>) -> Option<&'static str> {
        if !self.code.hash.is_of(asked.secret) {
            return Some("unknown code");
        }
        if self.client != asked.client {
            return Some("the code belongs to another client");
        }
        if self.ended.is_some() {
            return Some("the grant has ended");
        }
        if now.unix() >= self.code.expires && !self.code.spent {
            return Some("the code has expired");
        }
        if self.code.redirect_uri != asked.redirect_uri {
            return Some("redirect_uri differs from the authorization request's");
        }
        match (&self.code.challenge, asked.verifier) {
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

    /// What the sweeper makes of it: `None` if nothing can be done with it any more, else the same, looked at again later.
    /// A spent code is kept until it would have expired, so that its replay is noticed.
    pub fn swept(mut self, now: Time, rules: &RefreshRules) -> Option<Self> {
        let code_over = now.unix() >= self.code.expires;
        let refresh_over = self.refresh.as_ref().is_none_or(|refresh| refresh.is_over(now, rules));
        if code_over && (refresh_over || self.ended.is_some()) {
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
    /// A code with that secret.
    pub fn new(
        secret: &Secret<String>,
        redirect_uri: String,
        challenge: Option<Challenge>,
        expires: Time,
    ) -> Self {
        Self {
            hash: Hash::of(secret.expose()),
            redirect_uri,
            challenge,
            expires: expires.unix(),
            spent: false,
        }
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
    fn of(secret: &str) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(out)
    }

    fn is_of(self, secret: &str) -> bool {
        // Hashes of secrets with 160 random bits: the time of comparing them tells nothing usable.
        self == Self::of(secret)
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hash]")
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

#[cfg(test)]
mod tests {
    use super::*;
    use ambient::SystemRandom;

    const NOW: Time = Time::from_unix(1_000_000);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn grant(challenge: bool) -> Grant {
        let challenge = challenge.then(|| Challenge {
            method: Method::S256,
            value: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
        });
        Grant {
            client: "app".into(),
            connector: "local".into(),
            identity: Identity::default(),
            scopes: vec![],
            nonce: None,
            auth_time: 0,
            kept: Kept::default(),
            code: Code::new(
                &"secret".into(),
                "https://app/cb".into(),
                challenge,
                NOW + Duration::from_secs(60),
            ),
            refresh: None,
            ended: None,
            look_at: 0,
        }
    }

    fn ask<'a>(
        secret: &'a str,
        client: &'a str,
        verifier: Option<&'a str>,
        refresh: &'a Secret<String>,
    ) -> Redemption<'a> {
        Redemption {
            secret,
            client,
            redirect_uri: "https://app/cb",
            verifier,
            with_refresh: true,
            refresh_secret: refresh,
        }
    }

    fn refused(change: &Change<Grant, Redeemed>) -> bool {
        matches!(change, Change::Keep(Redeemed::Refused(_)))
    }

    #[test]
    fn a_code_is_bound_and_redeemed_once() {
        let r1 = Secret::from("r1");
        assert!(refused(&grant(true).redeem(NOW, &ask("other", "app", Some(VERIFIER), &r1))));
        assert!(refused(&grant(true).redeem(NOW, &ask("secret", "evil", Some(VERIFIER), &r1))));
        assert!(refused(&grant(true).redeem(NOW, &ask("secret", "app", None, &r1))));
        assert!(refused(&grant(true).redeem(NOW, &ask("secret", "app", Some(&"x".repeat(43)), &r1))));
        assert!(
            refused(&grant(false).redeem(NOW, &ask("secret", "app", Some(VERIFIER), &r1))),
            "attack 21: stripped challenge"
        );
        assert!(refused(
            &grant(true).redeem(NOW + Duration::from_secs(60), &ask("secret", "app", Some(VERIFIER), &r1))
        ));
        let elsewhere =
            Redemption { redirect_uri: "https://app/cb/", ..ask("secret", "app", Some(VERIFIER), &r1) };
        assert!(refused(&grant(true).redeem(NOW, &elsewhere)));

        let Change::Put(spent, Redeemed::Done(_)) =
            grant(true).redeem(NOW, &ask("secret", "app", Some(VERIFIER), &r1))
        else {
            panic!()
        };
        let Change::Put(ended, Redeemed::Replayed) =
            spent.redeem(NOW, &ask("secret", "app", Some(VERIFIER), &r1))
        else {
            panic!()
        };
        assert!(ended.ended.is_some());
        let after = ended.present(NOW, &RefreshRules::default(), "app", "r1", &SystemRandom);
        assert!(matches!(after, Change::Keep(Refreshed::Refused(_))), "what the code opened has ended too");
    }

    fn refreshing() -> Grant {
        let mut g = grant(false);
        g.refresh = Some(Refresh::first(NOW, &"r1".into()));
        g
    }

    fn rotate(g: Grant, now: Time, rules: &RefreshRules, secret: &str) -> (Grant, String) {
        match g.present(now, rules, "app", secret, &SystemRandom) {
            Change::Put(g, Refreshed::Done { secret, .. }) => (g, secret.expose().clone()),
            _ => panic!("not rotated"),
        }
    }

    #[test]
    fn rotation_window_and_replay() {
        let rules = RefreshRules { reuse_interval: Duration::from_secs(10), ..RefreshRules::default() };
        let (g, r2) = rotate(refreshing(), NOW, &rules, "r1");
        assert_ne!(r2, "r1");
        let again = g.clone().present(NOW + Duration::from_secs(10), &rules, "app", "r1", &SystemRandom);
        assert!(
            matches!(again, Change::Keep(Refreshed::Done { secret, asked_again: true, .. }) if *secret.expose() == r2)
        );
        let late = g.clone().present(NOW + Duration::from_secs(11), &rules, "app", "r1", &SystemRandom);
        let Change::Put(ended, Refreshed::Replayed) = late else { panic!() };
        assert!(matches!(
            ended.present(NOW, &rules, "app", &r2, &SystemRandom),
            Change::Keep(Refreshed::Refused(_))
        ));
        assert!(matches!(
            g.present(NOW, &rules, "evil", &r2, &SystemRandom),
            Change::Keep(Refreshed::Refused(_))
        ));
    }

    #[test]
    fn a_replay_is_noticed_however_often_the_thief_rotated() {
        let rules = RefreshRules::default();
        let (g, r2) = rotate(refreshing(), NOW, &rules, "r1");
        let (g, r3) = rotate(g, NOW, &rules, &r2);
        let (g, _) = rotate(g, NOW, &rules, &r3);
        for old in ["r1", &r2, &r3] {
            let late = g.clone().present(NOW + Duration::from_secs(1), &rules, "app", old, &SystemRandom);
            assert!(matches!(late, Change::Put(_, Refreshed::Replayed)), "{old}");
        }
        let guessed = g.present(NOW, &rules, "app", "guessed", &SystemRandom);
        assert!(matches!(guessed, Change::Keep(Refreshed::Refused(_))), "a guess ends nothing");
    }

    #[test]
    fn lifetimes_end_and_rotation_can_be_off() {
        let rules = RefreshRules {
            absolute_lifetime: Duration::from_secs(100),
            valid_if_not_used_for: Duration::from_secs(60),
            ..RefreshRules::default()
        };
        let (g, r2) = rotate(refreshing(), NOW + Duration::from_secs(59), &rules, "r1");
        assert!(matches!(
            g.present(NOW + Duration::from_secs(100), &rules, "app", &r2, &SystemRandom),
            Change::Keep(Refreshed::Refused(_))
        ));
        let idle = refreshing().present(NOW + Duration::from_secs(60), &rules, "app", "r1", &SystemRandom);
        assert!(matches!(idle, Change::Keep(Refreshed::Refused(_))));
        let off = RefreshRules { disable_rotation: true, ..RefreshRules::default() };
        let (g, same) = rotate(refreshing(), NOW, &off, "r1");
        assert_eq!(same, "r1");
        assert_eq!(rotate(g, NOW, &off, "r1").1, "r1");
    }

    #[test]
    fn the_record_shows_no_secret() {
        let (g, r2) = rotate(refreshing(), NOW, &RefreshRules::default(), "r1");
        let stored = serde_json::to_string(&g).unwrap();
        assert!(!stored.contains(&r2) && !stored.contains("secret\""));
    }

    #[test]
    fn ids_have_dexs_shape() {
        let id = new_id(&SystemRandom);
        assert_eq!(id.len(), 25);
        assert!(
            id.as_bytes()[0].is_ascii_lowercase()
                && id.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
        );
    }
}
