//! The pages of the listener. They come from this program alone: no script, no picture or style from elsewhere.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use url::Url;

/// One page.
pub(super) struct Page {
    status: StatusCode,
    good: bool,
    title: &'static str,
    text: String,
}

/// The end of a sign-in that worked.
pub(super) fn signed_in(who: Option<&str>) -> Page {
    let who = who.map_or_else(String::new, |who| format!(" as <strong>{}</strong>", escaped(who)));
    let text = format!("You are signed in{who}. You can close this tab and go back to the terminal.");
    Page { status: StatusCode::OK, good: true, title: "Signed in", text }
}

/// The end of one that did not.
pub(super) fn failed(why: &str) -> Page {
    let text = format!("{}<br><br>The terminal says what to do about it.", escaped(why));
    Page { status: StatusCode::BAD_REQUEST, good: false, title: "Signing in did not work", text }
}

pub(super) fn stray() -> Page {
    plain(
        StatusCode::BAD_REQUEST,
        "Not the sign-in that is waited for",
        "This page answers another sign-in than the one that a terminal waits for. Start again from the terminal.",
    )
}

pub(super) fn over() -> Page {
    plain(
        StatusCode::CONFLICT,
        "This sign-in is over",
        "It was answered before. If that was not you, look at what the terminal says.",
    )
}

pub(super) fn elsewhere() -> Page {
    plain(StatusCode::MISDIRECTED_REQUEST, "Nobody here", "No page of that name is served here.")
}

pub(super) fn nothing_here() -> Page {
    plain(StatusCode::NOT_FOUND, "No such page", "This is where a terminal waits for the end of a sign-in.")
}

pub(super) fn only_get() -> Page {
    plain(StatusCode::METHOD_NOT_ALLOWED, "Not that way", "This page can only be looked at.")
}

/// To where the configuration says.
pub(super) fn away(to: &Url) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(value) = HeaderValue::from_str(to.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

impl Page {
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let mark = if self.good { TICK } else { CROSS };
        let kind = if self.good { "good" } else { "bad" };
        let (title, text) = (self.title, &self.text);
        let body = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             <style>{STYLE}</style></head><body><main class=\"{kind}\">{mark}<h1>{title}</h1><p>{text}</p></main></body></html>"
        );
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()).as_ref());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        );
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, &policy),
            (header::CACHE_CONTROL, "no-store"),
            // The address of this page holds the code.
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn plain(status: StatusCode, title: &'static str, text: &str) -> Page {
    Page { status, good: false, title, text: text.to_owned() }
}

/// Text that others wrote, as text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(MOST_SHOWN) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

const MOST_SHOWN: usize = 600;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#f4f5f7;--card:#fff;--ink:#1b1f24;--soft:#57606a;--good:#1a7f37;--bad:#cf222e}\
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--card:#161b22;--ink:#e6edf3;--soft:#9aa4af;--good:#3fb950;--bad:#ff7b72}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--ink);\
font:1rem/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:min(28rem,100vw - 2rem);padding:2.5rem 2rem;border-radius:.75rem;background:var(--card);\
box-shadow:0 1px 3px rgb(0 0 0/.2);text-align:center;overflow-wrap:anywhere}\
svg{width:3rem;height:3rem;fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}\
.good svg{stroke:var(--good)}.bad svg{stroke:var(--bad)}\
h1{margin:.75rem 0 .5rem;font-size:1.375rem}p{margin:0;color:var(--soft)}strong{color:var(--ink)}";

const TICK: &str = "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"m7.5 12.5 3 3 6-6.5\"/></svg>";
const CROSS: &str = "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"10\"/><path d=\"M12 7v6m0 3.5v.01\"/></svg>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        let page = failed("<script>alert('x')</script>\u{1b}[31m & \"more\"");
        assert!(
            page.text
                .starts_with("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; [31m &amp; &quot;more&quot;")
        );
        assert!(signed_in(Some("<b>ana</b>")).text.contains("&lt;b&gt;ana&lt;/b&gt;"));
    }
}
