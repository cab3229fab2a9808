//! `gitlab`: GitLab, with Dex's keys (dex.md 3.7).
//!
//! Groups come from UserInfo, where GitLab also says with which permission, or from the API where inherited ones are wanted.
//! `groups` restricts at every login and refresh, whatever scopes a client wants (weakness K2). A server that sends no
//! confirmation mail says of any address when it was confirmed: one of one's own is believed only where `emailVerified` says
//! that it may be.

mod groups;
mod settings;

use ambient::BoxFuture;
use config::{Fields, KeyStyle};
use provider::connector::{Hints, Identity, UpstreamError};
use serde::Deserialize;
use url::Url;

use crate::oauth2::{Api, ByCode, CodeFlow, Question, Tokens, Upstream};
use crate::{Built, Given, Kind};
use settings::Settings;

pub(crate) const KIND: Kind = Kind { kind: "gitlab", keys: KeyStyle::Dex, read, file: file!() };

struct GitLab {
    flow: CodeFlow,
    base: Url,
    allowed: Vec<String>,
    login_is_id: bool,
    permissions: bool,
    inherited: bool,
    /// The server asks people to confirm their addresses.
    believes_email: bool,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    username: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    confirmed_at: Option<String>,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let Settings { registration, base, client, allowed, login_is_id, permissions, inherited, believes_email } =
        Settings::read(fields, given)?;
    let (authorize, token) = (at(&base, "oauth/authorize")?, at(&base, "oauth/token")?);
    let flow = CodeFlow::new(registration, authorize, token, client, given);
    let connector = GitLab { flow, base, allowed, login_is_id, permissions, inherited, believes_email };
    Some(ByCode::built(connector))
}

impl GitLab {
    /// Whether groups are needed: to be told, or to be judged by.
    fn wants_groups(&self, scopes: Hints) -> bool {
        scopes.groups || !self.allowed.is_empty()
    }

    /// The groups, of which one must be allowed; then no others are told, as in Dex.
    async fn groups(&self, api: &Api<'_>, user: &User) -> Result<Vec<String>, UpstreamError> {
        let found = if self.inherited {
            self.inherited_groups(api, user).await?
        } else {
            groups::of_userinfo(api, &self.at("oauth/userinfo")?, user.id, self.permissions).await?
        };
        if self.allowed.is_empty() {
            return Ok(found);
        }
        let own: Vec<String> = found.into_iter().filter(|group| self.allowed.contains(group)).collect();
        if own.is_empty() {
            let why = format!("{:?} is in none of the groups that may come in", user.username);
            return Err(UpstreamError::Denied(why));
        }
        Ok(own)
    }

    /// Of the groups that GitLab lists, those that somebody is really a member of, asked group by group.
    async fn inherited_groups(&self, api: &Api<'_>, user: &User) -> Result<Vec<String>, UpstreamError> {
        let matters = |path: &str| {
            let is_it = |allowed: &String| {
                allowed.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            };
            self.allowed.is_empty() || self.allowed.iter().any(is_it)
        };
        groups::inherited(api, &self.base, user.id, self.permissions, matters).await
    }

    fn at(&self, path: &str) -> Result<Url, UpstreamError> {
        at(&self.base, path).ok_or_else(|| UpstreamError::Invalid("GitLab has no such place".into()))
    }
}

fn at(base: &Url, path: &str) -> Option<Url> {
    base.join(path).ok()
}

impl Upstream for GitLab {
    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, scopes: Hints) -> Question<'_> {
        let mut asked = vec!["read_user"];
        if self.wants_groups(scopes) {
            asked.push("openid");
            asked.extend(self.inherited.then_some("read_api"));
        }
        Question { scopes: asked, more: Vec::new() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        scopes: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let api = self.flow.api(tokens, &[]);
            let user: User = api.get(&self.at("api/v4/user")?).await?;
            if !user.state.is_empty() && user.state != "active" {
                return Err(UpstreamError::Denied(format!(
                    "the account of {:?} is {:?}",
                    user.username, user.state
                )));
            }
            let groups = if self.wants_groups(scopes) { self.groups(&api, &user).await? } else { Vec::new() };
            let confirmed = user.confirmed_at.is_some_and(|at| !at.is_empty());
            Ok(Identity {
                user_id: if self.login_is_id { user.username.clone() } else { user.id.to_string() },
                username: if user.name.is_empty() { user.email.clone() } else { user.name },
                preferred_username: user.username,
                email_verified: self.believes_email && confirmed && !user.email.is_empty(),
                email: user.email,
                groups,
            })
        })
    }

    /// GitLab's access tokens live two hours and Dex does not keep for how long: with a refresh token new ones are taken.
    fn current(&self, kept: Tokens) -> BoxFuture<'_, Result<Tokens, UpstreamError>> {
        Box::pin(async move {
            match &kept.refresh {
                Some(refresh) => self.flow.renew(refresh).await,
                None => Ok(kept),
            }
        })
    }
}
