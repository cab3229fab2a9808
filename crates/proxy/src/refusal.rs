//! Why a request does not pass, and the one place where that becomes an answer.
//!
//! The asker of a 401 learns nothing but that: what was wrong with the token goes to the audit event, as in the API
//! server. The texts of 403 are kube-oidc-proxy's where it has one, inside of a `Status` so that kubectl shows them.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use token::Rejected;
use wire::status::{Reason, Status};

use crate::body::Body;

/// Why a request does not pass.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// No bearer token in a form that is read.
    #[error("the request carries no bearer token")]
    NoToken,
    /// Two `Authorization` headers: two readers could choose two different ones.
    #[error("the request carries more than one Authorization header")]
    TwoTokens,
    /// The token does not pass.
    #[error(transparent)]
    Token(#[from] Rejected),
    /// No issuer's token, and the API server cannot say whether it is one of its own.
    #[error("the token is of no issuer that is known, and it cannot be reviewed")]
    Review(String),
    /// As many tokens that did not pass as may come from one address.
    #[error("too many tokens from this address did not pass; try again later")]
    TooManyFailures,
    /// The token is good and does not say who its bearer is in the way that is configured.
    #[error("oidc: {0}")]
    Claims(String),
    /// The claim that names the user is missing or empty. Impersonating nobody would mean the proxy's own rights.
    #[error("Username claim not available in OIDC Issuer response")]
    NoName,
    /// A name that Kubernetes keeps for itself, from a token.
    #[error("identities with the reserved \"system:\" prefix are not accepted from an authentication token")]
    Reserved(String),
    /// A name that would not reach the API server as the name that it is.
    #[error("the token's user name or group cannot be passed on in a header as it is")]
    Unheadable,
    /// The client asked to be somebody else.
    #[error("Impersonation requests are disabled when using kube-oidc-proxy")]
    Impersonation,
    /// The caller may not be who it asked to be.
    #[error("{0}")]
    MayNotImpersonate(String),
    /// Nobody can say whether the caller may be who it asked to be.
    #[error("it cannot be found out whether this impersonation is allowed")]
    Unreviewed(String),
    /// A method that no API server has.
    #[error("the method is not allowed")]
    Method,
    /// A request that is not one to an API server.
    #[error("{0}")]
    Request(&'static str),
    /// The proxy cannot read its own credential.
    #[error("the proxy has no credential for the API server")]
    NoCredential(String),
    /// The API server does not accept the proxy's own credential.
    #[error("the API server does not accept the proxy's credential")]
    CredentialRefused,
    /// No connection to the API server, or it broke before there was an answer.
    #[error("the API server cannot be reached")]
    Unreachable(String),
    /// The API server did not accept a connection in time.
    #[error("the API server did not answer in time")]
    Late(String),
    /// As many upgraded connections as there may be.
    #[error("the proxy carries as many upgraded connections as it may; try again later")]
    Tunnels,
    /// Who hears of requests cannot take more. Nobody acts unheard.
    #[error("the proxy's audit log cannot take more; try again later")]
    Unheard,
    /// Its audit event cannot be stored, and it may not go on without.
    #[error("failed to store audit event")]
    Unaudited,
    /// An answer that does not belong to the request.
    #[error("the API server's answer cannot be passed on: {0}")]
    Answer(&'static str),
}

impl Refusal {
    /// A short fixed word for audit events and metrics.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::TwoTokens => "two_tokens",
            Self::Token(rejected) => rejected.code(),
            Self::Review(_) => "review",
            Self::TooManyFailures => "too_many_failures",
            Self::MayNotImpersonate(_) => "may_not_impersonate",
            Self::Unreviewed(_) => "unreviewed",
            Self::Claims(_) => "claims",
            Self::NoName => "no_name",
            Self::Reserved(_) => "reserved_name",
            Self::Unheadable => "unheadable_name",
            Self::Impersonation => "impersonation",
            Self::Method => "method",
            Self::Request(_) => "request",
            Self::NoCredential(_) => "no_credential",
            Self::CredentialRefused => "credential_refused",
            Self::Unreachable(_) => "unreachable",
            Self::Late(_) => "late",
            Self::Tunnels => "tunnels",
            Self::Unheard => "unheard",
            Self::Unaudited => "unaudited",
            Self::Answer(_) => "answer",
        }
    }

    /// Whether the same request may pass later without anybody changing it.
    pub(crate) const fn is_temporary(&self) -> bool {
        match self {
            Self::Token(rejected) => rejected.is_temporary(),
            Self::Review(_) => true,
            _ => false,
        }
    }

    /// What the operator should know and the asker should not.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Reserved(name) => format!("{self}: {name:?}"),
            Self::NoCredential(why)
            | Self::Unreachable(why)
            | Self::Late(why)
            | Self::Review(why)
            | Self::Unreviewed(why) => format!("{self}: {why}"),
            other => other.to_string(),
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.meaning().0
    }

    /// The answer.
    pub(crate) fn response(&self) -> Response<Body> {
        let (status, reason) = self.meaning();
        let message =
            if status == StatusCode::UNAUTHORIZED { "Unauthorized".into() } else { self.to_string() };
        let document = Status::failure(status.as_u16(), reason, message).to_json();
        let mut response = Response::new(Body::from(document));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }

    const fn meaning(&self) -> (StatusCode, Reason) {
        match self {
            Self::NoToken | Self::TwoTokens | Self::Token(_) | Self::Claims(_) | Self::Review(_) => {
                (StatusCode::UNAUTHORIZED, Reason::Unauthorized)
            }
            Self::NoName
            | Self::Reserved(_)
            | Self::Unheadable
            | Self::Impersonation
            | Self::MayNotImpersonate(_) => (StatusCode::FORBIDDEN, Reason::Forbidden),
            Self::TooManyFailures => (StatusCode::TOO_MANY_REQUESTS, Reason::TooManyRequests),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, Reason::MethodNotAllowed),
            Self::Request(_) => (StatusCode::BAD_REQUEST, Reason::BadRequest),
            Self::NoCredential(_) | Self::Unaudited => {
                (StatusCode::INTERNAL_SERVER_ERROR, Reason::InternalError)
            }
            Self::CredentialRefused | Self::Unreachable(_) | Self::Answer(_) => {
                (StatusCode::BAD_GATEWAY, Reason::ServiceUnavailable)
            }
            Self::Late(_) => (StatusCode::GATEWAY_TIMEOUT, Reason::Timeout),
            Self::Tunnels | Self::Unheard | Self::Unreviewed(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Reason::ServiceUnavailable)
            }
        }
    }
}
