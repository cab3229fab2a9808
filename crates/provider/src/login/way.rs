//! The way an answer takes back to the client (OAuth 2.0 Multiple Response Types section 2.1, OAuth 2.0 Form Post
//! Response Mode): fixed when the request was checked, so that nothing later can send it elsewhere.

use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::Serializer;
use wire::oauth::{ErrorCode, grant_type};

use super::{Answer, FormPost, Notice, Stop};
use crate::error::Fault;
use crate::response_type::ResponseType;

/// Where the answer goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// To the client's redirect URI.
    Uri {
        /// Checked, byte for byte.
        uri: String,
        /// In which part of it.
        mode: Mode,
        /// The client's `state`, empty if it sent none.
        state: String,
    },
    /// To nobody: the person reads the code off the page (`urn:ietf:wg:oauth:2.0:oob`).
    ByHand,
    /// To a device that polls (RFC 8628).
    Device {
        /// The code that it shows.
        code: String,
    },
}

/// In which part of the redirect an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// `query`
    Query,
    /// `fragment`
    Fragment,
    /// `form_post`
    FormPost,
}

impl Mode {
    /// By its name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "fragment" => Some(Self::Fragment),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fragment => "fragment",
            Self::FormPost => "form_post",
        }
    }

    /// What a response type comes in unless the client names another.
    pub(super) const fn default_of(response: ResponseType) -> Self {
        if response.in_front() { Self::Fragment } else { Self::Query }
    }

    /// Tokens never stand in a query: it ends up in logs and `Referer` headers.
    pub(super) const fn fits(self, response: ResponseType) -> bool {
        !(matches!(self, Self::Query) && response.in_front())
    }

    /// All names, for discovery.
    pub const NAMES: [&'static str; 3] = ["query", "fragment", "form_post"];
}

impl Way {
    /// What the client sent, and must send again with the code.
    pub fn redirect_uri(&self) -> &str {
        match self {
            Self::Uri { uri, .. } => uri,
            Self::ByHand => BY_HAND,
            Self::Device { .. } => "",
        }
    }

    /// The grant types that must be switched on, and allowed for the connector (dex.md 1.8 step 3).
    pub(super) fn grant_types(&self, response: ResponseType) -> Vec<&'static str> {
        match self {
            Self::Device { .. } => vec![grant_type::DEVICE_CODE],
            Self::Uri { .. } | Self::ByHand => response.grant_types().collect(),
        }
    }

    /// An answer with `state` if there was one (RFC 6749 section 4.1.2; clients that sent none refuse an empty one) and
    /// `iss` (RFC 9207 section 2).
    pub(super) fn answer(&self, issuer: &str, what: &[(&str, &str)]) -> Result<Answer, Fault> {
        let Self::Uri { uri, mode, state } = self else {
            let code = what.iter().find(|(name, _)| *name == "code").map(|(_, code)| (*code).to_owned());
            let none = || Fault::Internal("an answer without a code was to be carried by hand".into());
            return code.map(Answer::ByHand).ok_or_else(none);
        };
        let state = Some(("state", state.as_str())).filter(|(_, state)| !state.is_empty());
        let fields = what.iter().copied().chain(state).chain([("iss", issuer)]);
        let mut to = Url::parse(uri).map_err(|e| Fault::Internal(e.to_string()))?;
        Ok(match mode {
            Mode::Query => {
                to.query_pairs_mut().extend_pairs(fields);
                Answer::Redirect(to.into())
            }
            Mode::Fragment => {
                to.set_fragment(Some(&Serializer::new(String::new()).extend_pairs(fields).finish()));
                Answer::Redirect(to.into())
            }
            Mode::FormPost => {
                let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Answer::FormPost(FormPost { action: uri.clone(), fields })
            }
        })
    }

    /// The same for an error (RFC 6749 section 4.1.2.1). `None`: there is nobody to tell but the person.
    pub fn error(&self, issuer: &str, code: ErrorCode, told: &str) -> Option<Answer> {
        match self {
            Self::ByHand | Self::Device { .. } => None,
            Self::Uri { .. } => {
                self.answer(issuer, &[("error", code.as_str()), ("error_description", told)]).ok()
            }
        }
    }

    /// Stops, and tells the client why; the person, where there is no way to the client.
    pub(super) fn stop(&self, code: ErrorCode, told: &'static str) -> Stop {
        match self {
            Self::Uri { .. } => Stop::Back { way: Box::new(self.clone()), code, told: told.into() },
            _ if code == ErrorCode::AccessDenied => Stop::page(403, Notice::NotAgreed),
            Self::ByHand | Self::Device { .. } => Stop::detailed(400, Notice::CannotBeGranted, told),
        }
    }
}

/// The redirect URI of a native app that cannot be returned to.
pub(super) const BY_HAND: &str = "urn:ietf:wg:oauth:2.0:oob";

#[cfg(test)]
mod tests {
    use super::*;

    fn to(uri: &str, mode: Mode, state: &str) -> String {
        let way = Way::Uri { uri: uri.into(), mode, state: state.into() };
        match way.answer("https://o.example", &[("code", "a.b")]).unwrap() {
            Answer::Redirect(to) => to,
            other => panic!("{other:?}"),
        }
    }

    /// Dex encodes a fragment twice.
    #[test]
    fn dex_p16_each_mode_encodes_once() {
        let state = "a/b c=é&x=#";
        let encoded = "state=a%2Fb+c%3D%C3%A9%26x%3D%23";
        let iss = "iss=https%3A%2F%2Fo.example";
        assert_eq!(
            to("https://a.example/cb?x=1", Mode::Query, state),
            format!("https://a.example/cb?x=1&code=a.b&{encoded}&{iss}")
        );
        assert_eq!(
            to("https://a.example/cb?x=1", Mode::Fragment, state),
            format!("https://a.example/cb?x=1#code=a.b&{encoded}&{iss}")
        );
        assert_eq!(to("app.example:/cb", Mode::Fragment, ""), format!("app.example:/cb#code=a.b&{iss}"));
        let way = Way::Uri { uri: "https://a.example/cb".into(), mode: Mode::FormPost, state: state.into() };
        let Answer::FormPost(form) = way.answer("https://o.example", &[("code", "a.b")]).unwrap() else {
            panic!()
        };
        assert_eq!(form.action, "https://a.example/cb");
        assert_eq!(form.fields[1], ("state".to_owned(), state.to_owned()));
    }

    #[test]
    fn names_are_read_as_they_are_told() {
        for name in Mode::NAMES {
            assert!(Mode::from_name(name).is_some());
        }
        assert_eq!(Mode::from_name("web_message"), None);
    }
}
