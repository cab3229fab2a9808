//! Who it is: the arrival from an upstream, or through a proxy before us that says who it is.
//!
//! Each connector has one place to come back to, and it is compared byte for byte as the browser asked for it. So an answer that
//! was sent to another connector's place is nobody's (mix-up, RFC 9700 section 4.4), and a place that a proxy guards has no
//! second spelling that it does not.

use std::sync::Arc;

use url::Url;
use wire::form::Form;

use super::identify::{gone, hints, tell, upstream};
use super::{Notice, Reply, Stop};
use crate::connector::{Flow, Inbound, Opened, in_path};
use crate::error::Fault;
use crate::{Cx, Peer, Provider};

impl Provider {
    /// `/callback` and `/callback/{connector}`; `path` is the request's, as it came. The attempt is this browser's on every way
    /// back: an upstream or a proxy vouches for the person, and not for who sent them here.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn arrive(
        &self,
        peer: &Peer,
        path: &str,
        form: &Form<'_>,
        cookies: Option<&str>,
        inbound: &Inbound<'_>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "login");
        let outcome = async {
            let state = form.get("state").ok_or_else(|| Stop::page(400, Notice::NoState))?;
            let attempt = self.attempt_of(&mut cx, state, cookies)?;
            let living = Arc::clone(&cx.living);
            let opened = living.connector(&attempt.connector).ok_or_else(gone)?;
            let place = place_of(&cx, opened)?;
            if place.path() != path {
                cx.deny("the browser came back to another place than its connector's");
                return Err(gone());
            }
            let arrived = match opened.connector.flow() {
                Flow::Redirect(flow) => {
                    flow.arrive(hints(&attempt), &place, attempt.kept.expose(), form).await
                }
                Flow::Proxied(flow) => flow.arrive(inbound),
                Flow::Password(_) | Flow::None => return Err(gone()),
            };
            let signed_in = arrived.map_err(|error| upstream(&mut cx, &error))?;
            self.signed_in(&mut cx, attempt, signed_in).await
        };
        let outcome = outcome.await;
        tell(cx, outcome)
    }
}

/// Where the browser comes back to.
pub(super) fn place_of(cx: &Cx<'_>, opened: &Opened) -> Result<Url, Stop> {
    let own = match opened.connector.flow() {
        Flow::Proxied(_) => true,
        Flow::Redirect(flow) => flow.has_own_callback(),
        Flow::Password(_) | Flow::None => false,
    };
    let path = if own { format!("/callback/{}", in_path(&opened.id)) } else { String::from("/callback") };
    let internal = |e: url::ParseError| Stop::Fault(Fault::Internal(e.to_string()));
    Url::parse(&cx.settings().issuer.endpoint(&path)).map_err(internal)
}
