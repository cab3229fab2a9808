//! The body of the token endpoint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::form::Form;

fuzz_target!(|raw: &str| {
    let Ok(form) = Form::parse(raw, &["audience", "resource"]) else { return };
    for name in ["grant_type", "subject_token", "client_id", "audience", ""] {
        let first = form.get(name);
        assert_eq!(first, form.all(name).next());
        assert!(first.is_none() || form.mentions(name));
        if name == "grant_type" {
            assert!(form.all(name).count() <= 1, "a parameter that may not be repeated is repeated");
        }
    }
});
