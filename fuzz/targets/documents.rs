//! Discovery documents and key sets, as an upstream that was taken over would send them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::discovery::Upstream;
use wire::jose::Jwk;
use wire::json::{Object, Value};

fuzz_target!(|raw: &[u8]| {
    let _ = serde_json::from_slice::<Upstream>(raw);
    let Ok(set) = Object::parse(raw) else { return };
    for key in set.get("keys").and_then(Value::as_list).into_iter().flatten() {
        let Some(object) = key.as_object() else { continue };
        if let Some(jwk) = Jwk::from_object(object) {
            assert_eq!(object.str("kty"), Some(jwk.kty.as_str()));
            assert_eq!(object.str("kid"), jwk.kid.as_deref());
        }
    }
});
