//! By a code that the person types on another device (RFC 8628).

use std::time::Duration;

use ambient::{RandomExt as _, Secret};
use outbound::Answer;
use url::Url;
use wire::json::{Object, Value};
use wire::oauth::grant_type;

use super::opening::challenge;
use super::tokens::Bound;
use super::{Person, Place, SignIn, Visit};
use crate::answer;
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::Exchanger;
use crate::issued::Entry;
use crate::note::Note;

/// What the provider said (section 3.2).
struct Codes {
    device: Secret<String>,
    user: String,
    page: Url,
    /// Whether the page knows the code.
    filled_in: bool,
    expires: Duration,
    interval: Duration,
}

impl Exchanger {
    pub(super) async fn by_device(
        &self,
        ask: &SignIn,
        found: &Discovered,
        person: &dyn Person,
    ) -> Result<Entry, Error> {
        let verifier = wire::b64::encode(self.random.bytes::<32>());
        let codes = self.codes(ask, found, &verifier).await?;
        let place = Place::Device { code: &codes.user, filled_in: codes.filled_in };
        let within = codes.expires.min(ask.patience);
        person.show(&Visit { url: &codes.page, place, within });
        let form = [
            ("grant_type", grant_type::DEVICE_CODE),
            ("device_code", codes.device.expose()),
            ("code_verifier", &verifier),
        ];
        let url = found.token_endpoint()?;
        let answer = tokio::select! {
            answer = self.poll(ask, found, &url, &form, codes.interval) => answer?,
            () = self.clock.sleep(within) => return Err(Error::Unfinished { within }),
        };
        self.read_tokens(ask, found, &answer, Bound::default()).await
    }

    /// Section 3.1.
    async fn codes(&self, ask: &SignIn, found: &Discovered, verifier: &str) -> Result<Codes, Error> {
        let named = found.document.device_authorization_endpoint.as_deref();
        let url = found.endpoint("device_authorization_endpoint", named)?;
        let (scope, challenge) = (ask.scope.join(" "), challenge(verifier));
        let form =
            [("scope", scope.as_str()), ("code_challenge", &challenge), ("code_challenge_method", "S256")];
        let extra = ask.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form = form.into_iter().chain(extra).collect::<Vec<_>>();
        let answer = self.post_form(ask, found, &url, &form).await?;
        if answer.status != 200 {
            return Err(answer::refusal(&url, &answer, false));
        }
        Codes::read(&answer.body)
    }

    /// Asks until somebody has decided (section 3.5).
    async fn poll(
        &self,
        ask: &SignIn,
        found: &Discovered,
        url: &Url,
        form: &[(&str, &str)],
        mut interval: Duration,
    ) -> Result<Answer, Error> {
        loop {
            self.clock.sleep(interval).await;
            let answer = match self.post_form(ask, found, url, form).await {
                Ok(answer) => answer,
                // Outages pass, and each costs a longer pause.
                Err(error) if error.is_passing() => {
                    interval = (interval * 2).min(LONGEST_INTERVAL);
                    self.tell(&Note::Retrying { reason: error.to_string(), after: interval });
                    continue;
                }
                Err(error) => return Err(error),
            };
            if answer.status == 200 {
                return Ok(answer);
            }
            let document = Object::parse(&answer.body).unwrap_or_default();
            match document.str("error") {
                Some("authorization_pending") => {}
                Some("slow_down") => interval = (interval + SLOWER).min(LONGEST_INTERVAL),
                None if answer.status.is_server_error() || answer.status == 429 => {
                    interval = (interval * 2).min(LONGEST_INTERVAL);
                }
                Some("expired_token") => return Err(Error::CodeExpired),
                Some(code) if code == "access_denied" => {
                    return Err(Error::denied(code, document.str("error_description")));
                }
                _ => return Err(answer::refusal(url, &answer, false)),
            }
        }
    }
}

impl Codes {
    fn read(body: &[u8]) -> Result<Self, Error> {
        let bad = |what: &str| Error::Device(what.to_owned());
        let document = Object::parse(body).map_err(|e| Error::Device(format!("it is not JSON ({e})")))?;
        let text = |name: &str| document.str(name).filter(|text| !text.is_empty());
        let seconds = |name: &str, default: i64, most: Duration| {
            let told = document.get(name).and_then(Value::as_int).unwrap_or(default);
            Duration::from_secs(u64::try_from(told).unwrap_or_default()).min(most)
        };
        let complete = text("verification_uri_complete");
        // Google writes it so.
        let page = complete.or(text("verification_uri")).or(text("verification_url"));
        let page = page.ok_or_else(|| bad("it has no verification_uri"))?;
        let page = Url::parse(page).map_err(|_| bad("its verification_uri is not a URL"))?;
        if !matches!(page.scheme(), "https" | "http") {
            return Err(bad("its verification_uri is no page of the web"));
        }
        Ok(Self {
            device: Secret::from(text("device_code").ok_or_else(|| bad("it has no device_code"))?),
            user: text("user_code").ok_or_else(|| bad("it has no user_code"))?.to_owned(),
            page,
            filled_in: complete.is_some(),
            expires: seconds("expires_in", 600, LONGEST_WAIT),
            interval: seconds("interval", 5, LONGEST_INTERVAL).max(SHORTEST_INTERVAL),
        })
    }
}

const SLOWER: Duration = Duration::from_secs(5);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_provider_says_is_bounded_and_looked_at() {
        let good = r#"{"device_code":"d","user_code":"AB-CD","verification_uri":"https://o.example/device","expires_in":99999999,"interval":0}"#;
        let codes = Codes::read(good.as_bytes()).unwrap();
        assert_eq!(
            (codes.expires, codes.interval, codes.filled_in),
            (LONGEST_WAIT, SHORTEST_INTERVAL, false)
        );
        for (from, to, want) in [
            ("device_code", "x", "no device_code"),
            ("user_code", "x", "no user_code"),
            ("verification_uri", "x", "no verification_uri"),
            ("https://o.example/device", "javascript:alert(1)", "no page of the web"),
            ("https://o.example/device", "file:///etc/passwd", "no page of the web"),
            ("{", "", "not JSON"),
        ] {
            let told = Codes::read(good.replace(from, to).as_bytes()).err().unwrap().to_string();
            assert!(told.contains(want), "{told}");
        }
    }
}
