//! JSON with one meaning: what was read is written back as what is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::json::Value;

fuzz_target!(|raw: &[u8]| {
    let Ok(value) = Value::parse(raw) else { return };
    let written = serde_json::to_vec(&value).expect("a value that was read can be written");
    assert_eq!(Value::parse(&written).expect("what we write we read"), value);
    // Whatever we accept, the usual parser accepts too: we are the stricter one.
    assert!(serde_json::from_slice::<serde_json::Value>(raw).is_ok());
});
