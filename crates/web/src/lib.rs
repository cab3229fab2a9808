//! The provider's face: routers, extraction, responses, pages.
//!
//! Nothing is decided here. A request becomes wire values, the provider answers, and the answer becomes HTTP, in
//! [`respond`] and nowhere else.

mod bodies;
mod client_address;
mod documents;
mod endpoints;
mod extract;
mod icons;
mod language;
mod layers;
mod pages;
mod respond;
mod settings;
mod theme;

use std::sync::Arc;

use axum::Router;
use provider::Provider;

pub use client_address::{ClientAddress, Network};
pub use pages::{BadTheme, Pages};
pub use settings::{Headers, Instead, Listen, Settings, TlsFiles, socket_address};
pub use theme::Frontend;

/// What every endpoint stands on.
pub struct Web {
    pub(crate) provider: Arc<Provider>,
    pub(crate) settings: Settings,
    pub(crate) pages: Pages,
    pub(crate) documents: documents::Documents,
    pub(crate) bodies: bodies::Bodies,
}

/// The provider's routes under its issuer's path, inside the layers.
pub fn router(provider: Arc<Provider>, settings: Settings, pages: Pages) -> Router {
    let prefix = provider.living().settings.issuer.path().to_owned();
    let bodies = bodies::Bodies::new(Arc::clone(&provider.around().clock));
    let web = Arc::new(Web { provider, settings, pages, documents: documents::Documents::default(), bodies });
    layers::around(endpoints::routes(&prefix, &web), web)
}
