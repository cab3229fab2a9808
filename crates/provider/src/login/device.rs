//! A device that shows a code, and the person who types it elsewhere (RFC 8628 sections 3.1 to 3.3).
//!
//! The device is a record from its first request, since two parties must find it; so what anybody may ask for is limited
//! by address and altogether, and each record ends within `expiry.deviceRequests`. Wrong user codes are limited too, and
//! what the person is shown before agreeing is the client, what it asks for, and the code to compare (section 5.4).

use std::sync::Arc;

use ambient::{Random, RandomExt as _, Time};
use serde::Serialize;
use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::identify::tell;
use super::request::challenge;
use super::{Answer, Attempt, DevicePage, Notice, Reply, Stop, Way};
use crate::clients::Client;
use crate::error::{Error, Fault, Refusal};
use crate::limits::Door;
use crate::records::Change;
use crate::records::device::{Device, INTERVAL, State};
use crate::records::grant::{self, Code, Grant, Hash};
use crate::scope::{OPENID, Scopes};
use crate::store::{Outcome, StoreError};
use crate::{Cx, Peer, Provider};

/// What a device is told (section 3.2).
#[derive(Serialize)]
#[expect(missing_docs, reason = "the members of RFC 8628 section 3.2")]
pub struct DeviceAnswer {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    pub expires_in: u64,
    pub interval: i64,
}

impl std::fmt::Debug for DeviceAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceAnswer").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl Provider {
    /// `/device/code`: a device asks for codes, as a client that proves itself (Dex weakness D1).
    ///
    /// # Errors
    /// [`Error`]
    pub async fn authorize_device(
        &self,
        peer: &Peer,
        authorization: Option<&str>,
        form: &Form<'_>,
    ) -> Result<DeviceAnswer, Error> {
        let mut cx = self.begin(peer, "device");
        let outcome = self.device_codes(&mut cx, authorization, form).await;
        cx.close(&outcome);
        outcome
    }

    /// `/device`: where the person types the code. `code` stands there already if the link brought it.
    pub fn device_page(&self, code: &str) -> Reply {
        let action = format!("{}/device/auth/verify_code", self.living().settings.issuer.path());
        let code = spelled(code).unwrap_or_default();
        Reply::asking(Answer::Device(DevicePage { action, code, wrong: false }))
    }

    /// `/device/auth/verify_code`: goes on to signing in if the code is one.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn verify_user_code(&self, peer: &Peer, typed: &str) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "device");
        let outcome = match self.waiting(&mut cx, typed).await {
            Ok((code, _)) => {
                let to = format!("{}/auth?user_code={code}", cx.settings().issuer.path());
                Ok(Reply::asking(Answer::Redirect(to)))
            }
            Err(Stop::Page { notice: Notice::UserCode, .. }) => {
                cx.deny("unknown or expired user code");
                let Reply { answer, .. } = self.device_page(typed);
                let Answer::Device(page) = answer else { return Err(Stop::page(400, Notice::UserCode)) };
                Ok(Reply::asking(Answer::Device(DevicePage { wrong: true, ..page })))
            }
            Err(other) => Err(other),
        };
        tell(cx, outcome)
    }

    /// The device that waits under a code, with the code as it is spelled. Wrong ones are limited.
    pub(super) async fn waiting(&self, cx: &mut Cx<'_>, typed: &str) -> Result<(String, Device), Stop> {
        let now = self.around.clock.monotonic();
        let attempt = self.limits.admit(now, Door::UserCode, cx.decision.address, "")?;
        let code = spelled(typed).ok_or(Stop::page(400, Notice::UserCode))?;
        let found = self.records.read::<Device>(&self.cookies.device_key(&code)).await?;
        let device = found.map(|found| found.value).filter(|device| device.waits(cx.now));
        let device = device.ok_or(Stop::page(400, Notice::UserCode))?;
        attempt.give_back();
        Ok((code, device))
    }

    /// The person agreed: what the device gets becomes a grant, and the device learns of it.
    pub(super) async fn allow_device(&self, cx: &Cx<'_>, attempt: Attempt) -> Result<Answer, Stop> {
        let over = Stop::page(400, Notice::DeviceOver);
        let Some(key) = self.device_of(&attempt) else { return Err(over) };
        let found = self.records.read::<Device>(&key).await?;
        let Some(device) = found.map(|found| found.value).filter(|device| device.waits(cx.now)) else {
            return Err(over);
        };
        let client = cx.settings().clients.find(&attempt.client);
        let client = client.map(|client| client.name.clone()).ok_or(Stop::page(400, Notice::ClientGone))?;
        let expires = Time::from_unix(device.expires);
        let code = Code::new(device.secret, String::new(), device.challenge, expires);
        let grant = Grant::of_attempt(&attempt, code)?;
        self.discard(&attempt).await?;
        let (records, id, now) = (self.records.clone(), grant::new_id(&*self.around.random), cx.now);
        let change = async move {
            records.create(&id, &grant).await?;
            let allow = |device: Device| match device.waits(now) {
                true => Change::Put(Device { state: State::Allowed(id.clone()), ..device }, true),
                false => Change::Keep(false),
            };
            Ok::<_, StoreError>(records.change(&key, allow).await?.unwrap_or(false))
        };
        let allowed = self.around.tasks.finish(change).await??;
        if allowed { Ok(Answer::DeviceDone(client)) } else { Err(over) }
    }

    /// The person refused: the device is told at its next poll.
    pub(super) async fn refuse_device(&self, cx: &Cx<'_>, attempt: &Attempt) -> Result<(), Stop> {
        let Some(key) = self.device_of(attempt) else { return Ok(()) };
        let (records, now) = (self.records.clone(), cx.now);
        let refuse = move |device: Device| match device.waits(now) {
            true => Change::Put(Device { state: State::Refused, ..device }, ()),
            false => Change::Keep(()),
        };
        let change = async move { records.change(&key, refuse).await };
        self.around.tasks.finish(change).await??;
        Ok(())
    }

    fn device_of(&self, attempt: &Attempt) -> Option<String> {
        match &attempt.way {
            Way::Device { code } => Some(self.cookies.device_key(code)),
            Way::Uri { .. } | Way::ByHand => None,
        }
    }

    async fn device_codes(
        &self,
        cx: &mut Cx<'_>,
        authorization: Option<&str>,
        form: &Form<'_>,
    ) -> Result<DeviceAnswer, Error> {
        cx.must_be_heard()?;
        if !cx.settings().oauth2.grants(grant_type::DEVICE_CODE) {
            let told = "the device flow is switched off";
            return Err(Refusal::new(ErrorCode::UnsupportedGrantType, told).into());
        }
        let client = cx.authenticate(authorization, form)?;
        if client.public {
            // Nobody has proven anything: what is charged is not given back.
            let now = self.around.clock.monotonic();
            self.limits.admit(now, Door::DeviceCode, cx.decision.address, "")?;
        }
        let device = device(cx, form, &client)?;
        self.store_device(cx, device).await
    }

    async fn store_device(&self, cx: &Cx<'_>, mut device: Device) -> Result<DeviceAnswer, Error> {
        let random = &*self.around.random;
        let secret = grant::new_secret(random);
        device.secret = Hash::of(secret.expose());
        for _ in 0..MAX_TWINS {
            let user_code = new_user_code(random);
            let key = self.cookies.device_key(&user_code);
            let (records, stored, at) = (self.records.clone(), device.clone(), key.clone());
            let create = async move { records.create(&at, &stored).await };
            if self.around.tasks.finish(create).await?? == Outcome::Done {
                let verification_uri = cx.settings().issuer.endpoint("/device");
                return Ok(DeviceAnswer {
                    device_code: format!("{key}.{}", secret.expose()),
                    verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
                    verification_uri,
                    user_code,
                    expires_in: cx.settings().expiry.devices.as_secs(),
                    interval: INTERVAL,
                });
            }
        }
        Err(Fault::Internal(format!("{MAX_TWINS} new user codes were taken")).into())
    }
}

