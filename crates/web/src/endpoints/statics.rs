//! What pages load: our style sheet, icon and script, and the files of the operator's theme. Those are looked up among what was
//! found at the start, never made routes of: a file may be called `{*}`, and that is a pattern.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;

use super::Shared;

/// Ours stand before a theme's of the same name: its style sheet is loaded after ours, not instead.
pub(super) fn routes(prefix: &str, web: &Shared) -> Router<Shared> {
    let mut router = Router::new();
    for (path, kind, content) in OURS {
        let answer = move || async move { kept(kind, Bytes::from_static(content)) };
        router = router.route(&format!("{prefix}{path}"), get(answer));
    }
    for folder in ["/static", "/theme"] {
        let answer = move |State(web): State<Shared>, Path(path): Path<String>| async move {
            theirs(&web, &format!("{folder}/{path}"))
        };
        router = router.route(&format!("{prefix}{folder}/{{*path}}"), get(answer));
    }
    if web.pages.asset(ROBOTS).is_some() {
        let answer = |State(web): State<Shared>| async move { theirs(&web, ROBOTS) };
        router.route(&format!("{prefix}{ROBOTS}"), get(answer))
    } else {
        router.route(&format!("{prefix}{ROBOTS}"), get(async || "User-agent: *\nDisallow: /\n"))
    }
}

fn theirs(web: &Shared, path: &str) -> Response {
    match web.pages.asset(path) {
        Some(asset) => kept(asset.kind, asset.content.clone()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn kept(kind: &'static str, content: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=3600")];
    (StatusCode::OK, headers, content).into_response()
}

const OURS: [(&str, &str, &[u8]); 3] = [
    ("/static/obol.css", "text/css; charset=utf-8", include_bytes!("../../static/obol.css")),
    ("/static/obol.svg", "image/svg+xml", include_bytes!("../../static/obol.svg")),
    ("/static/submit.js", "text/javascript; charset=utf-8", include_bytes!("../../static/submit.js")),
];

const ROBOTS: &str = "/robots.txt";
