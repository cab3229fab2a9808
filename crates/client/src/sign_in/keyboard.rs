//! By a browser elsewhere, whose code is carried over by hand.

use super::opening::Opening;
use super::{Person, Place, Question, SignIn, Visit};
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::Exchanger;
use crate::issued::Entry;

impl Exchanger {
    pub(super) async fn by_keyboard(
        &self,
        ask: &SignIn,
        found: &Discovered,
        redirect_uri: &str,
        person: &dyn Person,
    ) -> Result<Entry, Error> {
        let opening = Opening::new(redirect_uri.to_owned(), &*self.random);
        let url = self.address(ask, found, &opening).await?;
        person.show(&Visit { url: &url, place: Place::ByHand, within: ask.patience });
        let typed = person.ask(&Question::Code)?;
        let typed = typed.expose().trim();
        // Whoever copies the address of the page they landed on brings state and issuer along: then those count.
        let code = match typed.split_once('?') {
            Some((_, query)) => {
                let query = query.split('#').next().unwrap_or_default();
                let arrival = opening.arrival(query, found).map_err(|stray| Error::Stray(stray.0))?;
                arrival.code(&found.document.issuer)?
            }
            None => typed.to_owned(),
        };
        self.redeem(ask, found, &opening, &code).await
    }
}
