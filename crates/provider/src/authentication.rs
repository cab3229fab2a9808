//! Who asks, at the endpoints that programs call: client authentication, with its failures limited.

use std::sync::Arc;

use wire::form::Form;

use crate::Cx;
use crate::clients::{Client, Credentials};
use crate::error::Error;
use crate::limits::Door;

impl Cx<'_> {
    /// The client that a request comes from.
    ///
    /// # Errors
    /// `invalid_client` and `invalid_request` as [`Credentials::read`] says; [`crate::error::Fault::TooMany`].
    pub(crate) fn authenticate(
        &mut self,
        authorization: Option<&str>,
        form: &Form<'_>,
    ) -> Result<Arc<Client>, Error> {
        let credentials = Credentials::read(authorization, form)?;
        let id = credentials.id();
        // Before it has proven anything: an operator must see at whose door somebody rattles.
        self.decision.client = self.settings().clients.find(id).map(|known| Arc::clone(&known.id));
        // Who presents no secret guesses none: no count is kept, and nobody else's lock is waited for.
        if matches!(credentials, Credentials::Name { .. }) {
            return Ok(self.living.settings.clients.authenticate(&credentials)?);
        }
        let now = self.provider.around.clock.monotonic();
        let attempt = self.provider.limits.admit(now, Door::ClientSecret, self.decision.address, id)?;
        let client = self.living.settings.clients.authenticate(&credentials)?;
        attempt.give_back();
        Ok(client)
    }
}
