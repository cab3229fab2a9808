//! What an authorization request asks for (OAuth 2.0 Multiple Response Type Encoding Practices section 3 and 5).

use serde::{Deserialize, Serialize};
use wire::oauth::grant_type;

/// A set of words; their order says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseType {
    /// A code.
    pub code: bool,
    /// An ID token, at the authorization endpoint already.
    pub id_token: bool,
    /// An access token, at the authorization endpoint already.
    pub token: bool,
}

impl ResponseType {
    /// The plain code flow.
    pub const CODE: Self = Self { code: true, id_token: false, token: false };

    /// Those that OpenID Connect knows (Core section 3); an access token alone says nothing about anybody.
    pub const ALL: [Self; 6] = [
        Self::CODE,
        Self { id_token: true, ..Self::CODE },
        Self { id_token: true, token: true, ..Self::CODE },
        Self { token: true, ..Self::CODE },
        Self { code: false, id_token: true, token: false },
        Self { code: false, id_token: true, token: true },
    ];

    /// Reads a `response_type`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut read = Self { code: false, id_token: false, token: false };
        for word in text.split(' ') {
            let place = match word {
                "code" => &mut read.code,
                "id_token" => &mut read.id_token,
                "token" => &mut read.token,
                _ => return None,
            };
            if std::mem::replace(place, true) {
                return None;
            }
        }
        Some(read)
    }

    /// As it is registered.
    pub fn name(self) -> String {
        let words = [(self.code, "code"), (self.id_token, "id_token"), (self.token, "token")];
        words.into_iter().filter_map(|(there, word)| there.then_some(word)).collect::<Vec<_>>().join(" ")
    }

    /// Whether tokens pass through the browser.
    pub const fn in_front(self) -> bool {
        self.id_token || self.token
    }

    /// The grant types that must be switched on, and allowed for the connector (dex.md 1.8 step 3).
    pub fn grant_types(self) -> impl Iterator<Item = &'static str> {
        let of_code = self.code.then_some(grant_type::AUTHORIZATION_CODE);
        of_code.into_iter().chain(self.in_front().then_some(grant_type::IMPLICIT))
    }

    /// Those that a list of names allows. Dex takes the words apart, so that `code` and `id_token` listed each for
    /// itself allow both together; here a set that is listed as such is allowed too (Dex weakness P15).
    pub fn allowed_by(listed: &[String]) -> Vec<Self> {
        let has = |name: &str| listed.iter().any(|known| known == name);
        let as_set = |asked: Self| listed.iter().any(|known| Self::parse(known) == Some(asked));
        let by_words = |asked: Self| asked.name().split(' ').all(has);
        Self::ALL.into_iter().filter(|asked| as_set(*asked) || by_words(*asked)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(listed: &[&str]) -> Vec<String> {
        let listed: Vec<_> = listed.iter().map(|&name| name.to_owned()).collect();
        ResponseType::allowed_by(&listed).into_iter().map(ResponseType::name).collect()
    }

    #[test]
    fn dex_p15_a_set_that_is_listed_is_allowed() {
        assert_eq!(allowed(&["code id_token"]), ["code id_token"]);
        assert_eq!(allowed(&["token id_token"]), ["id_token token"]);
        assert_eq!(allowed(&["code", "id_token"]), ["code", "code id_token", "id_token"]);
        assert_eq!(allowed(&["token"]), [""; 0], "an access token alone is none of OpenID Connect's");
        assert_eq!(allowed(&["code", "token", "id_token"]).len(), 6);
    }

    #[test]
    fn words_are_read_in_any_order_and_once() {
        assert_eq!(ResponseType::parse("token code").map(ResponseType::name), Some("code token".into()));
        for bad in ["", "code code", "Code", "code  token", "none", "code,token"] {
            assert_eq!(ResponseType::parse(bad), None, "{bad:?}");
        }
    }
}
