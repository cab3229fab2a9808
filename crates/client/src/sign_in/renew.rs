//! The next token of a session, without asking anybody (OpenID Connect Core section 12).

use ambient::Secret;
use outbound::Answer;

use super::SignIn;
use super::tokens::Bound;
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::Exchanger;
use crate::issued::{Entry, Session};
use wire::oauth::grant_type;

impl Exchanger {
    pub(super) async fn renew(
        &self,
        ask: &SignIn,
        found: &Discovered,
        session: &Session,
    ) -> Result<Entry, Error> {
        let (answer, bound) =
            self.refresh(ask, found, &session.refresh_token, session.subject.as_deref()).await?;
        let mut entry = self.read_tokens(ask, found, &answer, bound).await?;
        // Who rotates no refresh tokens sends none (RFC 6749 section 6).
        if entry.session.is_none() {
            entry.session = Some(session.clone());
        }
        Ok(entry)
    }

    /// Spends a refresh token, and says what the answer must be bound to.
    pub(super) async fn refresh<'a>(
        &self,
        ask: &SignIn,
        found: &Discovered,
        token: &Secret<String>,
        subject: Option<&'a str>,
    ) -> Result<(Answer, Bound<'a>), Error> {
        let url = found.token_endpoint()?;
        // The keys first: what was renewed and cannot be checked would be lost, and the session with it.
        let keys = Some(self.keys(found).await?);
        let form = [("grant_type", grant_type::REFRESH_TOKEN), ("refresh_token", token.expose())];
        let answer = self.post_form(ask, found, &url, &form).await?;
        Ok((answer, Bound { nonce: None, subject, keys }))
    }
}
