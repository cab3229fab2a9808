//! By a browser on this machine: one tab, one listener, one code.

use super::landing::{Landing, Outcome};
use super::opening::Opening;
use super::tokens::Bound;
use super::{Person, Place, SignIn, Visit};
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::Exchanger;
use crate::issued::Entry;

impl Exchanger {
    pub(super) async fn by_browser(
        &self,
        ask: &SignIn,
        found: &Discovered,
        landing: &Landing,
        person: &dyn Person,
    ) -> Result<Entry, Error> {
        let port = landing.bind().await?;
        let opening = Opening::new(port.redirect_uri.clone(), &*self.random);
        let url = self.address(ask, found, &opening).await?;
        let (place, within) = (Place::Landing { port: port.port }, ask.patience);
        let open = port.open(opening, found.clone(), self)?;
        person.show(&Visit { url: &url, place, within });
        let arrived = tokio::select! {
            arrived = open.arrived() => arrived,
            () = self.clock.sleep(within) => Err(Error::Unfinished { within }),
        };
        let result = match arrived {
            Ok((arrival, reply)) => {
                let outcome = self.after(ask, found, open.opening(), arrival).await;
                let _ = reply.send(match &outcome {
                    Ok(entry) => Outcome::SignedIn(entry.who()),
                    Err(error) => Outcome::Failed(error.to_string()),
                });
                outcome
            }
            Err(error) => Err(error),
        };
        open.close(&*self.clock).await;
        result
    }

    async fn after(
        &self,
        ask: &SignIn,
        found: &Discovered,
        opening: &Opening,
        arrival: super::opening::Arrival,
    ) -> Result<Entry, Error> {
        let code = arrival.code(&found.document.issuer)?;
        self.redeem(ask, found, opening, &code).await
    }

    /// Trades the code (OpenID Connect Core section 3.1.3.1), once.
    pub(super) async fn redeem(
        &self,
        ask: &SignIn,
        found: &Discovered,
        opening: &Opening,
        code: &str,
    ) -> Result<Entry, Error> {
        let form = opening.redemption(ask, code);
        let url = found.token_endpoint()?;
        let answer = self.post_form(ask, found, &url, &form).await?;
        self.read_tokens(ask, found, &answer, Bound { nonce: Some(&opening.nonce), ..Bound::default() }).await
    }
}
