//! The discovery document (OpenID Connect Discovery section 3, RFC 8414 section 2), in and out.

use serde::{Deserialize, Serialize};

/// What Obol publishes, in Dex's order.
#[derive(Debug, Clone, Serialize)]
pub struct Metadata {
    /// The issuer, byte for byte as in every token's `iss`.
    pub issuer: String,
    /// `…/auth`
    pub authorization_endpoint: String,
    /// `…/token`
    pub token_endpoint: String,
    /// `…/keys`
    pub jwks_uri: String,
    /// `…/userinfo`
    pub userinfo_endpoint: String,
    /// `…/token/introspect` (RFC 7662)
    pub introspection_endpoint: String,
    /// `…/token/revoke` (RFC 7009)
    pub revocation_endpoint: String,
    /// `…/device/code` (RFC 8628), if it is on
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    /// Grant types that are switched on.
    pub grant_types_supported: Vec<String>,
    /// Response types that are switched on.
    pub response_types_supported: Vec<String>,
    /// How the authorization response may come back.
    pub response_modes_supported: Vec<&'static str>,
    /// `public`
    pub subject_types_supported: Vec<&'static str>,
    /// Algorithms that a key exists for.
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    /// PKCE methods (RFC 8414).
    pub code_challenge_methods_supported: Vec<String>,
    /// Scopes.
    pub scopes_supported: Vec<&'static str>,
    /// Client authentication.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Client authentication for revocation.
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Client authentication there: it is never left out.
    pub introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Claims.
    pub claims_supported: Vec<&'static str>,
    /// RFC 9207
    pub authorization_response_iss_parameter_supported: bool,
    /// Request objects are not read.
    pub request_parameter_supported: bool,
    /// Request objects by reference are not fetched.
    pub request_uri_parameter_supported: bool,
}

/// What Obol reads of somebody else's document. Kubernetes publishes no `authorization_endpoint`, SPIRE an empty one.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Upstream {
    /// Must equal the configured issuer.
    pub issuer: String,
    /// Absent for workload issuers.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Absent for workload issuers.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Where the keys are.
    pub jwks_uri: String,
    /// Optional.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// Optional (RFC 7662).
    #[serde(default)]
    pub introspection_endpoint: Option<String>,
    /// Optional (RFC 8628).
    #[serde(default)]
    pub device_authorization_endpoint: Option<String>,
    /// Optional (RFC 7009).
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
    /// Optional (RFC 9126).
    #[serde(default)]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Whether authorization responses always say whose they are (RFC 9207 section 3).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: Option<bool>,
    /// Optional.
    #[serde(default)]
    pub end_session_endpoint: Option<String>,
    /// Optional.
    #[serde(default)]
    pub code_challenge_methods_supported: Vec<String>,
    /// Optional.
    #[serde(default)]
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// Optional.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
}
