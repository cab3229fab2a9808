//! Discovery document and JWK Set as bytes: made when what they say changes, sent as they are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use provider::keys::JWKS_CACHED_FOR;
use provider::{Living, Provider};

/// The documents in use.
#[derive(Default)]
pub(crate) struct Documents {
    discovery: ArcSwapOption<Document>,
    keys: ArcSwapOption<Document>,
}

struct Document {
    made_of: Source,
    body: Bytes,
    tag: HeaderValue,
    cache: HeaderValue,
}

/// What a document was made of: compared to know whether it still holds. Held, so that nothing else can come to stand at
/// the same address.
enum Source {
    Living(Weak<Living>, usize),
    Bytes(Bytes),
}

impl Documents {
    pub(crate) fn discovery(&self, provider: &Arc<Provider>, headers: &HeaderMap) -> Response {
        let made_of =
            Source::Living(Arc::downgrade(&provider.living()), provider.ring().algs().iter().count());
        let document = current(&self.discovery, made_of, || {
            serde_json::to_vec_pretty(&provider.metadata()).ok().map(Bytes::from)
        });
        answer(document, headers)
    }

    pub(crate) fn keys(&self, provider: &Arc<Provider>, headers: &HeaderMap) -> Response {
        let Some(jwks) = provider.ring().jwks() else { return answer(None, headers) };
        answer(current(&self.keys, Source::Bytes(jwks.clone()), || Some(jwks)), headers)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Living(left, algs), Self::Living(right, others)) => {
                Weak::ptr_eq(left, right) && algs == others
            }
            (Self::Bytes(left), Self::Bytes(right)) => {
                left.as_ptr() == right.as_ptr() && left.len() == right.len()
            }
            _ => false,
        }
    }
}

fn current(
    place: &ArcSwapOption<Document>,
    made_of: Source,
    make: impl FnOnce() -> Option<Bytes>,
) -> Option<Arc<Document>> {
    if let Some(known) = place.load_full().filter(|known| known.made_of == made_of) {
        return Some(known);
    }
    let body = make()?;
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let made = Arc::new(Document {
        made_of,
        tag: HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).ok()?,
        cache: HeaderValue::from_str(&format!(
            "public, max-age={}, must-revalidate",
            JWKS_CACHED_FOR.as_secs()
        ))
        .ok()?,
        body,
    });
    place.store(Some(Arc::clone(&made)));
    Some(made)
}

fn answer(document: Option<Arc<Document>>, headers: &HeaderMap) -> Response {
    let Some(document) = document else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == document.tag);
    let (status, body) = if known {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(document.body.clone()))
    };
    let fixed = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, document.cache.clone()),
        (header::ETAG, document.tag.clone()),
    ];
    (status, fixed, body).into_response()
}
