//! The keys of `config` (dex.md 3.6).

use config::{Field, Fields, Kind, Read};
use outbound::{Client, Roots, Trust};
use url::Url;

use crate::oauth2::{self, Registration};
use crate::{Given, root_ca};

pub(super) struct Settings {
    pub(super) registration: Registration,
    pub(super) places: Places,
    pub(super) client: Client,
    pub(super) allowed: Allowed,
    /// Without an allow-list: all organisations and teams, for who asks for groups.
    pub(super) load_all: bool,
    pub(super) team_names: TeamNames,
    pub(super) login_is_id: bool,
    pub(super) preferred_domain: Option<String>,
    pub(super) enterprise: bool,
}

/// Where GitHub is.
pub(super) struct Places {
    pub(super) authorize: Url,
    pub(super) token: Url,
    /// Ends in a slash.
    pub(super) api: Url,
}

/// Who may come in.
#[derive(Debug)]
pub(super) enum Allowed {
    Everybody,
    /// `orgs`: members of one of them, and there of one of its teams if it lists any.
    Orgs(Vec<Org>),
    /// `org`: its members. Their groups bear the bare names of its teams.
    Legacy(String),
}

#[derive(Debug)]
pub(super) struct Org {
    pub(super) name: String,
    pub(super) teams: Vec<String>,
}

/// Which of its names a team is called by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TeamNames {
    Name,
    Slug,
    Both,
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        fields.restricting(&["org", "orgs"]);
        let registration = Registration::read(fields, given);
        let host: Option<String> = fields.optional("hostName").filter(|host: &String| !host.is_empty());
        let root_ca = root_ca::one(fields, "rootCA");
        if root_ca.is_some() && host.is_none() {
            fields.error(
                "has a rootCA without a hostName",
                "add hostName: github.com is not signed by an own authority",
            );
        }
        let places = Places::of(host.as_deref());
        if places.is_none() {
            fields.error("has a hostName that is no host name", "write it without https:// and path");
        }
        let trust = Trust { roots: root_ca.map_or(Roots::System, Roots::SystemAnd), ..Trust::default() };
        let client = oauth2::client(fields, given, trust);
        let allowed = Allowed::read(fields);
        let load_all = fields.or("loadAllGroups", false);
        let team_names = [("name", TeamNames::Name), ("slug", TeamNames::Slug), ("both", TeamNames::Both)];
        let team_names = fields.one_of("teamNameField", &team_names).unwrap_or(TeamNames::Name);
        let login_is_id = fields.or("useLoginAsID", false);
        if login_is_id {
            let what = "uses logins as IDs: whoever takes over a login that was given up is its former owner";
            fields.warning(what, "remove useLoginAsID");
        }
        let preferred: Option<String> = fields.optional("preferredEmailDomain");
        let preferred_domain = preferred.filter(|domain| !domain.is_empty());
        if preferred_domain.as_ref().is_some_and(|domain| domain.ends_with('*')) {
            fields.error("has a preferredEmailDomain whose last label is *", "write the top-level domain");
        }
        Some(Self {
            registration: registration?,
            places: places?,
            client: client?,
            allowed: allowed?,
            load_all,
            team_names,
            login_is_id,
            preferred_domain,
            enterprise: host.is_some(),
        })
    }
}

impl Places {
    fn of(host: Option<&str>) -> Option<Self> {
        let (site, api) = match host {
            None => (String::from("https://github.com"), String::from("https://api.github.com/")),
            Some(host) if host.contains(['/', '@', '?', '#', '\\']) || host.contains(char::is_whitespace) => {
                return None;
            }
            Some(host) => (format!("https://{host}"), format!("https://{host}/api/v3/")),
        };
        Some(Self {
            authorize: Url::parse(&format!("{site}/login/oauth/authorize")).ok()?,
            token: Url::parse(&format!("{site}/login/oauth/access_token")).ok()?,
            api: Url::parse(&api).ok()?,
        })
    }
}

impl Allowed {
    /// An entry that cannot be read must not become none, and so let everybody in.
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let listed = fields.has("orgs");
        let elements = fields.elements("orgs");
        let orgs: Option<Vec<Org>> = elements.iter().map(Org::read).collect();
        let legacy: Option<String> = fields.optional("org").filter(|name: &String| !name.is_empty());
        let orgs = orgs?;
        match legacy {
            Some(_) if !orgs.is_empty() => {
                fields.error("has both org and orgs", "keep orgs");
                None
            }
            Some(name) if !is_login(&name) => {
                fields.error("has an org that is no organisation's name", "write its name as in its URL");
                None
            }
            Some(name) => {
                fields.warning("has org, which lists teams without their organisation", "write orgs");
                Some(Self::Legacy(name))
            }
            None if orgs.is_empty() => {
                if listed {
                    let what = "has orgs without any: everybody with an account comes in";
                    fields.warning(what, "list them, or remove orgs");
                }
                Some(Self::Everybody)
            }
            None => Some(Self::Orgs(orgs)),
        }
    }
}

impl Read for Org {
    const KIND: Kind = Kind::Section;

    fn read(field: &Field<'_>) -> Option<Self> {
        let mut fields = field.group();
        fields.restricting(&["teams"]);
        let name: Option<String> = fields.required("name");
        let teams: Vec<String> = fields.or_default("teams");
        fields.finish();
        let name = name?;
        if !is_login(&name) {
            field.error("has a name that is no organisation's", "write it as in its URL");
            return None;
        }
        Some(Self { name, teams })
    }
}

/// Whether a text can be the name of a person or an organisation: it goes into paths.
pub(super) fn is_login(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
