//! Base64url without padding, as JOSE uses it (RFC 7515 section 2): one spelling per value.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes without padding.
pub fn encode(raw: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(raw)
}

/// Appends the encoding of `raw` to `out`.
pub fn encode_into(raw: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(raw, out);
}

/// Decodes; padding, other alphabets, white space and non-zero trailing bits are refused, so that two different
/// texts never mean the same bytes.
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_decodes() {
        assert_eq!(decode("YQ").as_deref(), Some(b"a".as_slice()));
        for other in ["YQ==", "YR", "Y Q", "YQ\n", "+/", "Y"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }
}
