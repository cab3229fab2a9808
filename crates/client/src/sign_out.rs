//! Signing out: what is kept is forgotten, and the provider is told that it may forget it too (RFC 7009).

use bytes::Bytes;
use http::header::AUTHORIZATION;
use outbound::Request;
use url::form_urlencoded::Serializer;

use ambient::Secret;

use crate::answer;
use crate::ask::ClientAuth;
use crate::cache::Cache;
use crate::error::Error;
use crate::flow::{Exchanger, MAX_ANSWER};
use crate::issued;

/// A session that was kept and is not any more. Whoever holds it can still end it at the provider.
#[derive(Debug)]
pub struct Session(issued::Session);

/// A session that the provider was not told about.
#[derive(Debug, thiserror::Error)]
pub enum Unrevoked {
    /// It has no way to be told.
    #[error("the provider offers no revocation")]
    NotOffered,
    /// It does not answer, or refuses.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Cache {
    /// Forgets every token, and hands out the sessions among them. Tokens without a session end by themselves soon.
    /// The [`Error::Cache`] beside them is about the last entry that cannot be removed; the others are all the same.
    pub fn clear(&self, of: impl Fn(&Session) -> bool) -> (Vec<Session>, Option<Error>) {
        let (mut sessions, mut left) = (Vec::new(), None);
        for (path, entry) in self.entries() {
            let session = entry.and_then(|entry| entry.session).map(Session);
            if session.as_ref().is_some_and(|session| !of(session)) {
                continue;
            }
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    left = Some(Error::Cache { path, reason: error.to_string() });
                }
                _ => sessions.extend(session),
            }
        }
        (sessions, left)
    }
}

impl Session {
    /// Whose session.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Of which client.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Whom the sign-in believed (PEM); `None` for the machine's authorities.
    pub fn authorities(&self) -> Option<&str> {
        self.0.authorities.as_deref()
    }

    /// Ends it at the provider.
    ///
    /// # Errors
    /// [`Unrevoked`]
    pub async fn revoke(
        &self,
        exchanger: &Exchanger,
        secret: Option<Secret<String>>,
    ) -> Result<(), Unrevoked> {
        let found = exchanger.discover(&self.0.issuer).await?;
        let Some(named) = found.document.revocation_endpoint.as_deref() else {
            return Err(Unrevoked::NotOffered);
        };
        let url = found.endpoint("revocation_endpoint", Some(named))?;
        let client = ClientAuth { id: Some(self.0.client_id.clone()), secret };
        let header = client.header();
        let body = self.form(header.is_none());
        let request = || {
            let form = Bytes::from(body.expose().clone());
            let request = Request::form(&url, form).named_by(Some(&found.issuer)).cap(MAX_ANSWER);
            match &header {
                Some(value) => request.header(AUTHORIZATION, value.clone()),
                None => request,
            }
        };
        let answer = exchanger.send(request).await.map_err(Error::Fetch)?;
        if answer.status == 200 { Ok(()) } else { Err(answer::refusal(&url, &answer, false).into()) }
    }

    fn form(&self, with_client: bool) -> Secret<String> {
        let mut body = Serializer::new(String::new());
        body.append_pair("token", self.0.refresh_token.expose())
            .append_pair("token_type_hint", "refresh_token");
        if with_client {
            body.append_pair("client_id", &self.0.client_id);
        }
        Secret::new(body.finish())
    }
}
