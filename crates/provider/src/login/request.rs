//! The authorization request (OpenID Connect Core section 3.1.2.1), read and checked in Dex's order (dex.md 1.8).

use std::sync::Arc;

use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::way::BY_HAND;
use super::{Mode, Notice, Stop, Way, redirect};
use crate::Cx;
use crate::clients::Client;
use crate::records::grant::{Challenge, Method};
use crate::response_type::ResponseType;
use crate::scope::{OPENID, Scopes};

/// A request that may go on: everything in it is checked.
pub(super) struct Request {
    pub client: Arc<Client>,
    pub way: Way,
    pub response: ResponseType,
    pub scopes: Scopes,
    pub nonce: Option<String>,
    pub challenge: Option<Challenge>,
    pub hint: Option<String>,
    pub force_consent: bool,
}

impl Request {
    pub(super) fn read(cx: &Cx<'_>, form: &Form<'_>) -> Result<Self, Stop> {
        let client = find_client(cx, form, 404)?;
        let raw = form.get("redirect_uri").ok_or(Stop::page(400, Notice::NoReturn))?;
        if !redirect::allows(&client, raw) {
            return Err(Stop::page(400, Notice::BadReturn));
        }
        let back = Back { way: way(form, raw) };
        back.refuse_unread(form)?;
        let challenge = back.challenge(cx, form, &client)?;
        let scopes = back.scopes(cx, form, &client)?;
        let response = back.response_type(cx, form)?;
        let force_consent = back.prompt(form)?;
        Ok(Self {
            client,
            way: back.way,
            response,
            scopes,
            nonce: form.get("nonce").map(str::to_owned),
            challenge,
            hint: form.get("login_hint").filter(|hint| hint.len() <= MOST_HINT).map(str::to_owned),
            force_consent,
        })
    }
}

impl Request {
    /// The request of a device, by the code that it shows. What it asks for was checked when it did.
    pub(super) async fn of_device(cx: &mut Cx<'_>, form: &Form<'_>) -> Result<Self, Stop> {
        let provider = cx.provider;
        let (code, device) = provider.waiting(cx, form.get("user_code").unwrap_or_default()).await?;
        let client = cx.settings().clients.find(&device.client).cloned();
        if !cx.settings().oauth2.grants(grant_type::DEVICE_CODE) {
            return Err(Stop::page(400, Notice::DeviceOver));
        }
        Ok(Self {
            client: client.ok_or(Stop::page(400, Notice::ClientGone))?,
            way: Way::Device { code },
            response: ResponseType::CODE,
            scopes: Scopes::from_stored(&device.scopes),
            nonce: None,
            challenge: None,
            hint: None,
            force_consent: true,
        })
    }

    /// The grant types that a connector must be for.
    pub(super) fn needs(&self) -> Vec<&'static str> {
        self.way.grant_types(self.response)
    }
}

/// How the client is answered, also with an error about the very parameters that say so.
fn way(form: &Form<'_>, raw: &str) -> Way {
    if raw == BY_HAND {
        return Way::ByHand;
    }
    let response = form.get("response_type").and_then(ResponseType::parse).unwrap_or(ResponseType::CODE);
    let named = form.get("response_mode").and_then(Mode::from_name).filter(|mode| mode.fits(response));
    Way::Uri {
        uri: raw.to_owned(),
        mode: named.unwrap_or(Mode::default_of(response)),
        state: form.get("state").unwrap_or_default().to_owned(),
    }
}

/// Where errors go once client and redirect URI are good.
struct Back {
    way: Way,
}

impl Back {
    fn stop(&self, code: ErrorCode, told: &'static str) -> Stop {
        self.way.stop(code, told)
    }

    fn refuse_unread(&self, form: &Form<'_>) -> Result<(), Stop> {
        if form.mentions("request") {
            return Err(self.stop(ErrorCode::RequestNotSupported, "request objects are not supported"));
        }
        if form.mentions("request_uri") {
            return Err(self.stop(ErrorCode::RequestUriNotSupported, "request objects are not supported"));
        }
        if form.mentions("registration") {
            return Err(
                self.stop(ErrorCode::RegistrationNotSupported, "clients are registered by the administrator")
            );
        }
        Ok(())
    }

    /// RFC 7636; demanded of public clients (DESIGN section 6).
    fn challenge(&self, cx: &Cx<'_>, form: &Form<'_>, client: &Client) -> Result<Option<Challenge>, Stop> {
        let pkce = &cx.settings().oauth2.pkce;
        let code = form.get("response_type").and_then(ResponseType::parse).is_none_or(|asked| asked.code);
        let demanded = pkce.of_all || client.public && pkce.of_public && code;
        challenge(cx, form, demanded).map_err(|told| self.stop(ErrorCode::InvalidRequest, told))
    }

