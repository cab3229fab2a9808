//! The keys of `config`.

use config::{Base64, Fields};
use outbound::{Client, Roots, Trust};
use url::Url;

use crate::Given;
use crate::oauth2::{self, Registration};

pub(super) struct Settings {
    pub(super) registration: Registration,
    /// Ends in a slash.
    pub(super) base: Url,
    pub(super) client: Client,
    pub(super) allowed: Vec<String>,
    pub(super) login_is_id: bool,
    pub(super) permissions: bool,
    pub(super) inherited: bool,
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        fields.restricting(&["groups"]);
        let registration = Registration::read(fields, given);
        let base = oauth2::base(fields, "baseURL", "https://gitlab.com");
        let ca: Option<Base64> = fields.optional("rootCAData");
        let roots = ca.map_or(Roots::System, |Base64(pem)| Roots::SystemAnd(pem));
        let client = oauth2::client(fields, given, Trust { roots, ..Trust::default() });
        let allowed = fields.or_default("groups");
        let login_is_id = fields.or("useLoginAsID", false);
        if login_is_id {
            let what = "uses logins as IDs: whoever takes over a login that was given up is its former owner";
            fields.warning(what, "remove useLoginAsID");
        }
        let permissions = fields.or("getGroupsPermission", false);
        let inherited = fields.or("inheritedGroups", false);
        Some(Self {
            registration: registration?,
            base: base?,
            client: client?,
            allowed,
            login_is_id,
            permissions,
            inherited,
        })
    }
}
