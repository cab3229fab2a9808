//! What every module needs: a fetch with a script, keys, and tokens of any shape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ambient::{BoxFuture, Fetch, FetchError, Fetched, Secret, Time, Want};
use serde_json::{Value, json};
use token::{
    Alg, Audience, Expect, KeySet, LocalSigner, Rejected, Signer, SigningPool, SubjectToken, Trust,
    UnverifiedJwt, Verified, Verifier,
};
use tokio::sync::Notify;
use wire::b64;
use wire::jose::{Jwk, JwkSet};

pub(crate) const ISSUER: &str = "https://issuer.example.com";
pub(crate) const US: &str = "https://obol.example.com";
pub(crate) const NOW: Time = Time::from_unix(1_800_000_000);

/// Answers as it was told last, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<HashMap<String, Result<Fetched, FetchError>>>,
    pub(crate) asked: Mutex<Vec<(String, Option<String>)>>,
    pub(crate) held: Mutex<Option<Arc<Notify>>>,
}

impl Script {
    pub(crate) fn answer(&self, url: &str, body: impl Into<Vec<u8>>, fresh_for: Option<Duration>) {
        let fetched = Fetched { body: body.into().into(), fresh_for };
        self.answers.lock().unwrap().insert(url.to_owned(), Ok(fetched));
    }

    pub(crate) fn fail(&self, url: &str) {
        let down = FetchError::Unreachable { url: url.to_owned(), reason: "connection refused".into() };
        self.answers.lock().unwrap().insert(url.to_owned(), Err(down));
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Fetch for Script {
    fn fetch<'a>(&'a self, want: Want<'a>) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        self.asked.lock().unwrap().push((want.url.to_string(), want.named_by.map(ToString::to_string)));
        let held = self.held.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(held) = held {
                held.notified().await;
            }
            let unknown = Err(FetchError::Status { url: want.url.to_string(), status: 404 });
            self.answers.lock().unwrap().get(want.url.as_str()).cloned().unwrap_or(unknown)
        })
    }
}

pub(crate) fn pool() -> SigningPool {
    static POOL: OnceLock<SigningPool> = OnceLock::new();
    POOL.get_or_init(|| SigningPool::start(2, 64).unwrap()).clone()
}

type Made = HashMap<&'static str, Secret<Vec<u8>>>;

/// A key that all tests share: making one for RSA takes long.
pub(crate) async fn signer(alg: Alg) -> LocalSigner {
    static MADE: tokio::sync::Mutex<Option<Made>> = tokio::sync::Mutex::const_new(None);
    let kind = if alg.name().starts_with("RS") || alg.name().starts_with("PS") { "RSA" } else { alg.name() };
    let mut made = MADE.lock().await;
    let made = made.get_or_insert_default();
    if !made.contains_key(kind) {
        made.insert(kind, LocalSigner::generate(alg, &pool()).await.unwrap());
    }
    LocalSigner::from_pkcs8(alg, &made[kind], &pool()).unwrap()
}

/// A key that nobody trusts.
pub(crate) async fn fresh_signer(alg: Alg) -> LocalSigner {
    LocalSigner::from_pkcs8(alg, &LocalSigner::generate(alg, &pool()).await.unwrap(), &pool()).unwrap()
}

pub(crate) fn jwks(keys: &[&Jwk]) -> Vec<u8> {
    serde_json::to_vec(&JwkSet { keys: keys.iter().map(|key| (*key).clone()).collect() }).unwrap()
}

pub(crate) fn set_of(signer: &dyn Signer) -> KeySet {
    KeySet::from_jwks(&jwks(&[signer.public_jwk()])).unwrap()
}

/// Claims that pass, with `changes` put over them; `null` takes a claim away.
pub(crate) fn claims(changes: Value) -> String {
    let now = NOW.unix();
    let mut all = json!({"iss": ISSUER, "sub": "somebody", "aud": US, "exp": now + 300, "iat": now});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    all.to_string()
}

/// A token with any header over any payload, signed.
pub(crate) async fn mint_raw(signer: &dyn Signer, header: &str, payload: &[u8]) -> String {
    let input = format!("{}.{}", b64::encode(header), b64::encode(payload));
    let signature = signer.sign(input.as_bytes()).await.unwrap();
    format!("{input}.{}", b64::encode(signature))
}

/// A token as its issuer would make it, with `changes` to its claims.
pub(crate) async fn mint(signer: &dyn Signer, changes: Value) -> String {
    token::sign_jwt(signer, None, claims(changes).as_bytes()).await.unwrap()
}

pub(crate) fn expect() -> Expect<SubjectToken> {
    Expect::new(ISSUER, Audience::only(US))
}

pub(crate) fn verify(
    token: &str,
    keys: KeySet,
    expect: Expect<SubjectToken>,
) -> Result<Verified<SubjectToken>, Rejected> {
    Verifier::new(Trust::new("test"), keys, expect).verify_at_hand(UnverifiedJwt::parse(token)?, NOW)
}