    fn scopes(&self, cx: &Cx<'_>, form: &Form<'_>, client: &Client) -> Result<Scopes, Stop> {
        let scopes = Scopes::parse(form.get("scope").unwrap_or_default());
        let scopes =
            scopes.map_err(|_| self.stop(ErrorCode::InvalidScope, "an unknown scope is asked for"))?;
        if !scopes.has(OPENID) {
            return Err(self.stop(ErrorCode::InvalidScope, "the scope openid is missing"));
        }
        let trusted = scopes.audience(client, &cx.settings().clients);
        trusted.map_err(|_| {
            self.stop(ErrorCode::InvalidScope, "the client may not ask for tokens for one of these audiences")
        })?;
        Ok(scopes)
    }

    fn response_type(&self, cx: &Cx<'_>, form: &Form<'_>) -> Result<ResponseType, Stop> {
        let asked = form
            .get("response_type")
            .ok_or_else(|| self.stop(ErrorCode::InvalidRequest, "response_type is missing"))?;
        let asked = ResponseType::parse(asked)
            .ok_or_else(|| self.stop(ErrorCode::UnsupportedResponseType, "an unknown response_type"))?;
        if !cx.settings().oauth2.answers(asked) {
            return Err(self.stop(ErrorCode::UnsupportedResponseType, "this response_type is not supported"));
        }
        if asked.in_front() && matches!(self.way, Way::ByHand) {
            return Err(self.stop(ErrorCode::InvalidRequest, "tokens are not carried over by hand"));
        }
        if asked.id_token && form.get("nonce").is_none() {
            // OpenID Connect Core sections 3.2.2.1 and 3.3.2.11.
            return Err(self.stop(ErrorCode::InvalidRequest, "nonce is missing"));
        }
        match form.get("response_mode").map(Mode::from_name) {
            None => Ok(asked),
            Some(Some(mode)) if mode.fits(asked) => Ok(asked),
            Some(Some(_)) => Err(self.stop(ErrorCode::InvalidRequest, "tokens do not stand in a query")),
            Some(None) => Err(self.stop(ErrorCode::InvalidRequest, "this response_mode is not supported")),
        }
    }

    /// Without sessions everybody signs in each time: `login`, `select_account` and any `max_age` are met, `none` never.
    fn prompt(&self, form: &Form<'_>) -> Result<bool, Stop> {
        let words: Vec<_> =
            form.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
        if words.iter().any(|word| !["none", "login", "consent", "select_account"].contains(word)) {
            return Err(self.stop(ErrorCode::InvalidRequest, "an unknown prompt is asked for"));
        }
        if words.contains(&"none") {
            let (code, told) = if words.len() == 1 {
                (ErrorCode::LoginRequired, "nobody is signed in")
            } else {
                (ErrorCode::InvalidRequest, "prompt none stands alone")
            };
            return Err(self.stop(code, told));
        }
        if form.get("max_age").is_some_and(|age| age.parse::<u32>().is_err()) {
            return Err(self.stop(ErrorCode::InvalidRequest, "max_age must be a number of seconds"));
        }
        Ok(words.contains(&"consent") || form.get("approval_prompt") == Some("force"))
    }
}

/// The challenge of a request, or what is wrong with it.
pub(super) fn challenge(
    cx: &Cx<'_>,
    form: &Form<'_>,
    demanded: bool,
) -> Result<Option<Challenge>, &'static str> {
    let Some(value) = form.get("code_challenge") else {
        if form.mentions("code_challenge_method") {
            return Err("code_challenge_method without code_challenge");
        }
        if demanded {
            return Err("code_challenge is missing: this client must use PKCE");
        }
        return Ok(None);
    };
    let method = match form.get("code_challenge_method").unwrap_or("plain") {
        "S256" => Some(Method::S256),
        "plain" => Some(Method::Plain),
        _ => None,
    };
    let method = method.filter(|method| cx.settings().oauth2.pkce.methods.contains(method));
    let method = method.ok_or("this code_challenge_method is not supported")?;
    if !(43..=128).contains(&value.len()) {
        return Err("code_challenge must have 43 to 128 characters");
    }
    Ok(Some(Challenge { method, value: value.to_owned() }))
}

pub(super) fn find_client(cx: &Cx<'_>, form: &Form<'_>, unknown: u16) -> Result<Arc<Client>, Stop> {
    let id = form.get("client_id").ok_or(Stop::page(400, Notice::NoClient))?;
    let client = cx.settings().clients.find(id);
    client.cloned().ok_or(Stop::page(unknown, Notice::UnknownClient))
}

/// A longer one is no name that anybody types.
const MOST_HINT: usize = 256;
