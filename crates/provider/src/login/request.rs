//! The authorization request (OpenID Connect Core section 3.1.2.1), read and checked in Dex's order (dex.md 1.8).

use std::fmt::Write as _;
use std::sync::Arc;

use url::Url;
use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::identify::tell;
use super::{Answer, Choice, Reply, Stop, redirect};
use crate::clients::Client;
use crate::connector::{Flow, Opened};
use crate::records::grant::{Challenge, Method};
use crate::scope::{OPENID, Scopes};
use crate::{Cx, Living, Peer, Provider};

/// A request that may go on: everything in it is checked.
pub(super) struct Request {
    pub client: Arc<Client>,
    pub redirect_uri: String,
    pub scopes: Scopes,
    pub state: String,
    pub nonce: Option<String>,
    pub challenge: Option<Challenge>,
    pub force_consent: bool,
}

impl Provider {
    /// `/auth`: which connector. `query` is the request as it came, and goes along unchanged.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn authorize(&self, peer: &Peer, query: &str, form: &Form<'_>) -> Result<Reply, Stop> {
        let cx = self.begin(peer, "authorize");
        let outcome = choose(&cx, query, form);
        tell(cx, outcome)
    }
}

fn choose(cx: &Cx<'_>, query: &str, form: &Form<'_>) -> Result<Reply, Stop> {
    let client = find_client(cx, form, 400)?;
    if form.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
        // Nobody is asked anything, not even which connector: the answer goes straight back.
        Request::read(cx, form)?;
    }
    let choices: Vec<&Opened> = usable(&cx.living, &client).collect();
    let path = |opened: &Opened| {
        let id = percent(&opened.id);
        format!("{}/auth/{id}?{}", cx.settings().issuer.path(), without_connector(query))
    };
    let chosen = match form.get("connector_id") {
        Some(id) => Some(
            choices
                .iter()
                .find(|opened| *opened.id == *id)
                .copied()
                .ok_or_else(|| Stop::page(400, "There is no such way to sign in."))?,
        ),
        None => None,
    };
    let only = match choices.as_slice() {
        [] => {
            return Err(Stop::page(
                400,
                "This application cannot be signed in to: no connector is allowed for it.",
            ));
        }
        [one] if !cx.settings().oauth2.always_show_login => Some(*one),
        _ => None,
    };
    if let Some(opened) = chosen.or(only) {
        return Ok(Reply::asking(Answer::Redirect(path(opened))));
    }
    let mut list: Vec<Choice> = choices
        .into_iter()
        .map(|opened| Choice { name: opened.name.to_string(), kind: opened.kind, path: path(opened) })
        .collect();
    list.sort_by_key(|choice| choice.name.to_lowercase());
    Ok(Reply::asking(Answer::Choose(list)))
}

impl Request {
    pub(super) fn read(cx: &Cx<'_>, form: &Form<'_>) -> Result<Self, Stop> {
        let client = find_client(cx, form, 404)?;
        let raw = form
            .get("redirect_uri")
            .ok_or_else(|| Stop::page(400, "The application did not say where to return to."))?;
        let to = redirect::check(&client, raw).ok_or_else(|| {
            Stop::page(400, "The application named a return address that is not registered for it.")
        })?;
        let state = form.get("state").unwrap_or_default().to_owned();
        let back = Back { to, state: state.clone() };
        back.refuse_unread(form)?;
        let challenge = back.challenge(cx, form, &client)?;
        let scopes = back.scopes(cx, form, &client)?;
        back.response_type(cx, form)?;
        let force_consent = back.prompt(form)?;
        Ok(Self {
            client,
            redirect_uri: raw.to_owned(),
            scopes,
            state,
            nonce: form.get("nonce").map(str::to_owned),
            challenge,
            force_consent,
        })
    }
}

/// Where errors go once client and redirect URI are good.
struct Back {
    to: Url,
    state: String,
}

