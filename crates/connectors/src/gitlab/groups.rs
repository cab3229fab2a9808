//! Groups, with what somebody may do in them if that is wanted.

use http::StatusCode;
use provider::connector::UpstreamError;
use serde::Deserialize;
use url::Url;

use crate::oauth2::{Api, of_status, parsed};

/// What UserInfo says.
#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default, rename = "https://gitlab.org/claims/groups/owner")]
    owner: Vec<String>,
    #[serde(default, rename = "https://gitlab.org/claims/groups/maintainer")]
    maintainer: Vec<String>,
    #[serde(default, rename = "https://gitlab.org/claims/groups/developer")]
    developer: Vec<String>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    full_path: String,
}

#[derive(Deserialize)]
struct Member {
    access_level: u64,
    /// Absent where nobody has to be let in by anybody.
    #[serde(default)]
    membership_state: Option<String>,
}

/// The groups that UserInfo names, and `group:permission` for those it gives one in.
pub(super) async fn of_userinfo(
    api: &Api<'_>,
    url: &Url,
    id: u64,
    permissions: bool,
) -> Result<Vec<String>, UpstreamError> {
    let said: UserInfo = api.get(url).await?;
    if said.sub != id.to_string() {
        return Err(UpstreamError::Invalid("UserInfo speaks of somebody else than the API".into()));
    }
    let mut groups = said.groups.clone();
    if permissions {
        let kinds =
            [("owner", &said.owner), ("maintainer", &said.maintainer), ("developer", &said.developer)];
        for group in &said.groups {
            // A permission in a group is one in those below it.
            let above = |own: &String| {
                group == own || group.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'))
            };
            let kind = kinds.iter().find(|(_, of)| of.iter().any(above));
            groups.extend(kind.map(|(name, _)| format!("{group}:{name}")));
        }
    }
    Ok(groups)
}

/// All groups that somebody is in, also because of one above or one that was invited. The list alone would not do: it holds
/// the groups of projects too that somebody may only look into.
pub(super) async fn inherited(
    api: &Api<'_>,
    base: &Url,
    id: u64,
    permissions: bool,
    matters: impl Fn(&str) -> bool,
) -> Result<Vec<String>, UpstreamError> {
    let nowhere = || UpstreamError::Invalid("GitLab has no such place".into());
    let first = base.join("api/v4/groups?all_available=false&per_page=100").map_err(|_| nowhere())?;
    let found: Vec<Group> = api.pages(first).await?;
    let mut groups = Vec::with_capacity(found.len());
    for group in found.into_iter().filter(|group| matters(&group.full_path)) {
        let Some(member) = membership(api, base, group.id, id).await? else { continue };
        let permission = name(member.access_level).filter(|_| permissions);
        groups.push(group.full_path.clone());
        groups.extend(permission.map(|name| format!("{}:{name}", group.full_path)));
    }
    Ok(groups)
}

/// What somebody is in a group. Who is none, or may not know it, is no member; nor is who still waits to be let in.
async fn membership(
    api: &Api<'_>,
    base: &Url,
    group: u64,
    user: u64,
) -> Result<Option<Member>, UpstreamError> {
    let nowhere = |_| UpstreamError::Invalid("GitLab has no such place".into());
    let url = base.join(&format!("api/v4/groups/{group}/members/all/{user}")).map_err(nowhere)?;
    let answer = api.status(&url).await?;
    match answer.status {
        StatusCode::OK => {
            let member = parsed::<Member>(&answer, &url)?;
            let is_in = member.membership_state.as_deref().is_none_or(|state| state == "active");
            Ok(Some(member).filter(|member| is_in && member.access_level > NO_ACCESS))
        }
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(None),
        _ => Err(of_status(&answer, url.path())),
    }
}

/// GitLab's levels; one that is not known is none.
const fn name(level: u64) -> Option<&'static str> {
    Some(match level {
        5 => "minimal_access",
        10 => "guest",
        15 => "planner",
        20 => "reporter",
        25 => "security_manager",
        30 => "developer",
        40 => "maintainer",
        50 => "owner",
        60 => "admin",
        _ => return None,
    })
}

/// Below every level.
const NO_ACCESS: u64 = 0;
