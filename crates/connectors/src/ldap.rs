//! `ldap`: a directory such as OpenLDAP or Active Directory, with Dex's keys but for Kerberos (dex.md 3.2).
//!
//! Who somebody is, is looked up first, with our own name; then the password is tried by binding as the entry that was
//! found. What was typed is only ever a value in a filter. Whether there is such a person shows neither in the answer nor in
//! the number of questions: for nobody, a name that does not exist is tried. How long the directory itself takes to compare
//! a password is not ours to hide.

mod account;
mod directory;
mod groups;
mod link;
mod settings;

use std::sync::Arc;

use ambient::{BoxFuture, Clock, Random, RandomExt as _, Secret};
use config::{Fields, KeyStyle};
use provider::connector::{
    Connector, Flow, Hints, Identity, PasswordFlow, Refresh, SignedIn, SubjectAudiences, UpstreamError,
};
use serde::{Deserialize, Serialize};
use wire::ldap::{Entry, Filter, escape, unescape};

use crate::{Built, Given, Kind};
use directory::{Directory, Quest};
use settings::{Groups, Settings, Users, is_dn};

pub(crate) const KIND: Kind = Kind { kind: "ldap", keys: KeyStyle::Dex, read, file: file!() };

struct Ldap {
    id: Arc<str>,
    prompt: String,
    users: Users,
    groups: Option<Groups>,
    user_attributes: Vec<String>,
    email_verified: bool,
    directory: Directory,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// What is kept for a refresh, in Dex's form: its name is escaped as in a filter, its entry that of Go's library. Of the
/// entry only the name is needed, and so only that is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    username: String,
    entry: KeptEntry,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeptEntry {
    #[serde(rename = "DN")]
    dn: String,
    #[serde(default, skip_deserializing)]
    attributes: (),
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    let settings = Settings::read(fields)?;
    let user_attributes = settings.user_attributes();
    let Settings { server, bind_dn, bind_pw, prompt, users, groups, email_verified } = settings;
    let (clock, random) = (Arc::clone(&given.context.clock), Arc::clone(&given.context.random));
    let directory = Directory::new(server, bind_dn, bind_pw, given.context.dial.clone(), Arc::clone(&clock));
    let id = Arc::from(given.id);
    let connector =
        Ldap { id, prompt, users, groups, user_attributes, email_verified, directory, clock, random };
    Some(Built { connector: Arc::new(connector), audiences: SubjectAudiences::AnyOf(Arc::from([])) })
}

impl Ldap {
    /// The one entry of that name; none too if there are several, which is for the operator to mend and for nobody to find
    /// out.
    async fn find(&self, name: &str) -> Result<Option<Entry>, UpstreamError> {
        let by_name = self.users.names.iter().map(|attribute| Filter::equals(attribute, name.as_bytes()));
        let quest = Quest {
            base: &self.users.base,
            scope: self.users.scope,
            filter: Filter::all(self.users.filters.iter().cloned().chain([Filter::any(by_name)])),
            attributes: &self.user_attributes,
            at_most: 2,
        };
        let mut found = self.directory.search(&quest).await?;
        if found.len() > 1 {
            tracing::warn!(
                connector = &*self.id,
                "a name that was typed is that of several entries: nobody can use it"
            );
            return Ok(None);
        }
        Ok(found.pop())
    }

    /// Who an entry is.
    async fn identity(&self, entry: &Entry, scopes: Hints) -> Result<Identity, UpstreamError> {
        if let Some(why) = account::closed(entry, self.clock.now()) {
            return Err(UpstreamError::Denied(format!("{:?}: {why}", entry.dn)));
        }
        let needed = |attribute: &str| {
            text(entry, attribute).ok_or_else(|| {
                UpstreamError::Invalid(format!("the entry {:?} has no {attribute} that is a text", entry.dn))
            })
        };
        let optional = |attribute: &Option<String>| attribute.as_deref().map(needed).transpose();
        let users = &self.users;
        let username = optional(&users.name)?.unwrap_or_default();
        let email = match &users.email_suffix {
            Some(suffix) => format!("{username}@{suffix}"),
            None => needed(&users.email)?,
        };
        let groups = match &self.groups {
            Some(groups) if scopes.groups => groups::of(&self.directory, groups, entry).await?,
            _ => Vec::new(),
        };
        Ok(Identity {
            user_id: needed(&users.id)?,
            username,
            preferred_username: optional(&users.preferred_username)?.unwrap_or_default(),
            email,
            email_verified: self.email_verified,
            groups,
        })
    }

    /// The name of an entry that does not exist, so that nobody costs as many questions as somebody.
    fn decoy(&self) -> String {
        let attribute = self.users.names.first().map_or("uid", String::as_str);
        format!("{attribute}={},{}", self.random.hex(16), self.users.base)
    }
}

impl Connector for Ldap {
    fn flow(&self) -> Flow<'_> {
        Flow::Password(self)
    }

    fn refresh(&self) -> Option<&dyn Refresh> {
        Some(self)
    }
}

impl PasswordFlow for Ldap {
    fn prompt(&self) -> &str {
        &self.prompt
    }

    fn login<'a>(
        &'a self,
        scopes: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>> {
        Box::pin(async move {
            let possible = 1..=LONGEST;
            if !possible.contains(&name.len()) || !possible.contains(&password.expose().len()) {
                return Ok(None);
            }
            let Some(entry) = self.find(name).await? else {
                self.directory.check(&self.decoy(), password).await?;
                return Ok(None);
            };
            if !self.directory.check(&entry.dn, password).await? {
                return Ok(None);
            }
            let identity = self.identity(&entry, scopes).await?;
            let kept = if scopes.offline { Kept::of(name, entry.dn)? } else { Secret::default() };
            Ok(Some(SignedIn { identity, kept }))
        })
    }
}

impl Refresh for Ldap {
    fn refresh<'a>(
        &'a self,
        scopes: Hints,
        known: &'a Identity,
        kept: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>> {
        Box::pin(async move {
            let denied = |why: &str| UpstreamError::Denied(why.to_owned());
            let before: Kept =
                serde_json::from_slice(kept).map_err(|_| denied("nothing was kept to look it up by"))?;
            let name = unescape(&before.username).unwrap_or(before.username);
            let entry = self.find(&name).await?.ok_or_else(|| denied("the entry is gone"))?;
            if entry.dn != before.entry.dn {
                return Err(denied("the name is another entry's by now"));
            }
            let identity = self.identity(&entry, scopes).await?;
            SignedIn { identity, kept: Secret::new(kept.to_vec()) }.about(known)
        })
    }
}

impl Kept {
    fn of(name: &str, dn: String) -> Result<Secret<Vec<u8>>, UpstreamError> {
        let kept = Self { username: escape(name), entry: KeptEntry { dn, attributes: () } };
        serde_json::to_vec(&kept).map(Secret::new).map_err(|why| UpstreamError::Invalid(why.to_string()))
    }
}

/// The first value of an attribute, if it is a text and not empty. `DN` is the entry's own name.
fn text(entry: &Entry, attribute: &str) -> Option<String> {
    let value = match entry.values(attribute).first() {
        Some(value) => String::from_utf8(value.clone()).ok()?,
        None if is_dn(attribute) => entry.dn.clone(),
        None => return None,
    };
    Some(value).filter(|value| !value.is_empty())
}

/// Nobody's name or password is longer, and no directory is asked about one that is, in bytes.
const LONGEST: usize = 1024;
