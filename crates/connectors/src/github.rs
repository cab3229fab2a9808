//! `github`: GitHub, or an Enterprise server, with Dex's keys (dex.md 3.6).
//!
//! Who may come in is asked of GitHub at every login and refresh, whatever scopes a client wants (weakness K2). An address
//! counts as verified if GitHub says so of that address, and not otherwise.

mod settings;

use ambient::BoxFuture;
use config::{Fields, KeyStyle};
use http::StatusCode;
use provider::connector::{Hints, Identity, UpstreamError};
use serde::Deserialize;
use url::Url;

use crate::oauth2::{Api, ByCode, CodeFlow, Question, Tokens, Upstream, of_status};
use crate::{Built, Given, Kind};
use settings::{Allowed, Org, Settings, TeamNames, is_login};

pub(crate) const KIND: Kind = Kind { kind: "github", keys: KeyStyle::Dex, read, file: file!() };

struct GitHub {
    flow: CodeFlow,
    api: Url,
    allowed: Allowed,
    load_all: bool,
    team_names: TeamNames,
    login_is_id: bool,
    preferred_domain: Option<String>,
    enterprise: bool,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    verified: bool,
    primary: bool,
}

#[derive(Deserialize)]
struct Team {
    name: String,
    slug: String,
    organization: Organization,
}

#[derive(Deserialize)]
struct Organization {
    login: String,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let Settings {
        registration,
        places,
        client,
        allowed,
        load_all,
        team_names,
        login_is_id,
        preferred_domain,
        enterprise,
    } = Settings::read(fields, given)?;
    let flow = CodeFlow::new(registration, places.authorize, places.token, client, given);
    let api = places.api;
    let connector =
        GitHub { flow, api, allowed, load_all, team_names, login_is_id, preferred_domain, enterprise };
    Some(ByCode::built(connector))
}

impl GitHub {
    /// The address of a preferred domain, else the public one, else the primary one; and whether GitHub has verified it.
    async fn email(&self, api: &Api<'_>, public: Option<&str>) -> Result<(String, bool), UpstreamError> {
        let emails: Vec<Email> = api.pages(self.at("user/emails", &[])?).await?;
        let preferred = self.preferred_domain.as_deref().and_then(|pattern| {
            emails
                .iter()
                .find(|one| one.verified && domain(&one.email).is_some_and(|own| matches(pattern, own)))
        });
        let primary = || {
            // An Enterprise server may verify none at all.
            emails.iter().find(|one| one.primary && (one.verified || self.enterprise))
        };
        let public = public.filter(|address| !address.is_empty() && self.preferred_domain.is_none());
        let address = match (preferred, public) {
            (Some(one), _) => one.email.as_str(),
            (None, Some(address)) => address,
            (None, None) => primary().map(|one| one.email.as_str()).ok_or_else(|| {
                UpstreamError::Denied("the user has no verified primary e-mail address".into())
            })?,
        };
        let verified = emails.iter().any(|one| one.verified && one.email == address);
        Ok((address.to_owned(), verified))
    }

    /// `org:team` of the organisations that are listed; nobody comes in who is in none of them.
    async fn groups_of(
        &self,
        api: &Api<'_>,
        user: &User,
        orgs: &[Org],
    ) -> Result<Vec<String>, UpstreamError> {
        let (mut groups, mut teams, mut may_enter) = (Vec::new(), None, false);
        for org in orgs {
            if !self.is_member(api, &user.login, &org.name).await? {
                continue;
            }
            if teams.is_none() {
                teams = Some(self.teams(api).await?);
            }
            let own = self.names(teams.as_deref().unwrap_or_default(), &org.name);
            let own: Vec<_> =
                own.into_iter().filter(|team| org.teams.is_empty() || org.teams.contains(team)).collect();
            may_enter |= org.teams.is_empty() || !own.is_empty();
            groups.extend(own.into_iter().map(|team| format!("{}:{team}", org.name)));
        }
        if may_enter { Ok(groups) } else { Err(not_allowed(user)) }
    }

    /// The bare names of an organisation's teams. That its members alone come in is what Dex left out.
    async fn teams_of_legacy(
        &self,
        api: &Api<'_>,
        user: &User,
        org: &str,
    ) -> Result<Vec<String>, UpstreamError> {
        if !self.is_member(api, &user.login, org).await? {
            return Err(not_allowed(user));
        }
        Ok(self.names(&self.teams(api).await?, org))
    }

    /// `org` and `org:team` of all of the user's organisations.
    async fn all_groups(&self, api: &Api<'_>) -> Result<Vec<String>, UpstreamError> {
        let orgs: Vec<Organization> = api.pages(self.at("user/orgs", &[])?).await?;
        let teams = self.teams(api).await?;
        let of_org = |org: Organization| {
            let teams =
                self.names(&teams, &org.login).into_iter().map(|team| format!("{}:{team}", org.login));
            std::iter::once(org.login.clone()).chain(teams.collect::<Vec<_>>())
        };
        Ok(orgs.into_iter().flat_map(of_org).collect())
    }

