//! A refresh token, and where else one may be handed in: what we did not give out is refused, and nothing is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use obol_fuzz::{PROVIDER, escaped, run};
use provider::error::Error;
use testkit::stage::{app, peer};
use wire::form::Form;

fuzz_target!(|raw: &str| {
    let stage = &*PROVIDER;
    stage.decisions();
    let body = format!("grant_type=refresh_token&refresh_token={}", escaped(raw));
    match run(stage.token(Some(&app()), &body)) {
        Err(Error::Refusal(refusal)) => {
            let code = if raw.is_empty() { "invalid_request" } else { "invalid_grant" };
            assert_eq!(refusal.code.as_str(), code);
            let told =
                if raw.is_empty() { "refresh_token is missing" } else { "the refresh token is not valid" };
            assert_eq!(refusal.told, told, "nothing of it is sent back");
        }
        other => panic!("{other:?}"),
    }
    let body = format!("token={}", escaped(raw));
    let revoked = run(stage.provider.revoke(&peer(), Some(&app()), &Form::parse(&body, &[]).unwrap()));
    assert!(revoked.is_ok() || raw.is_empty(), "{revoked:?}");
    assert!(stage.memory.is_empty());
});
