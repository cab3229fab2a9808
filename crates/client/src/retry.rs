//! When a failed request is worth another try, and when that may be.

use std::time::Duration;

use ambient::{FetchError, Random, RandomExt as _};
use http::header::RETRY_AFTER;
use outbound::Answer;

/// How long to wait before try number `tries + 1`, or `None` to leave it at the last outcome.
pub(crate) fn pause(
    outcome: &Result<Answer, FetchError>,
    tries: u32,
    random: &dyn Random,
) -> Option<Duration> {
    let asked = match outcome {
        Ok(answer) if is_passing(answer.status.as_u16()) => wish(answer),
        Ok(_) | Err(FetchError::Forbidden { .. } | FetchError::TooLarge { .. }) => return None,
        Err(_) => None,
    };
    if tries >= TRIES || asked.is_some_and(|asked| asked > LONGEST_WISH) {
        return None;
    }
    let step = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(8));
    // Clients that failed together must not come back together.
    let jitter = step.mul_f64(f64::from(random.bytes::<1>()[0]) / 512.0);
    Some(asked.unwrap_or(step) + jitter)
}

/// Overload and outage pass; everything else a server says is meant.
const fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// `Retry-After` in seconds; its other form, a date, depends on clocks that agree and is not read.
fn wish(answer: &Answer) -> Option<Duration> {
    let text = answer.headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

const TRIES: u32 = 4;
const FIRST: Duration = Duration::from_millis(250);

/// Somebody waits for kubectl: a server that wants more than this is reported instead.
const LONGEST_WISH: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    struct Zero;
    impl Random for Zero {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn answer(status: u16, wish: Option<&'static str>) -> Result<Answer, FetchError> {
        let headers = wish.map(|wish| (RETRY_AFTER, HeaderValue::from_static(wish))).into_iter();
        let headers = headers.collect::<HeaderMap>();
        Ok(Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Default::default() })
    }

    #[test]
    fn outages_are_tried_again_under_a_bound_and_refusals_never() {
        let millis = |outcome, tries| pause(&outcome, tries, &Zero).map(|pause| pause.as_millis());
        assert_eq!(
            [1, 2, 3, 4].map(|tries| millis(answer(503, None), tries)),
            [Some(250), Some(500), Some(1000), None]
        );
        assert_eq!(millis(answer(429, Some("7")), 1), Some(7000));
        assert_eq!(millis(answer(500, Some("soon")), 1), Some(250));
        assert_eq!(millis(answer(503, Some("3600")), 1), None);
        for status in [200, 400, 401, 403, 404, 501] {
            assert_eq!(millis(answer(status, Some("1")), 1), None, "{status}");
        }
        let url = String::new();
        assert_eq!(millis(Err(FetchError::Late { url: url.clone() }), 1), Some(250));
        assert_eq!(millis(Err(FetchError::TooLarge { url: url.clone(), cap: 1 }), 1), None);
        assert_eq!(millis(Err(FetchError::Forbidden { url, reason: String::new() }), 1), None);
    }
}