    async fn teams(&self, api: &Api<'_>) -> Result<Vec<Team>, UpstreamError> {
        api.pages(self.at("user/teams", &[])?).await
    }

    /// What the teams of an organisation are called. GitHub's names of organisations have no case.
    fn names(&self, teams: &[Team], org: &str) -> Vec<String> {
        let own = teams.iter().filter(|team| team.organization.login.eq_ignore_ascii_case(org));
        own.flat_map(|team| match self.team_names {
            TeamNames::Name => vec![team.name.clone()],
            TeamNames::Slug => vec![team.slug.clone()],
            TeamNames::Both => vec![team.name.clone(), team.slug.clone()],
        })
        .collect()
    }

    /// 204: yes. 404: no. 302: whoever asks is no member of it, and so the user is not.
    async fn is_member(&self, api: &Api<'_>, login: &str, org: &str) -> Result<bool, UpstreamError> {
        let answer = api.status(&self.at("orgs", &[org, "members", login])?).await?;
        match answer.status {
            StatusCode::NO_CONTENT => Ok(true),
            StatusCode::FOUND | StatusCode::NOT_FOUND => Ok(false),
            _ => Err(of_status(&answer, "the list of members")),
        }
    }

    fn at(&self, path: &str, more: &[&str]) -> Result<Url, UpstreamError> {
        let no_url = || UpstreamError::Invalid("GitHub's API has no such place".into());
        let mut url = self.api.join(path).map_err(|_| no_url())?;
        if more.is_empty() {
            url.set_query((path != "user").then_some("per_page=100"));
        } else {
            url.path_segments_mut().map_err(|()| no_url())?.extend(more);
        }
        Ok(url)
    }
}

impl Upstream for GitHub {
    const HINT: Option<&'static str> = Some("login");

    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, scopes: Hints) -> Question<'_> {
        let restricted = !matches!(self.allowed, Allowed::Everybody);
        let orgs = (restricted || scopes.groups).then_some("read:org");
        Question { scopes: std::iter::once("user:email").chain(orgs).collect(), more: Vec::new() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        scopes: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let api = self.flow.api(tokens, &[("x-github-api-version", "2022-11-28")]);
            let user: User = api.get(&self.at("user", &[])?).await?;
            if !is_login(&user.login) {
                return Err(UpstreamError::Invalid("the user's login is none".into()));
            }
            let groups = match &self.allowed {
                Allowed::Orgs(orgs) => self.groups_of(&api, &user, orgs).await?,
                Allowed::Legacy(org) => self.teams_of_legacy(&api, &user, org).await?,
                Allowed::Everybody if self.load_all && scopes.groups => self.all_groups(&api).await?,
                Allowed::Everybody => Vec::new(),
            };
            let (email, email_verified) = self.email(&api, user.email.as_deref()).await?;
            let name = user.name.filter(|name| !name.is_empty());
            Ok(Identity {
                user_id: if self.login_is_id { user.login.clone() } else { user.id.to_string() },
                username: name.unwrap_or_else(|| user.login.clone()),
                preferred_username: user.login,
                email,
                email_verified,
                groups,
            })
        })
    }
}

fn not_allowed(user: &User) -> UpstreamError {
    UpstreamError::Denied(format!(
        "{:?} is in none of the organisations and teams that may come in",
        user.login
    ))
}

/// The domain of an address with exactly one `@`.
fn domain(address: &str) -> Option<&str> {
    address
        .split_once('@')
        .map(|(_, domain)| domain)
        .filter(|domain| !domain.contains('@') && !domain.is_empty())
}

/// Label by label; `*` is any one.
fn matches(pattern: &str, domain: &str) -> bool {
    let (pattern, domain) = (pattern.split('.'), domain.split('.'));
    pattern.clone().count() == domain.clone().count()
        && pattern.zip(domain).all(|(wanted, label)| wanted == "*" || wanted.eq_ignore_ascii_case(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_24_a_domain_is_what_stands_behind_the_only_at() {
        for (address, pattern, good) in [
            ("a@example.com", "example.com", true),
            ("a@Example.com", "example.com", true),
            ("a@example.com@evil.com", "example.com", false),
            ("a@evil.com@example.com", "example.com", false),
            ("a@x.example.com", "*.example.com", true),
            ("a@x.y.example.com", "*.example.com", false),
            ("a@example.com", "*.example.com", false),
            ("a@evilexample.com", "example.com", false),
            ("example.com", "example.com", false),
            ("a@", "", false),
        ] {
            assert_eq!(domain(address).is_some_and(|own| matches(pattern, own)), good, "{address} {pattern}");
        }
    }
}