impl Back {
    fn stop(&self, code: ErrorCode, told: &'static str) -> Stop {
        Stop::Back { to: Box::new(self.to.clone()), state: self.state.clone(), code, told: told.into() }
    }

    fn refuse_unread(&self, form: &Form<'_>) -> Result<(), Stop> {
        if form.mentions("request") {
            return Err(self.stop(ErrorCode::RequestNotSupported, "request objects are not supported"));
        }
        if form.mentions("request_uri") {
            return Err(self.stop(ErrorCode::RequestUriNotSupported, "request objects are not supported"));
        }
        match form.get("response_mode") {
            None | Some("query") => Ok(()),
            Some(_) => Err(self.stop(ErrorCode::InvalidRequest, "this response_mode is not supported")),
        }
    }

    /// RFC 7636; demanded of public clients (DESIGN section 6).
    fn challenge(&self, cx: &Cx<'_>, form: &Form<'_>, client: &Client) -> Result<Option<Challenge>, Stop> {
        let pkce = &cx.settings().oauth2.pkce;
        let Some(value) = form.get("code_challenge") else {
            if form.mentions("code_challenge_method") {
                return Err(
                    self.stop(ErrorCode::InvalidRequest, "code_challenge_method without code_challenge")
                );
            }
            if pkce.of_all || client.public && pkce.of_public {
                return Err(self.stop(
                    ErrorCode::InvalidRequest,
                    "code_challenge is missing: this client must use PKCE",
                ));
            }
            return Ok(None);
        };
        let method = match form.get("code_challenge_method").unwrap_or("plain") {
            "S256" => Some(Method::S256),
            "plain" => Some(Method::Plain),
            _ => None,
        };
        let method = method.filter(|method| pkce.methods.contains(method));
        let method = method.ok_or_else(|| {
            self.stop(ErrorCode::InvalidRequest, "this code_challenge_method is not supported")
        })?;
        if !(43..=128).contains(&value.len()) {
            return Err(self.stop(ErrorCode::InvalidRequest, "code_challenge must have 43 to 128 characters"));
        }
        Ok(Some(Challenge { method, value: value.to_owned() }))
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

    fn response_type(&self, cx: &Cx<'_>, form: &Form<'_>) -> Result<(), Stop> {
        let asked = form
            .get("response_type")
            .ok_or_else(|| self.stop(ErrorCode::InvalidRequest, "response_type is missing"))?;
        if !cx.settings().oauth2.response_types.iter().any(|known| known == asked) {
            return Err(self.stop(ErrorCode::UnsupportedResponseType, "this response_type is not supported"));
        }
        if cx.settings().oauth2.grants(grant_type::AUTHORIZATION_CODE) {
            Ok(())
        } else {
            Err(self.stop(ErrorCode::UnauthorizedClient, "the code flow is switched off"))
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

fn find_client(cx: &Cx<'_>, form: &Form<'_>, unknown: u16) -> Result<Arc<Client>, Stop> {
    let id =
        form.get("client_id").ok_or_else(|| Stop::page(400, "The application did not say who it is."))?;
    let client = cx.settings().clients.find(id);
    client.cloned().ok_or_else(|| Stop::page(unknown, "The application is not registered here."))
}

/// Connectors that a person can sign in through, for this client.
pub(super) fn usable<'l>(living: &'l Living, client: &Client) -> impl Iterator<Item = &'l Opened> {
    living.connectors.iter().filter(move |opened| {
        !matches!(opened.connector.flow(), Flow::None)
            && client.may_use(&opened.id)
            && opened.allows(grant_type::AUTHORIZATION_CODE)
    })
}

fn percent(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}

/// What a form sent by POST may hold raw is escaped, so that it can stand in a URL.
fn without_connector(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.starts_with("connector_id="));
    let mut out = String::with_capacity(query.len());
    for pair in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        for byte in pair.bytes() {
            if byte.is_ascii_graphic() && !b"#\"<>".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
