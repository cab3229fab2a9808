//! `microsoft`: Entra ID and personal accounts, with Dex's keys (dex.md 3.10).
//!
//! `groups` restricts at every login and refresh, whatever scopes a client wants, and needs a tenant of one's own, since only
//! there Graph knows groups (weakness K2: Dex lets everybody in where it cannot ask). A user principal name is no address that
//! anybody has checked (weakness K5).

mod graph;
mod settings;

use ambient::BoxFuture;
use config::{Fields, KeyStyle};
use provider::connector::{Hints, Identity, UpstreamError};
use url::Url;

use crate::oauth2::{Api, ByCode, CodeFlow, Question, Tokens, Upstream};
use crate::{Built, Given, Kind};
use settings::{PreferredUsername, Rules, Settings};

pub(crate) const KIND: Kind = Kind { kind: "microsoft", keys: KeyStyle::Dex, read, file: file!() };

struct Microsoft {
    flow: CodeFlow,
    graph: Url,
    rules: Rules,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let Settings { registration, authorize, token, graph, client, rules } = Settings::read(fields, given)?;
    let flow = CodeFlow::new(registration, authorize, token, client, given);
    Some(ByCode::built(Microsoft { flow, graph, rules }))
}

impl Microsoft {
    /// Whether groups are needed: to be told, or to be judged by. Only a tenant of one's own has any.
    fn wants_groups(&self, scopes: Hints) -> bool {
        self.rules.own_tenant && (scopes.groups || !self.rules.allowed.is_empty())
    }

    async fn groups(&self, api: &Api<'_>) -> Result<Vec<String>, UpstreamError> {
        let ids = graph::group_ids(api, &self.graph, self.rules.only_security_groups).await?;
        let found = if self.rules.groups_by_id {
            ids
        } else {
            let at_once = if self.rules.batches { BATCH } else { ids.len().max(1) };
            graph::group_names(api, &self.graph, &ids, at_once).await?
        };
        if self.rules.allowed.is_empty() {
            return Ok(found);
        }
        let own: Vec<String> =
            found.iter().filter(|name| self.rules.allowed.contains(name)).cloned().collect();
        if own.is_empty() {
            return Err(UpstreamError::Denied("the user is in none of the groups that may come in".into()));
        }
        Ok(if self.rules.tell_allowed_alone { own } else { found })
    }
}

impl Upstream for Microsoft {
    const HINT: Option<&'static str> = Some("login_hint");

    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, scopes: Hints) -> Question<'_> {
        let mut asked: Vec<&str> = self.rules.scopes.iter().map(String::as_str).collect();
        asked.extend(self.wants_groups(scopes).then_some("directory.read.all"));
        asked.extend(scopes.offline.then_some("offline_access"));
        let more = [("prompt", self.rules.prompt.as_str()), ("domain_hint", self.rules.domain_hint.as_str())];
        Question { scopes: asked, more: more.into_iter().filter(|(_, value)| !value.is_empty()).collect() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        scopes: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let api = self.flow.api(tokens, &[]);
            let user = graph::user(&api, &self.graph).await?;
            let groups = if self.wants_groups(scopes) { self.groups(&api).await? } else { Vec::new() };
            let principal = user.user_principal_name.unwrap_or_default();
            let email = if self.rules.email_to_lowercase { principal.to_lowercase() } else { principal };
            let name = user.display_name.unwrap_or_default();
            let preferred = match self.rules.preferred_username {
                PreferredUsername::None => String::new(),
                PreferredUsername::Name => name.clone(),
                PreferredUsername::Email => email.clone(),
                PreferredUsername::MailNickname => user.mail_nickname.unwrap_or_default(),
                PreferredUsername::SamAccountName => user.on_premises_sam_account_name.unwrap_or_default(),
            };
            Ok(Identity {
                user_id: user.id,
                username: name,
                preferred_username: preferred,
                email_verified: self.rules.email_verified && !email.is_empty(),
                email,
                groups,
            })
        })
    }
}

/// What `getByIds` takes.
const BATCH: usize = 1000;
