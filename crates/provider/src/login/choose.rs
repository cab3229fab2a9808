//! Which connector: the first page of a sign-in, unless there is nothing to choose.

use std::fmt::Write as _;
use std::sync::Arc;

use wire::form::Form;

use super::identify::tell;
use super::request::{Request, find_client};
use super::{Answer, Choice, Notice, Reply, Stop};
use crate::clients::Client;
use crate::connector::{Flow, Opened, in_path};
use crate::response_type::ResponseType;
use crate::{Cx, Living, Peer, Provider};

impl Provider {
    /// `/auth`: which connector. `query` is the request as it came, and goes along unchanged.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn authorize(&self, peer: &Peer, query: &str, form: &Form<'_>) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "authorize");
        let outcome = choose(&mut cx, query, form).await;
        tell(cx, outcome)
    }
}

async fn choose(cx: &mut Cx<'_>, query: &str, form: &Form<'_>) -> Result<Reply, Stop> {
    let (client, needs) = if form.mentions("user_code") {
        let request = Request::of_device(cx, form).await?;
        (Arc::clone(&request.client), request.needs())
    } else {
        let client = find_client(cx, form, 400)?;
        if form.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "none")) {
            // Nobody is asked anything, not even which connector: the answer goes straight back.
            Request::read(cx, form)?;
        }
        // One that cannot be read is told where the rest of the request is read.
        let response = form.get("response_type").and_then(ResponseType::parse);
        (client, response.unwrap_or(ResponseType::CODE).grant_types().collect())
    };
    let choices: Vec<&Opened> = usable(&cx.living, &client, &needs).collect();
    let path = |opened: &Opened| {
        let id = in_path(&opened.id);
        format!("{}/auth/{id}?{}", cx.settings().issuer.path(), without_connector(query))
    };
    let chosen = match form.get("connector_id") {
        Some(id) => Some(
            choices
                .iter()
                .find(|opened| *opened.id == *id)
                .copied()
                .ok_or(Stop::page(400, Notice::UnknownConnector))?,
        ),
        None => None,
    };
    let only = match choices.as_slice() {
        [] => return Err(Stop::page(400, Notice::NoConnector)),
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

/// Connectors that a person can sign in through, for this client.
pub(super) fn usable<'l>(
    living: &'l Living,
    client: &Client,
    needs: &[&str],
) -> impl Iterator<Item = &'l Opened> {
    living.connectors.iter().filter(move |opened| {
        !matches!(opened.connector.flow(), Flow::None)
            && client.may_use(&opened.id)
            && needs.iter().all(|kind| opened.allows(kind))
    })
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
