//! `gitea`: Gitea and Forgejo, with Dex's keys (dex.md 3.8).
//!
//! `orgs` restricts at every login and refresh, and its `teams` too, which Dex does not demand. A server that sends no
//! confirmation mail says of any address that it is verified: it is believed only where `emailVerified` says that it may be.

use ambient::BoxFuture;
use config::{Field, Fields, KeyStyle, Kind as Shape, Read};
use provider::connector::{Hints, Identity, UpstreamError};
use serde::Deserialize;
use url::Url;

use crate::oauth2::{self, Api, ByCode, CodeFlow, Question, Registration, Tokens, Upstream};
use crate::{Built, Given, Kind, root_ca};

pub(crate) const KIND: Kind = Kind { kind: "gitea", keys: KeyStyle::Dex, read, file: file!() };

struct Gitea {
    flow: CodeFlow,
    base: Url,
    orgs: Vec<Org>,
    load_all: bool,
    login_is_id: bool,
    /// The server asks people to confirm their addresses.
    believes_email: bool,
}

/// Who may come in: members of an organisation, and there of one of its teams if it lists any.
struct Org {
    name: String,
    teams: Vec<String>,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    #[serde(default)]
    full_name: String,
    #[serde(default)]
    email: String,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    verified: bool,
}

#[derive(Deserialize)]
struct Team {
    name: String,
    organization: Option<Organization>,
}

#[derive(Deserialize)]
struct Organization {
    /// What older servers call `username`.
    #[serde(alias = "username")]
    name: String,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    fields.restricting(&["orgs"]);
    let registration = Registration::read(fields, given);
    let base = oauth2::base(fields, "baseURL", "https://gitea.com");
    let elements = fields.elements("orgs");
    // An entry that cannot be read must not become none, and so let everybody in.
    let orgs: Option<Vec<Org>> = elements.iter().map(Org::read).collect();
    let load_all = fields.or("loadAllGroups", false);
    let login_is_id = fields.or("useLoginAsID", false);
    if login_is_id {
        let what = "uses logins as IDs: whoever takes over a login that was given up is its former owner";
        fields.warning(what, "remove useLoginAsID");
    }
    let believes_email = fields.or("emailVerified", false);
    let trust = root_ca::trust(fields, root_ca::Machine::Stays);
    let client = oauth2::client(fields, given, trust);
    let (base, registration) = (base?, registration?);
    let authorize = base.join("login/oauth/authorize").ok()?;
    let token = base.join("login/oauth/access_token").ok()?;
    let flow = CodeFlow::new(registration, authorize, token, client?, given);
    Some(ByCode::built(Gitea { flow, base, orgs: orgs?, load_all, login_is_id, believes_email }))
}

impl Read for Org {
    const KIND: Shape = Shape::Section;

    fn read(field: &Field<'_>) -> Option<Self> {
        let mut fields = field.group();
        fields.restricting(&["teams"]);
        let name: Option<String> = fields.required("name");
        let teams = fields.or_default("teams");
        fields.finish();
        Some(Self { name: name.filter(|name| !name.is_empty())?, teams })
    }
}

impl Gitea {
    /// `org` and `org:team`: of the organisations that are listed, or of all where that is wanted.
    async fn groups(&self, api: &Api<'_>, user: &User) -> Result<Vec<String>, UpstreamError> {
        if self.orgs.is_empty() && !self.load_all {
            return Ok(Vec::new());
        }
        let mut groups = Vec::new();
        for team in self.teams(api).await? {
            let Some(org) = team.organization.map(|org| org.name) else { continue };
            let named = self.orgs.iter().find(|known| known.name.eq_ignore_ascii_case(&org));
            let wanted = match named {
                Some(known) => known.teams.is_empty() || known.teams.contains(&team.name),
                None => self.orgs.is_empty(),
            };
            if wanted {
                groups.extend((!groups.contains(&org)).then(|| org.clone()));
                groups.push(format!("{org}:{}", team.name));
            }
        }
        if groups.is_empty() && !self.orgs.is_empty() {
            let why = format!("{:?} is in none of the organisations and teams that may come in", user.login);
            return Err(UpstreamError::Denied(why));
        }
        Ok(groups)
    }

    /// All pages; the one behind the last is empty.
    async fn teams(&self, api: &Api<'_>) -> Result<Vec<Team>, UpstreamError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let some: Vec<Team> = api.get(&self.at(&format!("user/teams?page={page}&limit=20"))?).await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
        }
        Err(UpstreamError::Invalid(format!("the user's teams have more than {MOST_PAGES} pages")))
    }

    fn at(&self, path: &str) -> Result<Url, UpstreamError> {
        let nowhere = |_| UpstreamError::Invalid("the server has no such place".into());
        self.base.join(&format!("api/v1/{path}")).map_err(nowhere)
    }
}

impl Upstream for Gitea {
    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, _: Hints) -> Question<'_> {
        Question::default()
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        _: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let api = self.flow.api(tokens, &[]);
            let user: User = api.get(&self.at("user")?).await?;
            let groups = self.groups(&api, &user).await?;
            let emails: Vec<Email> = api.get(&self.at("user/emails")?).await?;
            let confirmed = emails.iter().any(|one| one.verified && one.email == user.email);
            Ok(Identity {
                user_id: if self.login_is_id { user.login.clone() } else { user.id.to_string() },
                username: if user.full_name.is_empty() { user.login.clone() } else { user.full_name },
                preferred_username: user.login,
                email_verified: self.believes_email && confirmed,
                email: user.email,
                groups,
            })
        })
    }
}

const MOST_PAGES: usize = 100;
