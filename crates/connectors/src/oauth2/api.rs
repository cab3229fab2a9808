//! An upstream's API, asked with somebody's token.

use ambient::Secret;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LINK, RETRY_AFTER};
use outbound::{Answer, Client, Request};
use provider::connector::UpstreamError;
use serde::de::DeserializeOwned;
use url::Url;

use super::CAP;

/// An upstream's API, asked with somebody's token.
pub(crate) struct Api<'a> {
    pub(super) client: &'a Client,
    pub(super) token: &'a Secret<String>,
    pub(super) headers: HeaderMap,
}

impl Api<'_> {
    /// A document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, UpstreamError> {
        parsed(&self.document(url).await?, url)
    }

    /// All pages of a list, as `Link` headers name the next one (RFC 8288). A list without end is none: what is on the pages
    /// that are not read would be missing.
    pub(crate) async fn pages<T: DeserializeOwned>(&self, first: Url) -> Result<Vec<T>, UpstreamError> {
        let mut all = Vec::new();
        let mut next = Some(first.clone());
        for _ in 0..MOST_PAGES {
            let Some(url) = next else { return Ok(all) };
            if url.origin() != first.origin() {
                return Err(UpstreamError::Invalid("the next page is on another server".into()));
            }
            let answer = self.document(&url).await?;
            all.extend(parsed::<Vec<T>>(&answer, &url)?);
            next = next_page(&answer.headers, &url);
        }
        Err(UpstreamError::Invalid(format!("{} has more than {MOST_PAGES} pages", first.path())))
    }

    /// A document that is asked for with another.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        url: &Url,
        document: &serde_json::Value,
    ) -> Result<T, UpstreamError> {
        let answer = self.send(Request::json(url, document.to_string())).await?;
        if answer.status == StatusCode::OK {
            parsed(&answer, url)
        } else {
            Err(of_status(&answer, url.path()))
        }
    }

    /// What is answered, whatever it says; a redirect is an answer and not followed.
    pub(crate) async fn status(&self, url: &Url) -> Result<Answer, UpstreamError> {
        self.send(Request::get(url).redirect_is_an_answer()).await
    }

    /// A document, unread.
    pub(crate) async fn document(&self, url: &Url) -> Result<Answer, UpstreamError> {
        let answer = self.send(Request::get(url)).await?;
        if answer.status == StatusCode::OK { Ok(answer) } else { Err(of_status(&answer, url.path())) }
    }

    async fn send(&self, mut request: Request<'_>) -> Result<Answer, UpstreamError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))
            .map_err(|_| UpstreamError::Invalid("the access token does not fit into a header".into()))?;
        bearer.set_sensitive(true);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.extend(self.headers.clone());
        let request = request.header(AUTHORIZATION, bearer).cap(CAP);
        self.client.send(request).await.map_err(|why| UpstreamError::Unavailable(why.to_string()))
    }
}

/// A document of an API.
pub(crate) fn parsed<T: DeserializeOwned>(answer: &Answer, url: &Url) -> Result<T, UpstreamError> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| UpstreamError::Invalid(format!("{} is not what it should be", url.path())))
}

/// An answer that is not what was asked for: whose fault it is.
pub(crate) fn of_status(answer: &Answer, what: &str) -> UpstreamError {
    let status = answer.status;
    let why = format!("{what} answered {status}");
    let headers = &answer.headers;
    let limited = headers.contains_key(RETRY_AFTER)
        || headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
    match status {
        StatusCode::TOO_MANY_REQUESTS => UpstreamError::Unavailable(why),
        StatusCode::FORBIDDEN if limited => UpstreamError::Unavailable(why),
        StatusCode::UNAUTHORIZED => UpstreamError::Denied(why),
        status if status.is_server_error() => UpstreamError::Unavailable(why),
        _ => UpstreamError::Invalid(why),
    }
}

/// The target of `rel="next"`.
fn next_page(headers: &HeaderMap, of: &Url) -> Option<Url> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let mut links = values.flat_map(|value| value.split(','));
    links.find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim() == "rel" && value.trim().trim_matches('"').split(' ').any(|rel| rel == "next")
        };
        parameters.split(';').any(is_next).then(|| of.join(target).ok()).flatten()
    })
}

/// Of a hundred elements each.
const MOST_PAGES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_header_says() {
        let of = Url::parse("https://api.example/user/teams?per_page=100").unwrap();
        for (header, next) in [
            (
                r#"<https://api.example/t?page=2>; rel="next", <https://api.example/t?page=9>; rel="last""#,
                Some("https://api.example/t?page=2"),
            ),
            (
                r#"<https://api.example/t?page=1>; rel="prev", </t?page=3>; rel="next""#,
                Some("https://api.example/t?page=3"),
            ),
            (r#"<https://api.example/t?page=9>; rel="last""#, None),
            (r#"<https://api.example/t>; title="next""#, None),
            ("nonsense", None),
        ] {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(header))]);
            assert_eq!(next_page(&headers, &of).as_ref().map(Url::as_str), next, "{header}");
        }
    }
}
