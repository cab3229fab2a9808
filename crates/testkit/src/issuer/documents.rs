//! What the issuer publishes, and how it may misbehave while doing so.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::keys::Alg;
use crate::serve::TestBody;

/// How a route answers.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Normal,
    /// With this status and no document.
    Status(u16),
    /// With 302 and this location; whoever follows it arrives there.
    Redirect(String),
    /// With these bytes in the place of the document.
    Body(String),
    /// With the document, said to be compressed.
    Gzip,
    /// With half of the document, and then nothing.
    SlowBody,
    /// With zeros without end.
    Endless,
    /// Not at all: the connection stays open.
    Silent,
}

impl Behaviour {
    pub(super) async fn applied_to(self, mut normal: Response<TestBody>) -> Response<TestBody> {
        match self {
            Self::Normal => {}
            Self::Status(status) => {
                *normal.status_mut() = StatusCode::from_u16(status).unwrap();
                *normal.body_mut() = TestBody::Whole(Bytes::new());
            }
            Self::Redirect(location) => {
                *normal.status_mut() = StatusCode::FOUND;
                normal.headers_mut().insert("location", location.parse().unwrap());
            }
            Self::Body(body) => *normal.body_mut() = TestBody::Whole(body.into()),
            Self::Gzip => {
                normal.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            }
            Self::SlowBody => {
                if let TestBody::Whole(whole) = normal.body() {
                    *normal.body_mut() = TestBody::Stalling(whole.slice(..whole.len() / 2));
                }
            }
            Self::Endless => *normal.body_mut() = TestBody::Endless,
            Self::Silent => std::future::pending().await,
        }
        normal
    }
}

/// The discovery document of `issuer`, served under `base`.
pub(super) fn discovery(issuer: &str, base: &str, kubernetes: bool, algorithm: Alg) -> Value {
    if kubernetes {
        // As kube-apiserver writes it: nothing of a login.
        return json!({
            "issuer": issuer,
            "jwks_uri": format!("{base}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [algorithm.name()],
        });
    }
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/auth"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "userinfo_endpoint": format!("{base}/userinfo"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm.name()],
    })
}
