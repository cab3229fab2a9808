//! `/approval`: consent.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use super::Shared;
use super::auth::parse;
use crate::extract::{self, Asked};
use crate::respond;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/approval"), get(ask).post(decide))
}

async fn ask(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let peer = extract::peer(&web, &request);
    let cookies = extract::cookies(request.headers());
    let attempt = extract::named(&request, "req");
    respond::login(&web, &visitor, web.provider.consent_page(&peer, &attempt, cookies.as_deref()).await)
}

async fn decide(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let outcome = async {
        let cookies = extract::cookies(request.headers());
        let asked = Asked::same_site_form(&web, request).await?;
        let form = parse(&asked.body)?;
        let agreed = form.get("approval") == Some("approve");
        web.provider
            .submit_consent(&asked.peer, form.get("req").unwrap_or_default(), agreed, cookies.as_deref())
            .await
    };
    respond::login(&web, &visitor, outcome.await)
}