/// What is asked for, checked as at the authorization endpoint.
fn device(cx: &Cx<'_>, form: &Form<'_>, client: &Arc<Client>) -> Result<Device, Error> {
    let scopes = Scopes::parse(form.get("scope").unwrap_or(OPENID))?;
    if !scopes.has(OPENID) {
        return Err(Refusal::new(ErrorCode::InvalidScope, "the scope openid is missing").into());
    }
    scopes.audience(client, &cx.settings().clients)?;
    Ok(Device {
        client: client.id.to_string(),
        scopes: scopes.iter().collect(),
        challenge: challenge(cx, form, false).map_err(|told| Error::from(Refusal::request(told)))?,
        secret: Hash::of(""),
        expires: (cx.now + cx.settings().expiry.devices).unix(),
        interval: INTERVAL,
        asked: 0,
        state: State::Waits,
    })
}

fn new_user_code(random: &dyn Random) -> String {
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        let [byte] = random.bytes::<1>();
        // 240 is the largest multiple of twenty: what lies above would favour some letters.
        if let Some(letter) = (byte < 240).then(|| LETTERS.get(usize::from(byte) % 20)).flatten() {
            code.push(char::from(*letter));
            if code.len() == 4 {
                code.push('-');
            }
        }
    }
    code
}

/// As it is shown, however it was typed: the hyphen and the case are nobody's to get wrong (Dex weakness D3).
fn spelled(typed: &str) -> Option<String> {
    let letters: String =
        typed.chars().filter(|letter| !" -\u{2010}\u{2011}\u{2013}".contains(*letter)).take(9).collect();
    let letters = letters.to_ascii_uppercase();
    let good = letters.len() == 8 && letters.bytes().all(|letter| LETTERS.contains(&letter));
    let (left, right) = letters.split_at_checked(4)?;
    good.then(|| format!("{left}-{right}"))
}

/// Dex's: no vowels, so no words, and nothing that looks like something else.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Of some 25 thousand million codes a few are in use.
const MAX_TWINS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use ambient::SystemRandom;

    #[test]
    fn dex_d3_a_user_code_is_read_however_it_is_typed() {
        let code = new_user_code(&SystemRandom);
        assert_eq!((code.len(), code.chars().nth(4)), (9, Some('-')));
        for typed in [code.clone(), code.to_lowercase(), code.replace('-', ""), code.replace('-', " ")] {
            assert_eq!(spelled(&typed), Some(code.clone()), "{typed}");
        }
        for bad in ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDFGHJ1", "ééééééé\u{e9}", "BCDF_GHJK"]
        {
            assert_eq!(spelled(bad), None, "{bad}");
        }
    }
}
