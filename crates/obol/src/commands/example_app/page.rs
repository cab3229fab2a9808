//! The pages of the example. No script, nothing from elsewhere; what others wrote is text.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::party::remember;

type Answer = Response<Full<Bytes>>;

/// A token as it is shown.
pub(super) struct Shown<'a> {
    pub(super) title: &'static str,
    /// By which algorithm, or why not.
    pub(super) verified: Result<&'static str, String>,
    pub(super) text: String,
    pub(super) raw: &'a str,
}

pub(super) fn start(client: &str, issuer: &str) -> Answer {
    let (client, issuer) = (escaped(client), escaped(issuer));
    page(
        StatusCode::OK,
        "Sign in to the example",
        &format!(
            "<p>As the client <b>{client}</b>, at <b>{issuer}</b>.</p><form method=\"post\" action=\"/login\">\
             <label>Scopes beside openid <input name=\"scopes\" value=\"profile email groups\"></label>\
             <label>Clients that the token is for, too <input name=\"clients\" placeholder=\"none\"></label>\
             <label>Connector <input name=\"connector\" placeholder=\"the provider asks\"></label>\
             <label class=\"tick\"><input type=\"checkbox\" name=\"offline\" value=\"yes\" checked> With a refresh token</label>\
             <button>Sign in</button></form>"
        ),
    )
}

pub(super) fn tokens(all: &[Shown<'_>], refreshable: bool) -> Answer {
    let mut body = String::new();
    for shown in all {
        let verdict = match &shown.verified {
            Ok(algorithm) => {
                format!("<p class=\"good\">Verified: the issuer's key signed it ({algorithm})</p>")
            }
            Err(why) => format!("<p class=\"bad\">Not verified: {}</p>", escaped(why)),
        };
        body.push_str(&format!(
            "<section><h2>{}</h2>{verdict}<pre>{}</pre><details><summary>The token itself</summary><pre>{}</pre></details></section>",
            shown.title,
            escaped(&shown.text),
            escaped(shown.raw)
        ));
    }
    if refreshable {
        body.push_str("<form method=\"post\" action=\"/refresh\"><button>Refresh</button></form>");
    }
    body.push_str(
        "<form action=\"/userinfo\"><button class=\"quiet\">UserInfo</button></form>\
         <form method=\"post\" action=\"/logout\"><button class=\"quiet\">Log out</button></form>",
    );
    page(StatusCode::OK, "Your tokens", &body)
}

pub(super) fn userinfo(claims: &str) -> Answer {
    let body = format!("<pre>{}</pre><p><a href=\"/tokens\">Back to the tokens</a></p>", escaped(claims));
    page(StatusCode::OK, "UserInfo", &body)
}

pub(super) fn problem(status: StatusCode, why: &str) -> Answer {
    page(
        status,
        "That did not work",
        &format!("<p class=\"bad\">{}</p><p><a href=\"/\">Start again</a></p>", escaped(why)),
    )
}

/// Elsewhere, perhaps with a cookie.
pub(super) fn to(place: &str, id: Option<&str>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(value) = HeaderValue::from_str(place) {
        answer.headers_mut().insert(header::LOCATION, value);
    }
    if let Some(id) = id {
        remember(&mut answer, id);
    }
    answer
}

fn page(status: StatusCode, title: &str, body: &str) -> Answer {
    let whole = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    );
    let mut answer = Response::new(Full::new(Bytes::from(whole)));
    *answer.status_mut() = status;
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()).as_ref());
    let policy =
        format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'");
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#f4f5f7;--card:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--good:#1a7f37;--bad:#cf222e;--act:#0969da}\
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--card:#161b22;--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;--good:#3fb950;--bad:#ff7b72;--act:#4493f8}}\
body{margin:0;padding:1rem;background:var(--bg);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{max-width:44rem;margin:2rem auto;padding:1.5rem;border-radius:.75rem;background:var(--card)}\
h1{margin-top:0;font-size:1.5rem}h2{font-size:1.125rem}label{display:block;margin:.75rem 0;color:var(--soft)}\
input:not([type]){display:block;box-sizing:border-box;width:100%;padding:.5rem;border:1px solid var(--line);border-radius:.375rem;background:var(--bg);color:var(--ink);font:inherit}\
pre{padding:.75rem;border-radius:.375rem;background:var(--bg);white-space:pre-wrap;overflow-wrap:anywhere;font-size:.875rem}\
button{padding:.5rem 1rem;border:1px solid var(--act);border-radius:.375rem;background:var(--act);color:var(--card);font:inherit}\
.quiet{background:none;color:var(--act)}form{margin:.75rem 0}.good{color:var(--good)}.bad{color:var(--bad)}a{color:var(--act)}";
