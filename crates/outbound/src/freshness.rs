//! How long a document may be kept, as its server says (RFC 9111 section 4.2).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// The time left of `max-age`; `None` if the server said nothing; zero where it forbids keeping or cannot be
/// understood (RFC 9111 section 4.2.1: what is not understood is stale).
pub(crate) fn fresh_for(headers: &HeaderMap) -> Option<Duration> {
    let mut max_age: Option<u64> = None;
    let directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("no-store").split(','));
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") {
            let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
            max_age = Some(max_age.map_or(seconds, |known| known.min(seconds)));
        }
    }
    let age = headers.get(AGE).and_then(|value| value.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    max_age.map(|seconds| Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_is_what_the_server_says_and_never_more() {
        for (lines, age, expected) in [
            (&[][..], None, None),
            (&["public"], None, None),
            (&["public, max-age=3600"], None, Some(3600)),
            (&["Max-Age=\"60\""], None, Some(60)),
            (&["max-age=3600", "max-age=5"], None, Some(5)),
            (&["max-age=3600"], Some("600"), Some(3000)),
            (&["max-age=3600"], Some("9999"), Some(0)),
            (&["max-age=-1"], None, Some(0)),
            (&["max-age=1e9"], None, Some(0)),
            (&["max-age"], None, Some(0)),
            (&["max-age=3600, no-cache"], None, Some(0)),
            (&["max-age=3600", "NO-STORE"], None, Some(0)),
            (&["s-maxage=10"], None, None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().unwrap());
            }
            if let Some(age) = age {
                headers.insert(AGE, age.parse().unwrap());
            }
            assert_eq!(fresh_for(&headers), expected.map(Duration::from_secs), "{lines:?} {age:?}");
        }
    }
}
