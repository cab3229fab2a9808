//! An audit log that is behind: nothing is granted that would not be heard, and it goes on when the log does.

use provider::error::{Error, Fault};
use provider::login::Stop;
use testkit::stage::{Stage, app, authorization, peer};

use crate::code::redeem;

#[tokio::test]
async fn nothing_is_granted_that_the_audit_log_cannot_take() {
    let stage = Stage::new().await;
    let code = stage.sign_in("app", "openid").await;
    let (cookie, state) = stage.depart(&authorization("native", "openid")).await;
    let back = format!("state={state}&code=good");
    let machine = "grant_type=client_credentials";
    let bearer = stage.granted(machine).await.access_token;
    let busy = |error: &Error| matches!(error, Error::Fault(Fault::Busy { .. }));

    stage.deafen(true);
    let records = stage.memory.len();
    for form in [machine, &redeem(&code)] {
        assert!(stage.token(Some(&app()), form).await.is_err_and(|error| busy(&error)), "{form}");
    }
    assert!(stage.provider.userinfo(&peer(), Some(&bearer)).await.is_err_and(|error| busy(&error)));
    let arrived = stage.callback(&back, Some(&cookie)).await;
    assert!(matches!(arrived, Err(Stop::Fault(Fault::Busy { .. }))), "{arrived:?}");
    assert_eq!(stage.memory.len(), records, "something was written");

    stage.deafen(false);
    stage.granted(&redeem(&code)).await;
    stage.provider.userinfo(&peer(), Some(&bearer)).await.unwrap();
    stage.callback(&back, Some(&cookie)).await.unwrap();
}
