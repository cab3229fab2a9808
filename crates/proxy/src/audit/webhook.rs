//! Events sent to a receiver as an `EventList`, again and again with growing pauses if it does not take them.

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock, Random, RandomExt as _};
use bytes::Bytes;
use outbound::{Client, Request};
use url::Url;

use super::backend::Sink;
use super::event::HEAD;

/// Where events are sent.
#[derive(Clone)]
pub struct Receiver {
    /// Its URL.
    pub url: Url,
    /// Reaches it, with whatever credential it wants.
    pub client: Client,
    /// The pause after the first try; each further one is half as long again.
    pub backoff: Duration,
}

/// Sends.
pub(super) struct Webhook {
    pub(super) receiver: Receiver,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

impl Sink for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn store(&self, lines: Vec<Bytes>) -> BoxFuture<'static, Result<(), String>> {
        let Receiver { url, client, backoff } = self.receiver.clone();
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        Box::pin(async move {
            let list = list(&lines);
            drop(lines);
            let mut pause = backoff;
            for left in (0..TRIES).rev() {
                let why = match client.send(Request::json(&url, list.clone())).await {
                    Ok(answer) if answer.status.is_success() => return Ok(()),
                    Ok(answer) => format!("the receiver answers with {}", answer.status),
                    Err(error) => error.to_string(),
                };
                if left == 0 {
                    return Err(why);
                }
                tracing::debug!(why, "an audit webhook does not take events yet");
                clock.sleep(jittered(pause, &*random)).await;
                pause = pause.mul_f64(GROWS);
            }
            Err("it was not tried".into())
        })
    }
}

/// Up to a fifth longer, so that many proxies do not come back at once.
fn jittered(pause: Duration, random: &dyn Random) -> Duration {
    let [byte] = random.bytes();
    pause.mul_f64(1.0 + 0.2 * f64::from(byte) / 255.0)
}

fn list(lines: &[Bytes]) -> Bytes {
    let mut list = br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#.to_vec();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            list.push(b',');
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (brace, rest) = line.split_at_checked(1).unwrap_or((line, b""));
        list.extend_from_slice(brace);
        list.extend_from_slice(rest.strip_prefix(HEAD).unwrap_or(rest));
    }
    list.extend_from_slice(b"]}");
    list.into()
}

/// The API server's: five tries, four pauses.
const TRIES: u32 = 5;
const GROWS: f64 = 1.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_items_without_their_heads() {
        let line = |n: u8| {
            Bytes::from(format!(
                "{{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"{n}\"}}\n"
            ))
        };
        let expected = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"level":"1"},{"level":"2"}]}"#;
        assert_eq!(list(&[line(1), line(2)]), expected);
    }
}
