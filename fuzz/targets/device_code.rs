//! What a device polls with, and what its person types: nothing is found that nobody waits for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use obol_fuzz::{PROVIDER, escaped, run};
use provider::error::Error;
use provider::login::Answer;
use testkit::stage::{app, peer};

fuzz_target!(|raw: &str| {
    let stage = &*PROVIDER;
    stage.decisions();
    // So that nobody is held up for having been wrong before.
    stage.clock.advance(std::time::Duration::from_secs(60));
    let kind = "urn:ietf:params:oauth:grant-type:device_code";
    let body = format!("grant_type={kind}&device_code={}", escaped(raw));
    match run(stage.token(Some(&app()), &body)) {
        Err(Error::Refusal(refusal)) => {
            let code = if raw.is_empty() { "invalid_request" } else { "invalid_grant" };
            assert_eq!(refusal.code.as_str(), code);
        }
        other => panic!("{other:?}"),
    }
    let typed = run(stage.provider.verify_user_code(&peer(), raw)).expect("a page");
    let Answer::Device(page) = typed.answer else { panic!("a code that nobody waits for") };
    assert!(page.wrong && (page.code.is_empty() || page.code.len() == 9), "{page:?}");
    assert!(stage.memory.is_empty());
});
