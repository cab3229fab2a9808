//! `linkedin`: LinkedIn, with Dex's keys (dex.md 3.13).
//!
//! What Dex asks for was retired (weakness K12): this is LinkedIn's UserInfo, whose `sub` is the id that a person has had at our
//! client before. LinkedIn gives no refresh tokens to most clients: a kept access token is asked with as long as it lives.

use ambient::BoxFuture;
use config::{Fields, KeyStyle};
use outbound::Trust;
use provider::connector::{Hints, Identity, UpstreamError};
use serde::Deserialize;
use url::Url;

use crate::oauth2::{self, ByCode, CodeFlow, Question, Registration, Tokens, Upstream};
use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "linkedin", keys: KeyStyle::Dex, read, file: file!() };

struct LinkedIn {
    flow: CodeFlow,
    userinfo: Url,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    /// True or false; it has been seen as a text, which is no yes.
    #[serde(default)]
    email_verified: serde_json::Value,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let registration = Registration::read(fields, given);
    let site = oauth2::base(fields, "baseURL", "https://www.linkedin.com");
    let api = oauth2::base(fields, "apiURL", "https://api.linkedin.com");
    let client = oauth2::client(fields, given, Trust::default());
    let (site, registration) = (site?, registration?);
    let authorize = site.join("oauth/v2/authorization").ok()?;
    let token = site.join("oauth/v2/accessToken").ok()?;
    let flow = CodeFlow::new(registration, authorize, token, client?, given);
    Some(ByCode::built(LinkedIn { flow, userinfo: api?.join("v2/userinfo").ok()? }))
}

impl Upstream for LinkedIn {
    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, _: Hints) -> Question<'_> {
        Question { scopes: vec!["openid", "profile", "email"], more: Vec::new() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        _: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let said: UserInfo = self.flow.api(tokens, &[]).get(&self.userinfo).await?;
            if said.sub.is_empty() {
                return Err(UpstreamError::Invalid("LinkedIn knows no id of the user".into()));
            }
            let verified = said.email_verified.as_bool() == Some(true) && !said.email.is_empty();
            Ok(Identity {
                user_id: said.sub,
                username: if said.name.is_empty() { said.email.clone() } else { said.name },
                preferred_username: String::new(),
                email: said.email,
                email_verified: verified,
                groups: Vec::new(),
            })
        })
    }
}
