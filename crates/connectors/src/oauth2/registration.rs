//! The keys by which an upstream knows us.

use std::path::PathBuf;

use ambient::Secret;
use config::Fields;
use provider::connector::in_path;

use crate::Given;

/// `clientID`, `clientSecret` and `redirectURI`.
pub(crate) struct Registration {
    pub(super) client_id: String,
    pub(super) proof: Proof,
    pub(super) callback: Callback,
}

/// Where the browser comes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callback {
    /// `/callback`, as all of Dex's do.
    Shared,
    /// `/callback/{connector}`
    Own,
}

/// What shows that it is us.
pub(super) enum Proof {
    Secret(Secret<String>),
    /// A JWT in a file that somebody else renews (RFC 7523 section 2.2), so it is read each time.
    AssertionFile(PathBuf),
}

impl Registration {
    pub(crate) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        let secret: Option<Secret<String>> = fields.required("clientSecret");
        Self::with(fields, given, Proof::Secret(secret.unwrap_or_default()))
    }

    /// With `clientAssertion` in the place of a secret, if it is there.
    pub(crate) fn read_with_assertion(fields: &mut Fields<'_>, given: &Given<'_>) -> Option<Self> {
        let secret: Secret<String> = fields.or_default("clientSecret");
        let file: String = fields.or_default("clientAssertion");
        let proof = if file.is_empty() { Proof::Secret(secret) } else { Proof::AssertionFile(file.into()) };
        Self::with(fields, given, proof)
    }

    fn with(fields: &mut Fields<'_>, given: &Given<'_>, proof: Proof) -> Option<Self> {
        let client_id: Option<String> = fields.required("clientID");
        let callback = Callback::read(fields, given);
        let client_id = client_id?;
        if client_id.is_empty() || matches!(&proof, Proof::Secret(secret) if secret.expose().is_empty()) {
            fields.error("has an empty clientID or clientSecret", "write what the upstream gave you");
            return None;
        }
        Some(Self { client_id, proof, callback })
    }
}

impl Callback {
    /// `redirectURI`. Dex answers 500 to every login if this is not right; nobody needs to wait for that.
    pub(crate) fn read(fields: &mut Fields<'_>, given: &Given<'_>) -> Self {
        let written = fields.optional::<String>("redirectURI").filter(|uri| !uri.is_empty());
        let Some(written) = written.filter(|_| !given.context.issuer.is_empty()) else {
            return Self::Shared;
        };
        let shared = format!("{}/callback", given.context.issuer.trim_end_matches('/'));
        let own = format!("{shared}/{}", in_path(given.id));
        if written == own && !given.id.is_empty() {
            return Self::Own;
        }
        if written != shared {
            fields.error(
                format!("has the redirectURI {written:?}, which is not our callback"),
                format!("write {shared}, or {own} for one of its own"),
            );
        }
        Self::Shared
    }
}
