//! Tokens, honest and forged.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL;
use serde_json::{Value, json};

use super::keys::TestKey;

/// A token in the making. What is not overridden is as it should be.
pub struct Mint {
    header: Value,
    claims: Value,
    raw_header: Option<Vec<u8>>,
    raw_payload: Option<Vec<u8>>,
    seal: Seal,
}

enum Seal {
    Key(Arc<TestKey>),
    Hmac(Vec<u8>),
    Bytes(Vec<u8>),
}

impl Mint {
    /// These claims and no others, under this key, whose `alg` and `kid` the header says.
    pub fn new(claims: Value, key: Arc<TestKey>) -> Self {
        let header = json!({"alg": key.algorithm().name(), "kid": key.kid()});
        Self { header, claims, raw_header: None, raw_payload: None, seal: Seal::Key(key) }
    }

    /// Sets a header member; `null` removes it.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value) -> Self {
        set(&mut self.header, name, value);
        self
    }

    /// Sets a claim; `null` removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        set(&mut self.claims, name, value);
        self
    }

    /// Signs with another key and leaves the header as it is: a key that the header lies about.
    #[must_use]
    pub fn signed_by(mut self, key: Arc<TestKey>) -> Self {
        self.seal = Seal::Key(key);
        self
    }

    /// `alg: HS256` with these bytes as the secret: a public key, say.
    #[must_use]
    pub fn hs256(self, secret: &[u8]) -> Self {
        let mut token = self.header("alg", json!("HS256"));
        token.seal = Seal::Hmac(secret.to_vec());
        token
    }

    /// These bytes in the place of a signature.
    #[must_use]
    pub fn signature(mut self, bytes: &[u8]) -> Self {
        self.seal = Seal::Bytes(bytes.to_vec());
        self
    }

    /// These bytes as the header: duplicate members, bad UTF-8, no JSON.
    #[must_use]
    pub fn raw_header(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw_header = Some(bytes.into());
        self
    }

    /// These bytes as the payload.
    #[must_use]
    pub fn raw_payload(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw_payload = Some(bytes.into());
        self
    }

    /// The compact form.
    pub fn sign(self) -> String {
        let header = self.raw_header.unwrap_or_else(|| self.header.to_string().into_bytes());
        let payload = self.raw_payload.unwrap_or_else(|| self.claims.to_string().into_bytes());
        let input = format!("{}.{}", URL.encode(header), URL.encode(payload));
        let signature = match &self.seal {
            Seal::Key(key) => key.sign(input.as_bytes()),
            Seal::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
            }
            Seal::Bytes(bytes) => bytes.clone(),
        };
        format!("{input}.{}", URL.encode(signature))
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
}
