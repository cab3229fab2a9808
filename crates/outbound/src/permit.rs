//! Which URLs may be asked at all, before anything is resolved. The rules are in the crate's header.

use ambient::FetchError;
use url::{Host, Url};

/// Judges the text of a URL: scheme, credentials, who named it.
pub(crate) fn permit(url: &Url, named_by: Option<&Url>) -> Result<(), FetchError> {
    let refuse = |reason: &str| Err(FetchError::Forbidden { url: shown(url), reason: reason.to_owned() });
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return refuse("only https and http URLs are fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("a URL may not hold credentials");
    }
    match named_by {
        Some(configured) if configured.scheme() == "https" && url.scheme() != "https" => {
            refuse("a document that came by https may not name an http URL")
        }
        Some(configured) if configured.scheme() != "https" && !same_host(configured, url) => {
            refuse("a document that came by http may only name its own host")
        }
        _ => Ok(()),
    }
}

/// The host as [`crate::Dial`] takes it: without the brackets of an IPv6 address.
pub(crate) fn bare_host(url: &Url) -> String {
    match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

/// Whether both URLs are of one host, whatever the port.
pub(crate) fn same_host(one: &Url, other: &Url) -> bool {
    one.host() == other.host()
}

/// A URL for people: without credentials and query, where secrets would be.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn attack_12_a_document_cannot_downgrade_or_smuggle() {
        for (named, configured, good) in [
            ("https://a.example/keys", None, true),
            ("http://a.example/keys", None, true),
            ("https://b.example/keys", Some("https://a.example"), true),
            ("http://a.example/keys", Some("https://a.example"), false),
            ("http://a.example:81/keys", Some("http://a.example"), true),
            ("https://a.example/keys", Some("http://a.example"), true),
            ("http://b.example/keys", Some("http://a.example"), false),
            ("https://b.example/keys", Some("http://a.example"), false),
            ("https://user@a.example/keys", None, false),
            ("https://:pw@a.example/keys", Some("https://a.example"), false),
            ("file:///etc/passwd", Some("https://a.example"), false),
            ("ftp://a.example/", None, false),
            ("data:application/json,{}", Some("https://a.example"), false),
        ] {
            let configured = configured.map(url);
            assert_eq!(permit(&url(named), configured.as_ref()).is_ok(), good, "{named} by {configured:?}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        assert_eq!(shown(&url("https://u:p@a.example/t?code=s#x")), "https://a.example/t");
    }

    #[test]
    fn odd_spellings_of_addresses_are_read_as_addresses() {
        for text in ["http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127.1/"] {
            assert_eq!(bare_host(&url(text)), "127.0.0.1", "{text}");
        }
        assert_eq!(bare_host(&url("http://[::ffff:7f00:1]/")), "::ffff:127.0.0.1");
    }
}
