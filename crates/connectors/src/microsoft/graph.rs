//! What Microsoft Graph is asked.

use provider::connector::UpstreamError;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::oauth2::Api;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: String,
    pub(super) display_name: Option<String>,
    pub(super) user_principal_name: Option<String>,
    pub(super) mail_nickname: Option<String>,
    pub(super) on_premises_sam_account_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    display_name: Option<String>,
}

/// A list, or a page of one.
#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// Whose token it is.
pub(super) async fn user(api: &Api<'_>, graph: &Url) -> Result<User, UpstreamError> {
    let user: User = api.get(&at(graph, USER)?).await?;
    if user.id.is_empty() {
        return Err(UpstreamError::Invalid("Graph knows no id of the user".into()));
    }
    Ok(user)
}

/// The groups that somebody is in, also through others.
pub(super) async fn group_ids(
    api: &Api<'_>,
    graph: &Url,
    security: bool,
) -> Result<Vec<String>, UpstreamError> {
    let ask = json!({"securityEnabledOnly": security});
    let mut url = at(graph, "v1.0/me/getMemberGroups")?;
    let mut ids = Vec::new();
    for _ in 0..MOST_PAGES {
        let page: Page<String> = api.post(&url, &ask).await?;
        ids.extend(page.value);
        let Some(next) = page.next.filter(|next| !next.is_empty()) else { return Ok(ids) };
        url = Url::parse(&next).map_err(|_| UpstreamError::Invalid("the next page is nowhere".into()))?;
        if url.origin() != graph.origin() {
            return Err(UpstreamError::Invalid("the next page is on another server".into()));
        }
    }
    Err(UpstreamError::Invalid(format!("the groups have more than {MOST_PAGES} pages")))
}

/// What groups are called. One without a name would be missing, and so is none.
pub(super) async fn group_names(
    api: &Api<'_>,
    graph: &Url,
    ids: &[String],
    at_once: usize,
) -> Result<Vec<String>, UpstreamError> {
    let url = at(graph, "v1.0/directoryObjects/getByIds")?;
    let mut names = Vec::with_capacity(ids.len());
    for some in ids.chunks(at_once) {
        let page: Page<Group> = api.post(&url, &json!({"ids": some, "types": ["group"]})).await?;
        for group in page.value {
            let name = group.display_name.filter(|name| !name.is_empty());
            names.push(name.ok_or_else(|| UpstreamError::Invalid("a group has no name".into()))?);
        }
    }
    Ok(names)
}

fn at(graph: &Url, path: &str) -> Result<Url, UpstreamError> {
    graph.join(path).map_err(|_| UpstreamError::Invalid("Graph has no such place".into()))
}

const USER: &str = "v1.0/me?$select=id,displayName,userPrincipalName,mailNickname,onPremisesSamAccountName";
const MOST_PAGES: usize = 50;
