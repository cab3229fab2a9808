//! A file of policies and the claims that meet them: refused with a reason, or decided without a panic; and whatever is
//! granted is nothing that Obol emits itself and no `system:` name that nobody asked for.

#![no_main]

use config::Faults;
use libfuzzer_sys::fuzz_target;
use provider::policy::written::Policies;
use wire::claims::Claims;

fuzz_target!(|input: (&str, &str)| {
    let (yaml, claims) = input;
    let faults = Faults::new();
    let Some(root) = config::parse(yaml, &faults) else {
        assert!(faults.has_errors(), "refused without a word");
        return;
    };
    let policies = Policies::read(&root, &faults);
    policies.compare(&Faults::new());
    let Ok(claims) = Claims::parse(claims.as_bytes()) else { return };
    for (connector, client) in [("gitlab", "prod"), ("self", "prod")] {
        let Ok(granted) = policies.rehearse(connector, client, &claims) else { continue };
        assert!(!faults.has_errors(), "faulty policies are in force");
        assert!(!granted.audience.is_empty() && !granted.subject.is_empty());
        assert!(!granted.subject.starts_with("system:") || yaml.contains("allowSystem"));
    }
});
