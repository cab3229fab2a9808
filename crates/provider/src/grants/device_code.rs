//! RFC 8628 section 3.4: a device that waited, once its person has allowed it. The client proves itself as at any other
//! grant, the tokens are handed out once (Dex weakness D1).

use std::sync::Arc;

use ambient::BoxFuture;
use wire::form::Form;
use wire::oauth::{ErrorCode, grant_type};

use super::authorization_code::{Asked, Worth, redeem};
use super::{Demands, Grant};
use crate::Cx;
use crate::clients::Client;
use crate::error::{Error, Refusal};
use crate::issue::Proof;
use crate::records::device::{Device, Polled};

/// See the module.
pub(super) struct DeviceCode;

impl Grant for DeviceCode {
    fn kind(&self) -> &'static str {
        grant_type::DEVICE_CODE
    }

    fn demands(&self) -> Demands {
        Demands::AnyClient
    }

    fn prove<'a>(
        &'a self,
        cx: &'a mut Cx<'_>,
        form: &'a Form<'_>,
        client: &'a Arc<Client>,
    ) -> BoxFuture<'a, Result<Proof, Error>> {
        Box::pin(async move {
            let code = form.get("device_code").ok_or_else(|| Refusal::request("device_code is missing"))?;
            let (key, secret) = code.split_once('.').ok_or_else(|| bad_code("malformed device code"))?;
            let id = allowed(cx, client, key, secret).await?;
            let verifier = form.get("code_verifier");
            let asked = Asked { id: &id, secret, redirect_uri: "", verifier, kind: self.kind() };
            match redeem(cx, client, &asked).await? {
                Worth::Good(proof) => Ok(*proof),
                Worth::Nothing(why) => Err(bad_code(why).into()),
                // A device that polls is no sign of theft: what the first answer opened stays.
                Worth::Spent => Err(bad_code("the tokens were handed out before").into()),
            }
        })
    }
}

/// The grant that somebody allowed, or what the device is told instead.
async fn allowed(cx: &Cx<'_>, client: &Client, key: &str, secret: &str) -> Result<String, Error> {
    let (records, now) = (cx.provider.records.clone(), cx.now);
    let (key, secret, client) = (key.to_owned(), secret.to_owned(), client.id.to_string());
    let poll = async move { records.change(&key, |device: Device| device.poll(now, &client, &secret)).await };
    let polled = cx.provider.around.tasks.finish(poll).await??;
    let told = |code, told: &'static str| Err(Refusal::new(code, told).into());
    match polled.unwrap_or(Polled::Unknown("unknown device code")) {
        Polled::Allowed(grant) => Ok(grant),
        Polled::Waits => told(ErrorCode::AuthorizationPending, "nobody has decided yet"),
        Polled::TooSoon => told(ErrorCode::SlowDown, "asked too soon: wait five seconds longer each time"),
        Polled::Expired => told(ErrorCode::ExpiredToken, "nobody decided in time"),
        Polled::Refused => told(ErrorCode::AccessDenied, "the person refused"),
        Polled::Unknown(why) => Err(bad_code(why).into()),
    }
}

/// Dex answers `invalid_request` (dex.md 1.17).
fn bad_code(why: &'static str) -> Refusal {
    Refusal::grant("the device code is not valid").because(why).as_dex(ErrorCode::InvalidRequest, 400)
}
