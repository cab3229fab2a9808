//! What is asked of a token endpoint: everything about an exchange but the subject token itself.

use ambient::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use wire::oauth::{TokenType, grant_type};

/// A token exchange (RFC 8693 section 2.1).
#[derive(Debug, Clone)]
pub struct Ask {
    /// Whom to ask.
    pub endpoint: Endpoint,
    /// As whom.
    pub client: ClientAuth,
    /// A token type URI.
    pub subject_token_type: String,
    /// A token type URI; `None` leaves the choice to the server.
    pub requested_token_type: Option<String>,
    /// Logical names of the places that the token is for.
    pub audience: Vec<String>,
    /// URIs of the places that the token is for.
    pub resource: Vec<String>,
    /// Scopes.
    pub scope: Vec<String>,
    /// Dex's and Obol's `connector_id`: which trust entry vouches for the subject token.
    pub connector_id: Option<String>,
}

/// Where the exchange takes place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The issuer; its discovery document names the token endpoint. Kept as it was written, since that is what the
    /// document must repeat.
    Issuer(String),
    /// The token endpoint itself.
    Token(Url),
}

/// The client's id and its proof.
#[derive(Debug, Clone, Default)]
pub struct ClientAuth {
    /// Absent where the server wants no client.
    pub id: Option<String>,
    /// Absent for public clients: then the id travels in the form (RFC 6749 section 3.2.1).
    pub secret: Option<Secret<String>>,
}

impl Ask {
    /// The form, as bytes of `application/x-www-form-urlencoded`.
    pub(crate) fn form(&self, subject_token: &str) -> Secret<String> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", grant_type::TOKEN_EXCHANGE)
            .append_pair("subject_token_type", &self.subject_token_type)
            .append_pair("subject_token", subject_token);
        let optional = [
            ("requested_token_type", self.requested_token_type.as_deref()),
            ("connector_id", self.connector_id.as_deref()),
            ("client_id", self.client.id.as_deref().filter(|_| self.client.secret.is_none())),
        ];
        for (name, value) in optional {
            form.extend_pairs(value.map(|value| (name, value)));
        }
        form.extend_pairs(self.audience.iter().map(|value| ("audience", value)));
        form.extend_pairs(self.resource.iter().map(|value| ("resource", value)));
        if !self.scope.is_empty() {
            form.append_pair("scope", &self.scope.join(" "));
        }
        Secret::new(form.finish())
    }
}

impl ClientAuth {
    /// `Authorization: Basic`, with both parts form-encoded first (RFC 6749 section 2.3.1).
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let (id, secret) = (self.id.as_ref()?, self.secret.as_ref()?);
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Secret::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.expose()))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// A token type as people write it: `id_token`, `access_token`, `jwt`, or any URI.
pub fn token_type_uri(text: &str) -> Option<String> {
    let short = [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt]
        .into_iter()
        .map(TokenType::uri)
        .find(|uri| uri.rsplit(':').next() == Some(text));
    match short {
        Some(uri) => Some(uri.to_owned()),
        None => text.contains(':').then(|| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(secret: Option<&str>) -> Ask {
        Ask {
            endpoint: Endpoint::Issuer("https://o.example".into()),
            client: ClientAuth { id: Some("a b:c".into()), secret: secret.map(Secret::from) },
            subject_token_type: TokenType::IdToken.uri().into(),
            requested_token_type: None,
            audience: vec!["x".into(), "y&z".into()],
            resource: Vec::new(),
            scope: vec!["openid".into(), "email".into()],
            connector_id: Some("ci".into()),
        }
    }

    #[test]
    fn a_public_client_names_itself_in_the_form_and_a_confidential_one_in_the_header() {
        assert_eq!(
            ask(None).form("tok+en").expose(),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&subject_token=tok%2Ben\
             &connector_id=ci&client_id=a+b%3Ac&audience=x&audience=y%26z&scope=openid+email"
        );
        assert_eq!(ask(None).client.header(), None);
        let confidential = ask(Some("s/e"));
        assert!(!confidential.form("t").expose().contains("client_id"));
        // base64("a+b%3Ac:s%2Fe")
        assert_eq!(confidential.client.header().unwrap(), "Basic YStiJTNBYzpzJTJGZQ==");
    }

    #[test]
    fn token_types_have_short_names() {
        for (text, want) in [
            ("id_token", Some("urn:ietf:params:oauth:token-type:id_token")),
            ("jwt", Some("urn:ietf:params:oauth:token-type:jwt")),
            ("urn:example:own", Some("urn:example:own")),
            ("idtoken", None),
            ("", None),
        ] {
            assert_eq!(token_type_uri(text).as_deref(), want, "{text}");
        }
    }
}
