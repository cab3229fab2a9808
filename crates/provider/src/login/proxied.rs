//! Who it is, as a proxy before us says.

use std::sync::Arc;

use wire::form::Form;

use super::identify::{gone, tell, upstream};
use super::{Reply, Stop};
use crate::connector::{Flow, Inbound};
use crate::{Peer, Provider};

impl Provider {
    /// `/callback/{connector}`: back through a proxy. The attempt is this browser's, as on every other way back: a proxy vouches for
    /// the person, and not for who sent them here.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn proxied(
        &self,
        peer: &Peer,
        connector: &str,
        form: &Form<'_>,
        cookies: Option<&str>,
        inbound: &Inbound<'_>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "login");
        let outcome = async {
            let state = form.get("state").ok_or_else(gone)?;
            let attempt = self.attempt_of(&mut cx, state, cookies)?;
            let living = Arc::clone(&cx.living);
            let opened = living.connector(&attempt.connector).filter(|opened| *opened.id == *connector);
            let Flow::Proxied(flow) = opened.ok_or_else(gone)?.connector.flow() else { return Err(gone()) };
            let signed_in = flow.arrive(inbound).map_err(|error| upstream(&mut cx, &error))?;
            self.signed_in(&mut cx, attempt, signed_in).await
        };
        let outcome = outcome.await;
        tell(cx, outcome)
    }
}
