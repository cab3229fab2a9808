//! The last step for exec, attach and port-forward: two upgraded connections, joined byte by byte.

use ambient::{BoxFuture, Tasks};
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::body::Body;
use crate::guard;
use crate::refusal::Refusal;

/// What a connection may be upgraded to. The bytes are not read: neither protocol carries identity after its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Spdy,
    WebSocket,
}

impl Protocol {
    pub(crate) fn read(text: &str) -> Option<Self> {
        [Self::Spdy, Self::WebSocket]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(text.trim()))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Spdy => "SPDY/3.1",
            Self::WebSocket => "websocket",
        }
    }
}

/// Joins the client's connection with the API server's, which has switched to `asked`, and gives the client's answer.
/// Each direction ends for itself: what one side has finished sending is passed on while the other still sends. `held`
/// is kept for as long, which is at most `until`.
pub(crate) fn join(
    answer: Response<Incoming>,
    asked: Protocol,
    client: OnUpgrade,
    held: impl Send + 'static,
    until: BoxFuture<'static, ()>,
    tunnels: &Tasks,
) -> Result<Response<Body>, Refusal> {
    if switched_to(answer.headers()) != Some(asked) {
        return Err(Refusal::Answer("it switches to a protocol that was not asked for"));
    }
    let mut headers = answer.headers().clone();
    guard::strip_response(&mut headers);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(asked.name()));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = headers;
    let carried = carry(client, hyper::upgrade::on(answer));
    tunnels.spawn_until_stop(async move {
        tokio::select! {
            () = carried => {}
            () = until => tracing::debug!("an upgraded connection was ended with its token"),
        }
        drop(held);
    });
    Ok(response)
}

async fn carry(client: OnUpgrade, server: OnUpgrade) {
    let (client, server) = match tokio::try_join!(client, server) {
        Ok(both) => both,
        Err(error) => return tracing::debug!(%error, "an upgraded connection did not come to be"),
    };
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    let carried = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await;
    match carried {
        Ok((up, down)) => tracing::debug!(up, down, "an upgraded connection ended"),
        Err(error) => tracing::debug!(%error, "an upgraded connection broke"),
    }
}

fn switched_to(headers: &HeaderMap) -> Option<Protocol> {
    headers.get(UPGRADE).and_then(|value| value.to_str().ok()).and_then(Protocol::read)
}

const BUFFER: usize = 16 * 1024;
