//! What a token endpoint grants, and what is kept of it.

use std::time::Duration;

use ambient::{Secret, Time};
use provider::connector::UpstreamError;
use serde::{Deserialize, Serialize};

/// What a token endpoint granted, and what is kept of it, in the form in which Dex keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: Secret<String>,
    pub(crate) refresh: Option<Secret<String>>,
    pub(crate) expires: Option<Time>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept<'k> {
    #[serde(borrow, alias = "access_token")]
    access_token: std::borrow::Cow<'k, str>,
    #[serde(default, alias = "refresh_token")]
    refresh_token: std::borrow::Cow<'k, str>,
    #[serde(default)]
    expiry: std::borrow::Cow<'k, str>,
}

impl Tokens {
    /// RFC 6749 section 5.1.
    pub(super) fn read(
        raw: &[u8],
        before: Option<&Secret<String>>,
        now: Time,
    ) -> Result<Self, UpstreamError> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            #[serde(default)]
            refresh_token: Option<String>,
            #[serde(default)]
            expires_in: Option<f64>,
        }
        let granted: Granted = serde_json::from_slice(raw)
            .map_err(|_| UpstreamError::Invalid("the token endpoint's answer holds no token".into()))?;
        if granted.access_token.is_empty() {
            return Err(UpstreamError::Invalid("the token endpoint's answer holds no token".into()));
        }
        let refresh = granted.refresh_token.filter(|token| !token.is_empty()).map(Secret::new);
        let lives = granted.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self {
            access: Secret::new(granted.access_token),
            refresh: refresh.or_else(|| before.cloned()),
            expires: lives.filter(|lives| !lives.is_zero()).map(|lives| now + lives),
        })
    }

    /// In Dex's form.
    pub(crate) fn kept(&self) -> Result<Secret<Vec<u8>>, UpstreamError> {
        let kept = Kept {
            access_token: self.access.expose().into(),
            refresh_token: self
                .refresh
                .as_ref()
                .map(|token| token.expose().as_str())
                .unwrap_or_default()
                .into(),
            expiry: self.expires.map_or_else(|| GO_ZERO.to_owned(), Time::rfc3339).into(),
        };
        serde_json::to_vec(&kept).map(Secret::new).map_err(|why| UpstreamError::Invalid(why.to_string()))
    }

    /// What was kept; without a token nobody can be asked for.
    pub(crate) fn of_kept(raw: &[u8]) -> Result<Self, UpstreamError> {
        let kept: Option<Kept<'_>> = serde_json::from_slice(raw).ok();
        let kept = kept.filter(|kept| !kept.access_token.is_empty() || !kept.refresh_token.is_empty());
        let kept = kept.ok_or_else(|| UpstreamError::Denied("no token was kept to ask with".into()))?;
        let refresh =
            Some(kept.refresh_token.into_owned()).filter(|token| !token.is_empty()).map(Secret::new);
        let expires = Time::parse_rfc3339(&kept.expiry).filter(|_| kept.expiry != GO_ZERO);
        Ok(Self { access: Secret::new(kept.access_token.into_owned()), refresh, expires })
    }
}

/// No time, as Go writes it.
const GO_ZERO: &str = "0001-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_kept_as_dex_keeps_them() {
        let of_dex = br#"{"accessToken":"a","refreshToken":"r","expiry":"2026-01-01T00:00:00Z"}"#;
        let tokens = Tokens::of_kept(of_dex).unwrap();
        assert_eq!(tokens.expires, Some(Time::from_unix(1_767_225_600)));
        assert_eq!(tokens.kept().unwrap().expose(), of_dex);
        let old = Tokens::of_kept(br#"{"accessToken":"a"}"#).unwrap();
        assert!(old.refresh.is_none() && old.expires.is_none());
        let of_openshift = br#"{"access_token":"a","token_type":"Bearer","refresh_token":"r","expiry":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(Tokens::of_kept(of_openshift).unwrap().kept().unwrap().expose(), of_dex);
        let never = Tokens::of_kept(br#"{"accessToken":"a","expiry":"0001-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(never.expires, None);
        assert_eq!(
            never.kept().unwrap().expose(),
            br#"{"accessToken":"a","refreshToken":"","expiry":"0001-01-01T00:00:00Z"}"#
        );
        for raw in [&b""[..], b"{}", br#"{"accessToken":""}"#, br#"{"accessToken":1}"#] {
            assert!(matches!(Tokens::of_kept(raw), Err(UpstreamError::Denied(_))));
        }
    }
}
