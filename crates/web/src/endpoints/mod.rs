//! One endpoint, one file: the path of the file is the path of the URL. A new one is its file and its line here.

mod approval;
mod auth;
mod callback;
mod device;
mod healthz;
mod home;
mod introspect;
mod keys;
mod revoke;
mod statics;
mod token;
mod userinfo;
mod well_known;

use std::sync::Arc;

use axum::Router;

use crate::{Web, layers};

/// A state shared by all.
pub(crate) type Shared = Arc<Web>;

/// All routes. Browsers of other origins may call only those that carry tokens and documents (dex.md 1.2).
pub(crate) fn routes(prefix: &str, web: &Shared) -> Router<Shared> {
    let called_by_scripts = Router::new()
        .merge(well_known::routes(prefix))
        .merge(keys::routes(prefix))
        .merge(token::routes(prefix))
        .merge(userinfo::routes(prefix))
        .merge(home::routes(prefix));
    layers::cross_origin(called_by_scripts, &web.settings)
        .merge(auth::routes(prefix))
        .merge(callback::routes(prefix))
        .merge(approval::routes(prefix))
        .merge(healthz::routes(prefix))
        .merge(introspect::routes(prefix))
        .merge(revoke::routes(prefix))
        .merge(device::routes(prefix))
        .merge(statics::routes(prefix, web))
}
