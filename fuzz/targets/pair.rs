//! Dex's pair of strings, the form of `sub` and of refresh tokens: one reading, which survives being written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::dex::Pair;

fuzz_target!(|raw: &str| {
    let Some(pair) = Pair::decode(raw) else { return };
    assert_eq!(Pair::decode(&pair.encode()).as_ref(), Some(&pair));
});
