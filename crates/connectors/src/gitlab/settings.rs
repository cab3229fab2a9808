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
    pub(super) believes_email: bool,
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
        // Nobody has an account there without having confirmed an address.
        let everybodys = base.as_ref().is_some_and(|base| base.as_str() == "https://gitlab.com/");
        let believes_email = fields.or("emailVerified", everybodys);
        Some(Self {
            registration: registration?,
            base: base?,
            client: client?,
            allowed,
            login_is_id,
            permissions,
            inherited,
            believes_email,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ambient::Tasks;
    use config::{Environment, Faults, KeyStyle};
    use outbound::Dial;
    use testkit::{FakeClock, SeededRandom};

    use super::*;
    use crate::Context;

    fn believes_email(more: &str) -> bool {
        let clock: Arc<dyn ambient::Clock> = Arc::new(FakeClock::default());
        let context = Context {
            issuer: Arc::from("https://obol.example"),
            clock: Arc::clone(&clock),
            random: Arc::new(SeededRandom::new(1)),
            tasks: Tasks::default(),
            dial: Dial::new(clock),
            mount: "/nowhere".into(),
        };
        let (faults, environment) = (Faults::new(), Environment::default());
        let text = format!("{{clientID: a, clientSecret: b, {more}}}");
        let section = config::parse(&text, &faults).unwrap();
        let given = Given { id: "up", environment: &environment, context: &context };
        let settings = Settings::read(&mut section.fields(KeyStyle::Dex, &faults), &given);
        assert!(!faults.has_errors(), "{faults}");
        settings.unwrap().believes_email
    }

    #[test]
    fn attack_24_gitlab_com_asks_for_confirmation_and_others_may_not() {
        for (config, believed) in [
            ("", true),
            ("baseURL: https://gitlab.com", true),
            ("baseURL: https://gitlab.com/", true),
            ("emailVerified: false", false),
            ("baseURL: http://gitlab.com", false),
            ("baseURL: https://gitlab.com/gitlab", false),
            ("baseURL: https://gitlab.com.example", false),
            ("baseURL: https://gitlab.com:444", false),
            ("baseURL: https://gitlab.example", false),
            ("baseURL: https://gitlab.example, emailVerified: true", true),
        ] {
            assert_eq!(believes_email(config), believed, "{config}");
        }
    }
}
