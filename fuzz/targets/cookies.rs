//! The cookies of a browser: no text that we did not seal is anybody's attempt.

#![no_main]

use libfuzzer_sys::fuzz_target;
use obol_fuzz::{PROVIDER, run};
use provider::login::Stop;
use testkit::stage::peer;

fuzz_target!(|raw: &str| {
    let stage = &*PROVIDER;
    stage.decisions();
    // The state of the attempt whose cookie stands first, as an attacker would send it.
    let id = raw.split(['=', ';', ' ']).find_map(|word| word.strip_prefix("obol_attempt_")).unwrap_or(raw);
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("state", id).finish();
    let form = format!("{query}&code=good");
    let outcome = run(stage.callback(&form, Some(raw)));
    assert!(matches!(outcome, Err(Stop::Page { status: 400, .. })), "{outcome:?}");
    let outcome = run(stage.provider.submit_consent(&peer(), id, true, Some(raw)));
    assert!(matches!(outcome, Err(Stop::Page { status: 400, .. })), "{outcome:?}");
});
