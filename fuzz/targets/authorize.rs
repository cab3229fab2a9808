//! The query of the authorization endpoint: whatever it says, the answer is a page, a way back to a registered address, or
//! a step on our own host, and nothing is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use obol_fuzz::{PROVIDER, run};
use provider::login::{Answer, Stop};
use testkit::stage::{ISSUER, peer};
use wire::form::Form;

fuzz_target!(|raw: &str| {
    let Ok(form) = Form::parse(raw, &[]) else { return };
    let stage = &*PROVIDER;
    stage.decisions();
    // So that nobody is held up for having been wrong before.
    stage.clock.advance(std::time::Duration::from_secs(60));
    for outcome in [
        run(stage.provider.authorize(&peer(), raw, &form)),
        run(stage.provider.begin_login(&peer(), "up", &form, Some(raw))),
    ] {
        let answer = match outcome {
            Ok(reply) => Some(reply.answer),
            Err(Stop::Back { way, code, told }) => way.error(ISSUER, code, &told),
            Err(Stop::Page { .. }) => None,
            Err(Stop::Fault(fault)) => panic!("{fault}"),
        };
        match answer {
            Some(Answer::Redirect(to)) => assert!(known(&to), "{to}"),
            Some(Answer::FormPost(form)) => assert!(known(&form.action), "{}", form.action),
            _ => {}
        }
    }
    assert!(stage.memory.is_empty(), "nobody has signed in");
});

fn known(to: &str) -> bool {
    let url = url::Url::parse(to);
    let loopback = |url: &url::Url| {
        matches!(url.host_str(), Some("localhost" | "[::1]")) || to.starts_with("http://127.")
    };
    to.starts_with("/dex/auth/")
        || to.starts_with("https://app.example/cb?")
        || to.starts_with("https://app.example/cb#")
        || to == "https://app.example/cb"
        || to.starts_with("https://up.example/authorize?")
        || url.is_ok_and(|url| url.scheme() == "http" && loopback(&url))
}
