//! Signature algorithms: the ten that Obol knows. `none` and the HMACs are not values of this type, so no
//! configuration and no token can ask for them.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature as lc;
use wire::b64;

/// A JWS algorithm (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Alg {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA on P-521 with SHA-512
    #[serde(rename = "ES512")]
    Es512,
    /// Ed25519, named `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864)
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
}

impl Alg {
    /// Every algorithm there is.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// Reads a name, case-sensitively (RFC 8725bis section 3.1).
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }

    /// The name in headers, keys and metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The left half of a hash, as `at_hash` and `c_hash` want it (OpenID Connect Core section 3.1.3.6). Ed25519
    /// hashes with SHA-512 inside, so that is its hash here too.
    pub fn left_half_hash(self, text: &str) -> String {
        let hash = match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => &digest::SHA256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => &digest::SHA384,
            Self::Rs512 | Self::Ps512 | Self::Es512 | Self::EdDsa => &digest::SHA512,
        };
        let whole = digest::digest(hash, text.as_bytes());
        let (left, _) = whole.as_ref().split_at(whole.as_ref().len() / 2);
        b64::encode(left)
    }

    /// The parameters for an RSA key, 2048 to 8192 bits.
    pub(crate) const fn rsa(self) -> Option<&'static lc::RsaParameters> {
        match self {
            Self::Rs256 => Some(&lc::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&lc::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&lc::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&lc::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&lc::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&lc::RSA_PSS_2048_8192_SHA512),
            _ => None,
        }
    }

    /// How an elliptic-curve signature is checked: raw `r ‖ s`, never DER (RFC 7518 section 3.4).
    pub(crate) const fn curve(self) -> Option<&'static dyn lc::VerificationAlgorithm> {
        match self {
            Self::Es256 => Some(&lc::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Some(&lc::ECDSA_P384_SHA384_FIXED),
            Self::Es512 => Some(&lc::ECDSA_P521_SHA512_FIXED),
            Self::EdDsa => Some(&lc::ED25519),
            _ => None,
        }
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms: what one issuer may sign with (RFC 8725bis: per issuer, chosen by the recipient).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlgSet(u16);

impl AlgSet {
    /// No algorithm; everything is refused.
    pub const NONE: Self = Self(0);
    /// All ten.
    pub const ALL: Self = Self((1 << Alg::ALL.len()) - 1);

    /// The same set with `alg` in it.
    #[must_use]
    pub const fn with(self, alg: Alg) -> Self {
        Self(self.0 | (1 << alg as u16))
    }

    /// Whether `alg` is in it.
    pub const fn contains(self, alg: Alg) -> bool {
        self.0 & (1 << alg as u16) != 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in their fixed order.
    pub fn iter(self) -> impl Iterator<Item = Alg> {
        Alg::ALL.into_iter().filter(move |alg| self.contains(*alg))
    }
}

impl FromIterator<Alg> for AlgSet {
    fn from_iter<I: IntoIterator<Item = Alg>>(algs: I) -> Self {
        algs.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for AlgSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_01_names_are_exact() {
        for alg in Alg::ALL {
            assert_eq!(Alg::parse(alg.name()), Some(alg));
            assert_eq!(Alg::parse(&alg.name().to_lowercase()), None);
        }
        assert_eq!(Alg::parse("Ed25519"), Some(Alg::EdDsa));
        for bad in
            ["", "none", "None", "noNE", "HS256", "HS384", "HS512", "ES256K", "Ed448", "RS1", "RS256 ", "dir"]
        {
            assert_eq!(Alg::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: AlgSet = [Alg::Es256, Alg::Rs256].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Alg::Rs256, Alg::Es256]);
        assert!(!set.contains(Alg::Ps256) && !AlgSet::NONE.contains(Alg::Rs256));
        assert_eq!(AlgSet::ALL.iter().count(), 10);
    }

    #[test]
    fn left_half_hash_matches_the_specification_s_example() {
        // OpenID Connect Core, appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(Alg::Rs256.left_half_hash(token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(Alg::EdDsa.left_half_hash(token).len(), 43);
        assert_eq!(Alg::EdDsa.left_half_hash(token), Alg::Rs512.left_half_hash(token));
        assert_eq!(Alg::Es384.left_half_hash(token).len(), 32);
    }
}
