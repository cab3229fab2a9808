//! What kubectl hands to the plugin in its environment.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::exec_credential::ExecInfo;

fuzz_target!(|raw: &str| {
    if let Ok(info) = ExecInfo::parse(raw) {
        assert!(raw.contains("client.authentication.k8s.io/"), "{info:?} was read of something else");
    }
});
