//! `staticClients` (dex.md 2.3).

use std::sync::Arc;

use ambient::Secret;
use config::{Environment, Field, Fields};
use token::Alg;
use url::Url;

use crate::clients::{AccessTokens, Client, Clients, GroupRules};

pub(super) fn read(root: &mut Fields<'_>, environment: &Environment) -> Clients {
    let mut clients: Vec<Client> = Vec::new();
    let Some(list) = root.take("staticClients") else { return Clients::default() };
    for field in list.elements().unwrap_or_default() {
        let Some(client) = one(&field, environment) else { continue };
        if clients.iter().any(|known| known.id == client.id) {
            field.error(
                format!("is a second client with the id {:?}", client.id),
                "give each client its own id",
            );
        }
        clients.push(client);
    }
    for client in &clients {
        for peer in
            client.trusted_peers.iter().filter(|peer| !clients.iter().any(|known| *known.id == ***peer))
        {
            list.warning(
                format!("has a client {:?} that trusts {peer:?}, which is no client", client.id),
                "remove or correct it",
            );
        }
    }
    Clients::new(clients)
}

fn one(field: &Field<'_>, environment: &Environment) -> Option<Client> {
    let mut fields = field.group();
    // What is written and cannot be had is a fault already.
    let (id_written, secret_written) = (fields.has_text("idEnv"), fields.has_text("secretEnv"));
    let id: Option<String> = fields.direct_or_env("id", "idEnv", environment);
    let secret: Option<Secret<String>> = fields.direct_or_env("secret", "secretEnv", environment);
    let secret = secret.filter(|secret| !secret.expose().is_empty());
    let public: bool = fields.or_default("public");
    let id = id.filter(|id| !id.is_empty());
    if id.is_none() && !id_written {
        fields.unfit("id", "write id, or idEnv with the name of an environment variable");
    }
    let name: Option<String> = fields.required("name");
    let client = Client {
        logo: logo(&mut fields),
        name: name.or_else(|| id.clone()).unwrap_or_default(),
        id: Arc::from(id.as_deref().unwrap_or_default()),
        secret: secret.clone(),
        redirect_uris: fields.or_default("redirectURIs"),
        public,
        trusted_peers: fields.or_default("trustedPeers"),
        allowed_connectors: fields.or_default("allowedConnectors"),
        signing_alg: fields
            .one_of("idTokenSignedResponseAlg", &[("RS256", Alg::Rs256), ("ES256", Alg::Es256)]),
        access_tokens: fields
            .one_of("accessTokenFormat", &[("dex", AccessTokens::Dex), ("rfc9068", AccessTokens::Rfc9068)])
            .unwrap_or_default(),
        groups: GroupRules::read(fields.group("groups")),
        own_groups: own_groups(fields.group("clientCredentialsClaims")),
    };
    if secret.is_none() && !public && !secret_written {
        fields
            .unfit("secret", "write secret or secretEnv, or public: true for a client that cannot keep one");
    }
    fields.unsupported(&[
        "mfaChain",
        "ssoSharedWith",
        "postLogoutRedirectURIs",
        "backchannelLogoutURI",
        "refreshTokenLifetime",
    ]);
    fields.finish();
    id.map(|_| client)
}

/// `logoURL`. The consent page comes by https, where browsers show no image that does not.
fn logo(fields: &mut Fields<'_>) -> Option<Url> {
    let written: String = fields.optional("logoURL").filter(|url: &String| !url.is_empty())?;
    let url = Url::parse(&written).ok().filter(|url| url.scheme() == "https" && url.has_host());
    if url.is_none() {
        fields.warning("has a logoURL that is no https URL: it is not shown", "write one");
    }
    url
}

fn own_groups(mut fields: Fields<'_>) -> Vec<String> {
    let groups = fields.or_default("groups");
    fields.finish();
    groups
}
