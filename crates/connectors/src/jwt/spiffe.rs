//! What SPIFFE adds to a JWT (SPIFFE JWT-SVID sections 2 and 3, SPIFFE ID section 2). The trust domain in `sub` binds a
//! token to its keys, so `iss` may be missing.

use config::{Field, Kind, Read};
use provider::connector::VouchError;
use token::{SubjectToken, UnverifiedJwt, Verified};

/// A trust domain: `example.org`.
pub(super) struct TrustDomain {
    /// `spiffe://example.org/`
    prefix: String,
}

impl TrustDomain {
    pub(super) fn new(name: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let good = !name.is_empty() && name.len() <= 255 && name.bytes().all(fits);
        good.then(|| Self { prefix: format!("spiffe://{name}/") })
    }

    /// Whether `sub` is a SPIFFE ID of a workload of this domain.
    pub(super) fn check(&self, subject: Option<&str>) -> Result<(), String> {
        let path = subject.and_then(|subject| subject.strip_prefix(self.prefix.as_str()));
        let path = path.ok_or_else(|| format!("the token's subject does not begin with {}", self.prefix))?;
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let good = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(fits);
        if path.split('/').all(good) { Ok(()) } else { Err("the token's subject is no SPIFFE ID".into()) }
    }
}

impl Read for TrustDomain {
    const KIND: Kind = Kind::String;

    fn read(field: &Field<'_>) -> Option<Self> {
        let name = field.string()?;
        let domain = Self::new(&name);
        if domain.is_none() {
            let instead = "write the name alone: lower case letters, digits, dots, dashes, underscores";
            field.error(format!("is {name:?}, which is no trust domain"), instead);
        }
        domain
    }
}

/// JWT-SVID section 2: no header but `alg`, `kid` and `typ`.
pub(super) fn check_header(unverified: Option<&UnverifiedJwt<'_>>) -> Result<(), VouchError> {
    match unverified.and_then(|token| token.other_headers().first()) {
        None => Ok(()),
        Some(_) => Err(VouchError::Rejected("a JWT-SVID's header holds alg, kid and typ alone".into())),
    }
}

/// JWT-SVID section 3.2: there is always an audience.
pub(super) fn check_audience(verified: &Verified<SubjectToken>) -> Result<(), VouchError> {
    match verified.audience().next() {
        Some(_) => Ok(()),
        None => Err(VouchError::Rejected("a JWT-SVID names its audience".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_11_only_ids_of_the_domain_with_a_plain_path() {
        let domain = TrustDomain::new("example.org").unwrap();
        for good in ["spiffe://example.org/reports", "spiffe://example.org/ns/A/sa/b.c_d-1"] {
            assert_eq!(domain.check(Some(good)), Ok(()), "{good}");
        }
        for bad in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org/a/",
            "spiffe://example.org/a//b",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/./b",
            "spiffe://example.org/a%2e",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org:443/a",
            "spiffe://user@example.org/a",
            "spiffe://EXAMPLE.org/a",
            "SPIFFE://example.org/a",
            "spiffe://example.org.evil/a",
            "spiffe://evil/example.org/a",
            "https://example.org/a",
            "",
        ] {
            assert!(domain.check(Some(bad)).is_err(), "{bad}");
        }
        assert!(domain.check(None).is_err());
    }

    #[test]
    fn trust_domains_are_names_alone() {
        for bad in ["", "Example.org", "a/b", "spiffe://a", "a:1", "a%2e", &"a".repeat(256)] {
            assert!(TrustDomain::new(bad).is_none(), "{bad}");
        }
    }
}
