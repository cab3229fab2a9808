//! A token as a stranger sends it: taken apart, never judged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::claims::Claims;
use wire::jose::Compact;

fuzz_target!(|raw: &str| {
    let Ok(compact) = Compact::parse(raw) else { return };
    // What was verified must be what was sent: the signature covers the very bytes before the last dot.
    let (signed, signature) = raw.rsplit_once('.').expect("three segments");
    assert_eq!(compact.signing_input, signed);
    assert_eq!(wire::b64::encode(&compact.signature), signature, "two spellings of one signature");
    assert!(!compact.header.algorithm.is_empty());
    let _ = Claims::parse(&compact.payload);
});
