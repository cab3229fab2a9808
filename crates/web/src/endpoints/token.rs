//! The token endpoint (RFC 6749 section 3.2).

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use provider::error::{Error, Refusal};
use provider::grants::REPEATABLE;
use wire::form::{Form, decode};
use wire::oauth::TokenResponse;

use super::Shared;
use crate::extract::{self, Asked};
use crate::respond;

pub(super) fn routes(prefix: &str) -> Router<Shared> {
    Router::new().route(&format!("{prefix}/token"), post(token).fallback(extract::only_post))
}

async fn token(State(web): State<Shared>, request: Request) -> Response {
    let dex = web.provider.living().settings.oauth2.dex_errors;
    match answer(&web, request).await {
        Ok(tokens) => respond::tokens(&tokens),
        Err(error) => respond::error(&error, dex),
    }
}

async fn answer(web: &Shared, request: Request) -> Result<TokenResponse, Error> {
    let peer = extract::peer(web, &request);
    let refused = |error| web.provider.turn_away(&peer, error);
    refuse_query(request.uri().query()).map_err(|refusal| refused(refusal.into()))?;
    let asked = Asked::form(web, request, extract::TOKEN_FORM).await.map_err(refused)?;
    let form = Form::parse(&asked.body, &REPEATABLE);
    let form = form.map_err(|error| refused(Refusal::request(extract::malformed(&error)).into()))?;
    web.provider.token(&asked.peer, asked.authorization.as_deref(), &form).await
}

/// What stands in a URL ends up in logs. Credentials there are refused, not ignored, so that the mistake shows.
fn refuse_query(query: Option<&str>) -> Result<(), Refusal> {
    let is_secret = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        decode(name).is_ok_and(|name| SECRET.contains(&name.as_ref()))
    };
    if query.is_some_and(|query| query.split('&').any(is_secret)) {
        return Err(Refusal::request("credentials belong into the body, never into the URL"));
    }
    Ok(())
}

const SECRET: [&str; 9] = [
    "client_secret",
    "client_assertion",
    "client_id",
    "code",
    "code_verifier",
    "password",
    "refresh_token",
    "subject_token",
    "actor_token",
];
