//! A configuration file: read whole, or refused with a reason.

#![no_main]

use config::Faults;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &str| {
    let faults = Faults::new();
    if config::parse(raw, &faults).is_none() {
        assert!(faults.has_errors(), "refused without a word");
    }
});
