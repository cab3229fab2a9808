//! `/device`: codes for a device, and the page where its person types one (RFC 8628, dex.md 1.17).

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use provider::error::{Error, Refusal};
use provider::login::DeviceAnswer;
use wire::form::Form;

use super::Shared;
use super::auth::parse;
use crate::extract::{self, Asked};
use crate::respond;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new()
        .route(&format!("{prefix}/device"), get(ask))
        .route(&format!("{prefix}/device/auth/verify_code"), post(verify))
        .route(&format!("{prefix}/device/code"), post(codes).fallback(extract::only_post))
}

async fn codes(State(web): State<Shared>, request: Request) -> Response {
    match device(&web, request).await {
        Ok(told) => respond::json(&told),
        Err(error) => respond::error(&error, web.provider.living().settings.oauth2.dex_errors),
    }
}

async fn device(web: &Shared, request: Request) -> Result<DeviceAnswer, Error> {
    let asked = Asked::form(web, request, extract::TOKEN_FORM).await?;
    let form = Form::parse(&asked.body, &[]);
    let form = form.map_err(|error| Refusal::request(extract::malformed(&error)))?;
    web.provider.authorize_device(&asked.peer, asked.authorization.as_deref(), &form).await
}

async fn ask(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let code = extract::named(&request, "user_code");
    respond::login(&web, &visitor, Ok(web.provider.device_page(&code)))
}

async fn verify(State(web): State<Shared>, request: Request) -> Response {
    let visitor = extract::visitor(&request);
    let outcome = async {
        let asked = Asked::same_site_form(&web, request).await?;
        let form = parse(&asked.body)?;
        web.provider.verify_user_code(&asked.peer, form.get("user_code").unwrap_or_default()).await
    };
    respond::login(&web, &visitor, outcome.await)
}
