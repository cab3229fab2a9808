//! `openshift`: an OpenShift cluster's own accounts, with Dex's keys (dex.md 3.13).
//!
//! The cluster's API says where its OAuth server is, and who a token is of. `groups` restricts at every login and refresh. A user
//! without a UID is none of the cluster's users (`kube:admin` is made up for its installer), and could be anybody's next.

use std::sync::Arc;

use ambient::BoxFuture;
use config::{Fields, HttpUrl, KeyStyle};
use outbound::{Roots, Trust};
use provider::connector::{Hints, Identity, UpstreamError};
use serde::Deserialize;
use url::Url;

use crate::oauth2::{self, ByCode, CodeFlow, Places, Question, Registration, Tokens, Upstream};
use crate::{Built, Given, Kind, root_ca};

pub(crate) const KIND: Kind = Kind { kind: "openshift", keys: KeyStyle::Dex, read, file: file!() };

struct OpenShift {
    flow: CodeFlow,
    user: Url,
    allowed: Vec<String>,
}

#[derive(Deserialize)]
struct User {
    metadata: Metadata,
    /// `null` for somebody who is in none.
    #[serde(default)]
    groups: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    uid: String,
}

fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Built> {
    fields.restricting(&["groups"]);
    let registration = Registration::read(fields, given);
    let issuer: Option<HttpUrl> = fields.required("issuer");
    let api = issuer.map(|issuer| oauth2::rooted(fields, "issuer", issuer.url().clone()));
    let roots = root_ca::one(fields, "rootCA").map_or(Roots::System, Roots::SystemAnd);
    let skip_verify = fields.or("insecureCA", false);
    let client = oauth2::client(fields, given, Trust { roots, skip_verify, ..Trust::default() });
    let allowed = fields.or_default("groups");
    let (api, client) = (api?, client?);
    let document = api.join(".well-known/oauth-authorization-server").ok()?;
    let places = Places::published(document, client.clone(), Arc::clone(&given.context.clock));
    let user = api.join("apis/user.openshift.io/v1/users/~").ok()?;
    let flow = CodeFlow::at(registration?, places, client, given);
    Some(ByCode::built(OpenShift { flow, user, allowed }))
}

impl Upstream for OpenShift {
    fn flow(&self) -> &CodeFlow {
        &self.flow
    }

    fn question(&self, _: Hints) -> Question<'_> {
        Question { scopes: vec!["user:info"], more: Vec::new() }
    }

    fn identify<'a>(
        &'a self,
        tokens: &'a Tokens,
        _: Hints,
    ) -> BoxFuture<'a, Result<Identity, UpstreamError>> {
        Box::pin(async move {
            let user: User = self.flow.api(tokens, &[]).get(&self.user).await?;
            let Metadata { name, uid } = user.metadata;
            if uid.is_empty() || name.is_empty() {
                return Err(UpstreamError::Invalid("the cluster knows no UID of the user".into()));
            }
            let groups = user.groups.unwrap_or_default();
            if !self.allowed.is_empty() && !groups.iter().any(|group| self.allowed.contains(group)) {
                let why = format!("{name:?} is in none of the groups that may come in");
                return Err(UpstreamError::Denied(why));
            }
            Ok(Identity {
                user_id: uid,
                username: name.clone(),
                preferred_username: name.clone(),
                email: name,
                email_verified: false,
                groups,
            })
        })
    }
}
