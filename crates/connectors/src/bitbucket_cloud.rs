//! `bitbucket-cloud`: Bitbucket Cloud, with Dex's keys (dex.md 3.9).
//!
//! Groups are the slugs of workspaces. `teams` restricts at every login and refresh, whatever scopes a client wants. The address is
//! the primary one, which Bitbucket has had confirmed, or nobody comes in.

use ambient::BoxFuture;
use config::{Fields, KeyStyle};
use outbound::Trust;
use provider::connector::{Hints, Identity, UpstreamError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::oauth2::{self, Api, ByCode, CodeFlow, Question, Registration, Tokens, Upstream};
use crate::{Built, Given, Kind};

pub(crate) const KIND: Kind = Kind { kind: "bitbucket-cloud", keys: KeyStyle::Dex, read, file: file!() };

struct BitbucketCloud {
    flow: CodeFlow,
    api: Url,
    allowed: Vec<String>,
    permissions: bool,
}

#[derive(Deserialize)]
struct User {
    uuid: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    display_name: String,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    is_primary: bool,
    is_confirmed: bool,
}

/// A workspace, or an entry that holds one.
#[derive(Deserialize)]
struct Membership {
    #[serde(default)]
    slug: Option<String>,
    #[serde(default)]
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    slug: String,
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
}

/// A page of a list, with the address of the next one.
#[derive(Deserialize)]
struct Page<T> {
    values: Vec<T>,
    #[serde(default)]
    next: Option<String>,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    fields.restricting(&["teams"]);
    let registration = Registration::read(fields, given);
    let site = oauth2::base(fields, "baseURL", "https://bitbucket.org");
    let api = oauth2::base(fields, "apiURL", "https://api.bitbucket.org");
    let client = oauth2::client(fields, given, Trust::default());
    let allowed = fields.or_default("teams");
    let permissions = fields.or("getWorkspacePermissions", false);
    fields.unsupported(&["includeTeamGroups"]);
    let (site, registration) = (site?, registration?);
    let authorize = site.join("site/oauth2/authorize").ok()?;
    let token = site.join("site/oauth2/access_token").ok()?;
    let flow = CodeFlow::new(registration, authorize, token, client?, given);
    Some(ByCode::built(BitbucketCloud { flow, api: api?, allowed, permissions }))
}

impl BitbucketCloud {
    /// The address that is primary and confirmed.
    async fn email(&self, api: &Api<'_>) -> Result<String, UpstreamError> {
        let emails: Vec<Email> = self.all(api, "2.0/user/emails").await?;
        let primary = emails.into_iter().find(|one| one.is_primary && one.is_confirmed);
        primary
            .map(|one| one.email)
            .ok_or_else(|| UpstreamError::Denied("the user has no confirmed primary e-mail address".into()))
    }

    /// The workspaces, of which one must be allowed; then no others are told, as in Dex.
    async fn groups(&self, api: &Api<'_>) -> Result<Vec<String>, UpstreamError> {
        let found: Vec<Membership> = self.all(api, "2.0/user/workspaces").await?;
        let mut groups = Vec::with_capacity(found.len());
        for one in found {
            let slug = one.workspace.map(|workspace| workspace.slug).or(one.slug);
            let slug = slug.filter(|slug| is_slug(slug));
            let slug = slug.ok_or_else(|| UpstreamError::Invalid("a workspace has no slug".into()))?;
            let permission = match self.permissions {
                true => Some(self.permission(api, &slug).await?),
                false => None,
            };
            groups.push(slug.clone());
            groups.extend(permission.map(|permission| format!("{slug}:{permission}")));
        }
        if self.allowed.is_empty() {
            return Ok(groups);
        }
        groups.retain(|group| self.allowed.contains(group));
        if groups.is_empty() {
            return Err(UpstreamError::Denied("the user is in none of the teams that may come in".into()));
        }
        Ok(groups)
    }

    async fn permission(&self, api: &Api<'_>, slug: &str) -> Result<String, UpstreamError> {
        let said: Permission = api.get(&self.at(&format!("2.0/user/workspaces/{slug}/permission"))?).await?;
        Ok(said.permission)
    }

    /// All pages of a list. One without end is none.
    async fn all<T: DeserializeOwned>(&self, api: &Api<'_>, path: &str) -> Result<Vec<T>, UpstreamError> {
        let mut url = self.at(path)?;
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let page: Page<T> = api.get(&url).await?;
            all.extend(page.values);
            let Some(next) = page.next.filter(|next| !next.is_empty()) else { return Ok(all) };
            url = Url::parse(&next).map_err(|_| UpstreamError::Invalid("the next page is nowhere".into()))?;
            if url.origin() != self.api.origin() {
                return Err(UpstreamError::Invalid("the next page is on another server".into()));
            }
        }
        Err(UpstreamError::Invalid(format!("{path} has more than {MOST_PAGES} pages")))
    }

    fn at(&self, path: &str) -> Result<Url, UpstreamError> {
        self.api.join(path).map_err(|_| UpstreamError::Invalid("Bitbucket has no such place".into()))
    }
}

impl Upstream for BitbucketCloud {
    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, _: Hints) -> Question<'_> {
        Question { scopes: vec!["account", "email"], more: Vec::new() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        scopes: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let api = self.flow.api(tokens, &[]);
            let user: User = api.get(&self.at("2.0/user")?).await?;
            if user.uuid.is_empty() {
                return Err(UpstreamError::Invalid("Bitbucket knows no id of the user".into()));
            }
            let email = self.email(&api).await?;
            let wants_groups = scopes.groups || !self.allowed.is_empty();
            let groups = if wants_groups { self.groups(&api).await? } else { Vec::new() };
            Ok(Identity {
                user_id: user.uuid,
                username: if user.username.is_empty() { user.display_name } else { user.username },
                preferred_username: String::new(),
                email,
                email_verified: true,
                groups,
            })
        })
    }
}

/// It goes into paths.
fn is_slug(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

const MOST_PAGES: usize = 50;
