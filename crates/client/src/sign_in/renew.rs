//! The next token of a session, without asking anybody (OpenID Connect Core section 12).

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
        let form =
            [("grant_type", grant_type::REFRESH_TOKEN), ("refresh_token", session.refresh_token.expose())];
        let url = found.token_endpoint()?;
        let answer = self.post_form(ask, found, &url, &form).await?;
        let bound = Bound { nonce: None, subject: session.subject.as_deref() };
        let mut entry = self.read_tokens(ask, found, &answer, bound).await?;
        // Who rotates no refresh tokens sends none (RFC 6749 section 6).
        if entry.session.is_none() {
            entry.session = Some(session.clone());
        }
        Ok(entry)
    }
}
