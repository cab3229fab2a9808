//! The steps of a sign-in one by one, for an application with pages of its own.

use ambient::Secret;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use outbound::Request;
use url::Url;
use wire::json::Object;

use super::SignIn;
use super::opening::Opening;
use super::tokens::{Bound, Received};
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::{Exchanger, MAX_ANSWER};

/// A sign-in that has begun: its secrets stay here, its address goes to the browser.
pub struct Begun {
    opening: Opening,
    found: Discovered,
    url: Url,
}

/// What came of one. The ID token has passed every check.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// For the application alone.
    pub id_token: Secret<String>,
    /// For whom the provider says.
    pub access_token: Option<Secret<String>>,
    /// For the provider.
    pub refresh_token: Option<Secret<String>>,
    subject: Option<String>,
}

impl Begun {
    /// Where the browser goes.
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

impl Exchanger {
    /// Begins one whose answer goes to `redirect_uri`.
    ///
    /// # Errors
    /// [`Error`]: the provider cannot be reached, or has no such endpoint.
    pub async fn begin_at(&self, ask: &SignIn, redirect_uri: &str) -> Result<Begun, Error> {
        let found = self.discover(&ask.issuer).await?;
        let opening = Opening::new(redirect_uri.to_owned(), &*self.random);
        let url = self.address(ask, &found, &opening).await?;
        Ok(Begun { opening, found, url })
    }

    /// Ends one by the query that the browser brought.
    ///
    /// # Errors
    /// [`Error`]: it is no answer to it, or a refusal, or its token does not pass.
    pub async fn finish(&self, ask: &SignIn, begun: Begun, query: &str) -> Result<Tokens, Error> {
        let arrival = begun.opening.arrival(query, &begun.found).map_err(|stray| Error::Stray(stray.0))?;
        let code = arrival.code(&begun.found.document.issuer)?;
        let form = begun.opening.redemption(ask, &code);
        let url = begun.found.token_endpoint()?;
        let answer = self.post_form(ask, &begun.found, &url, &form).await?;
        let bound = Bound { nonce: Some(&begun.opening.nonce), ..Bound::default() };
        self.receive(ask, &begun.found, &answer, &bound).await.and_then(|received| Tokens::of(&received))
    }

    /// The next tokens, by the refresh token of these.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn next(&self, ask: &SignIn, tokens: &Tokens) -> Result<Tokens, Error> {
        let refresh = tokens.refresh_token.as_ref().ok_or(Error::Unbound("there is no refresh token"))?;
        let found = self.discover(&ask.issuer).await?;
        let (answer, bound) = self.refresh(ask, &found, refresh, tokens.subject.as_deref()).await?;
        let next =
            self.receive(ask, &found, &answer, &bound).await.and_then(|received| Tokens::of(&received))?;
        let refresh_token = next.refresh_token.clone().or_else(|| tokens.refresh_token.clone());
        Ok(Tokens { refresh_token, ..next })
    }

    /// What UserInfo says of whom the tokens are (OpenID Connect Core section 5.3): of them, or nothing.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn userinfo(&self, ask: &SignIn, tokens: &Tokens) -> Result<Object, Error> {
        let found = self.discover(&ask.issuer).await?;
        let url = found.endpoint("userinfo_endpoint", found.document.userinfo_endpoint.as_deref())?;
        let bad = |what: &str| Error::Answer(what.to_owned());
        let token = tokens.access_token.as_ref().ok_or_else(|| bad("there is no access token"))?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| bad("the access token is no token"))?;
        value.set_sensitive(true);
        let request = || {
            let request = Request::get(&url).named_by(Some(&found.issuer)).cap(MAX_ANSWER);
            request.header(AUTHORIZATION, value.clone())
        };
        let answer = self.send(request).await?;
        if answer.status != 200 {
            return Err(Error::Status { url: crate::error::shown(&url), status: answer.status.as_u16() });
        }
        let claims =
            Object::parse(&answer.body).map_err(|e| Error::Answer(format!("it is not JSON ({e})")))?;
        if claims.str("sub") != tokens.subject.as_deref() {
            return Err(Error::Unbound("UserInfo speaks of somebody else (sub)"));
        }
        Ok(claims)
    }
}

impl Tokens {
    fn of(received: &Received) -> Result<Self, Error> {
        let secret = |name: &str| received.text(name).map(Secret::from);
        Ok(Self {
            id_token: secret("id_token").ok_or_else(Error::no_id_token)?,
            access_token: secret("access_token"),
            refresh_token: received.refresh_token(),
            subject: received.subject().map(str::to_owned),
        })
    }
}
