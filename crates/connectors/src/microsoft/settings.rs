//! The keys of `config`.

use config::Fields;
use outbound::{Client, Trust};
use url::Url;

use crate::Given;
use crate::oauth2::{self, Registration};

pub(super) struct Settings {
    pub(super) registration: Registration,
    pub(super) authorize: Url,
    pub(super) token: Url,
    /// Ends in a slash.
    pub(super) graph: Url,
    pub(super) client: Client,
    pub(super) rules: Rules,
}

/// Who may come in, and what is told of them.
pub(super) struct Rules {
    /// One directory, and not everybody's.
    pub(super) own_tenant: bool,
    pub(super) allowed: Vec<String>,
    /// Of the groups, those that are allowed are told and no others.
    pub(super) tell_allowed_alone: bool,
    pub(super) only_security_groups: bool,
    pub(super) groups_by_id: bool,
    pub(super) batches: bool,
    pub(super) email_to_lowercase: bool,
    /// Names count as verified addresses, as they always do in Dex.
    pub(super) email_verified: bool,
    pub(super) preferred_username: PreferredUsername,
    pub(super) scopes: Vec<String>,
    pub(super) prompt: String,
    pub(super) domain_hint: String,
}

/// What `preferred_username` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PreferredUsername {
    None,
    Name,
    Email,
    MailNickname,
    SamAccountName,
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        fields.restricting(&["groups", "tenant"]);
        let registration = Registration::read_with_assertion(fields, given);
        let tenant: String = fields.or_default("tenant");
        let tenant = if tenant.is_empty() { String::from("common") } else { tenant };
        let sound = tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
        if !sound {
            fields.error(
                "has a tenant that is none",
                "write its id, its domain, common, organizations or consumers",
            );
        }
        let own_tenant = !EVERYBODYS.iter().any(|name| name.eq_ignore_ascii_case(&tenant));
        let api = oauth2::base(fields, "apiURL", "https://login.microsoftonline.com");
        let graph = oauth2::base(fields, "graphURL", "https://graph.microsoft.com");
        let client = oauth2::client(fields, given, Trust::default());
        let rules = Rules::read(fields, own_tenant);
        let place = |name: &str| api.as_ref()?.join(&format!("{tenant}/oauth2/v2.0/{name}")).ok();
        let (authorize, token) = (place("authorize"), place("token"));
        Some(Self {
            registration: registration?,
            authorize: authorize.filter(|_| sound)?,
            token: token?,
            graph: graph?,
            client: client?,
            rules,
        })
    }
}

impl Rules {
    fn read(fields: &mut Fields<'_>, own_tenant: bool) -> Self {
        let allowed: Vec<String> = fields.or_default("groups");
        if !allowed.is_empty() && !own_tenant {
            let what = "has groups without a tenant of its own: nobody could be asked for them";
            fields.error(what, "write the tenant, or remove groups");
        }
        let groups_by_id =
            fields.one_of("groupNameFormat", &[("name", false), ("id", true)]).unwrap_or(false);
        if !allowed.is_empty() && !groups_by_id {
            let what =
                "lets people in by the display names of groups, which others may give to groups of their own";
            fields.warning(what, "write groupNameFormat: id, and the ids of the groups");
        }
        let scopes: Vec<String> = fields.or_default("scopes");
        let preferred = [
            ("name", PreferredUsername::Name),
            ("email", PreferredUsername::Email),
            ("mailNickname", PreferredUsername::MailNickname),
            ("onPremisesSamAccountName", PreferredUsername::SamAccountName),
        ];
        Self {
            own_tenant,
            allowed,
            tell_allowed_alone: fields.or("useGroupsAsWhitelist", false),
            only_security_groups: fields.or("onlySecurityGroups", false),
            groups_by_id,
            batches: fields.or("batchGroupLookups", false),
            email_to_lowercase: fields.or("emailToLowercase", false),
            email_verified: fields.or("emailVerified", false),
            preferred_username: fields
                .one_of("preferredUsernameField", &preferred)
                .unwrap_or(PreferredUsername::None),
            scopes: if scopes.is_empty() { vec![String::from("user.read")] } else { scopes },
            prompt: fields.or_default("promptType"),
            domain_hint: fields.or_default("domainHint"),
        }
    }
}

/// Tenants that are no directory, in whatever case; the last is the id of `consumers`.
const EVERYBODYS: [&str; 4] =
    ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"];
