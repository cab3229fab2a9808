//! The thumbprint of a key (RFC 7638): its name when it needs one that nobody chose.

use aws_lc_rs::digest;
use serde::Serialize;
use wire::b64;
use wire::jose::Jwk;

/// The SHA-256 thumbprint in base64url (RFC 7638 section 3, RFC 8037 section 2).
pub fn thumbprint(jwk: &Jwk) -> String {
    let [crv, e, n, x, y] = [&jwk.crv, &jwk.e, &jwk.n, &jwk.x, &jwk.y].map(Option::as_deref);
    let required = match jwk.kty.as_str() {
        "RSA" => Required { crv: None, e, kty: "RSA", n, x: None, y: None },
        "EC" => Required { crv, e: None, kty: "EC", n: None, x, y },
        other => Required { crv, e: None, kty: other, n: None, x, y: None },
    };
    // Strings in a struct always serialize; an empty text would only name a key badly.
    let text = serde_json::to_vec(&required).unwrap_or_default();
    b64::encode(digest::digest(&digest::SHA256, &text))
}

/// The members that make a key what it is, in lexicographic order.
#[derive(Serialize)]
struct Required<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<&'a str>,
    kty: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_of_the_rfcs() {
        // RFC 7638 section 3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let rsa = Jwk {
            kty: "RSA".into(),
            n: Some(n.into()),
            e: Some("AQAB".into()),
            alg: Some("RS256".into()),
            kid: Some("2011-04-29".into()),
            ..Jwk::default()
        };
        assert_eq!(thumbprint(&rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 appendix A.3
        let ed = Jwk {
            kty: "OKP".into(),
            crv: Some("Ed25519".into()),
            x: Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into()),
            ..Jwk::default()
        };
        assert_eq!(thumbprint(&ed), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
