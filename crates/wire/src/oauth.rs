//! Words of OAuth 2.0: error codes, grant types, token types, the token endpoint's answer.

use serde::Serialize;

/// Grant types by their registered names.
pub mod grant_type {
    /// RFC 6749 section 4.1.3
    pub const AUTHORIZATION_CODE: &str = "authorization_code";
    /// RFC 6749 section 6
    pub const REFRESH_TOKEN: &str = "refresh_token";
    /// RFC 6749 section 4.4
    pub const CLIENT_CREDENTIALS: &str = "client_credentials";
    /// RFC 6749 section 4.3
    pub const PASSWORD: &str = "password";
    /// OAuth 2.0 Multiple Response Types; advertised only
    pub const IMPLICIT: &str = "implicit";
    /// RFC 8628 section 3.4
    pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    /// RFC 8693 section 2.1
    pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
}

/// Token types of RFC 8693 section 3 that Obol reads or issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// `urn:ietf:params:oauth:token-type:access_token`
    AccessToken,
    /// `urn:ietf:params:oauth:token-type:id_token`
    IdToken,
    /// `urn:ietf:params:oauth:token-type:jwt`
    Jwt,
}

impl TokenType {
    /// The URI.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// From the URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        [Self::AccessToken, Self::IdToken, Self::Jwt].into_iter().find(|kind| kind.uri() == uri)
    }
}

/// Error codes of RFC 6749 sections 4.1.2.1 and 5.2, RFC 8693 section 2.2.2, OpenID Connect Core section 3.1.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_client`
    InvalidClient,
    /// `invalid_grant`
    InvalidGrant,
    /// `unauthorized_client`
    UnauthorizedClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `invalid_scope`
    InvalidScope,
    /// `invalid_target` (RFC 8693 section 2.2.2, RFC 8707 section 2)
    InvalidTarget,
    /// `access_denied`
    AccessDenied,
    /// `unsupported_response_type`
    UnsupportedResponseType,
    /// `server_error`
    ServerError,
    /// `temporarily_unavailable`
    TemporarilyUnavailable,
    /// `login_required`
    LoginRequired,
    /// `interaction_required`
    InteractionRequired,
    /// `consent_required`
    ConsentRequired,
    /// `request_not_supported`
    RequestNotSupported,
    /// `request_uri_not_supported`
    RequestUriNotSupported,
    /// `registration_not_supported`
    RegistrationNotSupported,
    /// `authorization_pending` (RFC 8628 section 3.5)
    AuthorizationPending,
    /// `slow_down` (RFC 8628 section 3.5)
    SlowDown,
    /// `expired_token` (RFC 8628 section 3.5)
    ExpiredToken,
    /// `invalid_token` (RFC 6750 section 3.1)
    InvalidToken,
    /// `insufficient_scope` (RFC 6750 section 3.1)
    InsufficientScope,
}

impl ErrorCode {
    /// The code as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// The token endpoint's successful answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1).
#[derive(Clone, Serialize)]
pub struct TokenResponse {
    /// Whatever was issued; for an exchange also an ID token.
    pub access_token: String,
    /// Only of an exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
    /// `bearer` as Dex writes it, or `N_A` for an exchanged ID token.
    pub token_type: &'static str,
    /// Whole seconds.
    pub expires_in: i64,
    /// Present if asked for and allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Present in OpenID Connect flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// What was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
