//! Making signatures: the seam that local keys fill and that remote ones (KMS, Vault, PKCS#11) can.

use ambient::BoxFuture;
use serde::Serialize;
use wire::b64;
use wire::jose::Jwk;

use crate::Alg;

/// Signs with one key and one algorithm.
pub trait Signer: Send + Sync + 'static {
    /// The algorithm of its signatures.
    fn alg(&self) -> Alg;

    /// The public key as it stands in the JWKS, with `kid`, `alg` and `use`.
    fn public_jwk(&self) -> &Jwk;

    /// The key's id.
    fn kid(&self) -> &str {
        self.public_jwk().kid.as_deref().unwrap_or_default()
    }

    /// Signs `input` as JWS wants it (raw `r ‖ s` for elliptic curves).
    fn sign<'a>(&'a self, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignError>>;
}

/// Why there is no signature. None of these is the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// More signatures are asked for than the processor makes: 503 with `Retry-After`.
    #[error("the signing queue is full")]
    Busy,
    /// No key of this algorithm signs at the moment.
    #[error("there is no signing key for {0}")]
    NoKey(Alg),
    /// The library or the remote signer failed.
    #[error("the signature could not be made: {0}")]
    Failed(String),
}

/// Makes a compact JWT of kind `typ` from a serialized claim set (RFC 7515 section 7.1).
///
/// # Errors
/// [`SignError`]
pub async fn sign_jwt(signer: &dyn Signer, typ: Option<&str>, claims: &[u8]) -> Result<String, SignError> {
    let header = Header { alg: signer.alg().name(), kid: signer.kid(), typ };
    let header = serde_json::to_vec(&header).map_err(|e| SignError::Failed(e.to_string()))?;
    // A quarter of header and claims is added by base64url, and the largest usual signature has 342 letters.
    let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 8 + 342);
    b64::encode_into(&header, &mut token);
    token.push('.');
    b64::encode_into(claims, &mut token);
    let signature = signer.sign(token.as_bytes()).await?;
    token.push('.');
    b64::encode_into(&signature, &mut token);
    Ok(token)
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'a str>,
}
