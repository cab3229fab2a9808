//! Kubernetes' `Status`: the document that every refusal of an API server is, and the only one that kubectl prints well.

use serde::{Deserialize, Serialize};

/// `v1.Status` of a failed request, in the API server's member order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    kind: Kind,
    api_version: Version,
    #[serde(default)]
    metadata: Metadata,
    status: Failure,
    /// For people; kubectl prints it after `Error from server (<reason>): `.
    #[serde(default)]
    pub message: String,
    /// For programs. Servers may send words that are not in [`Reason`].
    #[serde(default)]
    pub reason: String,
    /// The HTTP status again.
    #[serde(default)]
    pub code: u16,
}

/// Why a request failed, for programs (`metav1.StatusReason`): those that Obol answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 405
    MethodNotAllowed,
    /// 429
    TooManyRequests,
    /// 500
    InternalError,
    /// 502 and 503; clients may try again.
    ServiceUnavailable,
    /// 504
    Timeout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    #[serde(rename = "v1")]
    V1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Failure {
    Failure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Metadata {}

impl Status {
    /// A failure.
    pub fn failure(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Status,
            api_version: Version::V1,
            metadata: Metadata {},
            status: Failure::Failure,
            message: message.into(),
            reason: reason.word().to_owned(),
            code,
        }
    }

    /// The document as bytes, to be sent as `application/json`.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers alone: there is nothing that JSON could not hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a failure; `None` if it is anything else.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        serde_json::from_slice(raw).ok()
    }
}

impl Reason {
    /// As it stands in the document.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_own_401_byte_for_byte() {
        let ours = Status::failure(401, Reason::Unauthorized, "Unauthorized").to_json();
        let theirs = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
        assert_eq!(String::from_utf8(ours).unwrap(), theirs);
    }

    #[test]
    fn other_servers_failures_are_read_and_nothing_else() {
        let read = Status::parse(
            br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"a\" not found","reason":"NotFound","details":{"name":"a","kind":"pods"},"code":404}"#,
        )
        .unwrap();
        assert_eq!((read.code, read.reason.as_str()), (404, "NotFound"));
        for other in [
            &br#"{"kind":"Pod","apiVersion":"v1","metadata":{},"status":"Failure"}"#[..],
            br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}"#,
            b"Unauthorized\n",
        ] {
            assert_eq!(Status::parse(other), None);
        }
    }
}
