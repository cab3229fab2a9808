//! What somebody types as a name, an operator's filter, and a directory's answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::ldap::{Filter, Message, escape, message_length, unescape};

fuzz_target!(|input: (&str, &str, &[u8])| {
    let (name, filter, answer) = input;
    // Data whatever it holds: as text it means the same as the value itself.
    let by_text = Filter::parse_list(&format!("(uid={})", escape(name)));
    assert_eq!(by_text, Ok(vec![Filter::equals("uid", name.as_bytes())]));
    assert_eq!(unescape(&escape(name)).as_deref(), Some(name));
    // A filter that is read stays itself among others.
    if let Ok(filters) = Filter::parse_list(filter) {
        let all = Filter::all(filters.iter().cloned().chain([Filter::equals("uid", name.as_bytes())]));
        // One level deeper it may be too deep.
        if let Ok(inside) = Filter::parse_list(&format!("(&{filter}(uid={}))", escape(name))) {
            assert_eq!(inside, vec![all]);
        }
    }
    let _ = Message::parse(answer);
    if let Ok(Some(length)) = message_length(answer, 1 << 20) {
        assert!(length <= 1 << 20);
    }
});
