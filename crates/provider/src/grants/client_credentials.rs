//! RFC 6749 section 4.4: a confidential client as itself (dex.md 1.13).

use std::sync::Arc;

use ambient::BoxFuture;
use wire::dex::Pair;
use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::{Demands, Grant};
use crate::Cx;
use crate::clients::Client;
use crate::connector::Identity;
use crate::error::{Error, Refusal};
use crate::issue::{Products, Profile, Proof};
use crate::scope::{FEDERATED, OFFLINE, OPENID, Scopes};

/// See the module.
pub(super) struct ClientCredentials;

impl Grant for ClientCredentials {
    fn kind(&self) -> &'static str {
        grant_type::CLIENT_CREDENTIALS
    }

    fn demands(&self) -> Demands {
        Demands::ConfidentialClient
    }

    fn prove<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
        form: &'a Form<'_>,
        client: &'a Arc<Client>,
    ) -> BoxFuture<'a, Result<Proof, Error>> {
        Box::pin(async move {
            let scopes = Scopes::parse(form.get("scope").unwrap_or_default())?;
            if scopes.has(OFFLINE) || scopes.has(FEDERATED) {
                return Err(Refusal::new(
                    ErrorCode::InvalidScope,
                    "a client has no session and no upstream identity",
                )
                .into());
            }
            let settings = cx.settings();
            Ok(Proof {
                subject: Pair::new(&*client.id, "").encode(),
                profile: Profile::by_scopes(&itself(client), &scopes),
                federated: None,
                free: Vec::new(),
                audience: scopes.audience(client, &settings.clients)?,
                client: Arc::clone(&client.id),
                nonce: form.get("nonce").map(str::to_owned),
                auth_time: None,
                lifetime: settings.expiry.id_tokens,
                not_after: None,
                alg: None,
                products: Products::Session { id_token: scopes.has(OPENID), refresh: None },
                scopes,
                spend: None,
                policy: None,
                once: None,
                grant: None,
            })
        })
    }
}

fn itself(client: &Client) -> Identity {
    Identity {
        user_id: client.id.to_string(),
        username: client.name.clone(),
        preferred_username: client.name.clone(),
        groups: client.own_groups.clone(),
        ..Identity::default()
    }
}
