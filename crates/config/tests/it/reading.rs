//! Values to types: what each takes, and what it says to what it does not take.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use ambient::Secret;
use config::{Base64, Environment, Faults, HttpUrl, KeyStyle, Kind, Read, Section, parse};
use url::Url;

/// Reads `v: <text>` and gives the value beside the faults.
fn read<T: Read>(text: &str, keys: KeyStyle) -> (Option<T>, String) {
    let faults = Faults::new();
    let root = parse(&format!("v: {text}\n"), &faults).unwrap_or_else(|| Section::empty(""));
    let mut fields = root.fields(keys, &faults);
    let value = fields.optional("v");
    fields.finish();
    (value, faults.to_string())
}

#[track_caller]
fn takes<T: Read + Debug + PartialEq>(text: &str, want: T) {
    assert_eq!(read(text, KeyStyle::Ours), (Some(want), String::new()), "{text:?}");
}

#[track_caller]
fn refuses<T: Read + Debug + PartialEq>(text: &str, fault: &str) {
    let (value, faults) = read::<T>(text, KeyStyle::Ours);
    assert_eq!(value, None, "{text:?}");
    assert_eq!(faults.trim_end(), format!("1:4: error: v: {fault}"), "{text:?}");
}

#[test]
fn strings() {
    takes("x y", String::from("x y"));
    takes("'12'", String::from("12"));
    takes("\"\"", String::new());
    takes("12:30", String::from("12:30"));
    refuses::<String>("12", "is a number where a string is wanted; put it in quotes");
    refuses::<String>("yes", "is a boolean where a string is wanted; put it in quotes");
    refuses::<String>("1.10", "is a number where a string is wanted; put it in quotes");
    assert_eq!(read::<String>("~", KeyStyle::Ours), (None, String::new()), "null is absence");
    refuses::<Vec<String>>(
        "x",
        "is a string where a list is wanted; write `- ` before each element, below the key",
    );
}

/// Dex 2.45 takes them in its static sections and refuses them in connectors; later ones refuse them.
#[test]
fn in_dex_sections_a_number_that_reads_as_written_is_a_string_with_a_warning() {
    for text in ["12345", "true", "-7", "1.2"] {
        let (value, faults) = read::<String>(text, KeyStyle::Dex);
        assert_eq!(value.as_deref(), Some(text));
        assert!(faults.starts_with("1:4: warning: v: is a"), "{faults}");
    }
    for text in ["0123", "yes", "1.10", "1_000", "0x10", "+7", "1e3", "1234567.5", "1.", ".5"] {
        let (value, faults) = read::<String>(text, KeyStyle::Dex);
        assert_eq!(value, None, "{text}");
        assert!(faults.contains("error"), "{faults}");
    }
}

#[test]
fn booleans() {
    takes("on", true);
    takes("False", false);
    refuses::<bool>("'true'", "is a string where a boolean is wanted; write true without quotes");
    refuses::<bool>("1", "is a number where a boolean is wanted; write true or false");
    refuses::<bool>("tRue", "is a string where a boolean is wanted; write true or false");
}

#[test]
fn whole_numbers() {
    takes("010", 8_u16);
    takes("0x1F", 31_u16);
    takes("1e3", 1000_u64);
    takes("-5", -5_i64);
    takes("18446744073709551615", u64::MAX);
    refuses::<u16>("70000", "is \"70000\"; write a whole number from 0 to 65535");
    refuses::<u16>("-1", "is \"-1\"; write a whole number from 0 to 65535");
    refuses::<u16>("1.5", "is \"1.5\"; write a whole number from 0 to 65535");
    refuses::<u16>("'5'", "is \"5\"; write a whole number from 0 to 65535");
    refuses::<u16>(".nan", "is \".nan\"; write a whole number from 0 to 65535");
}

#[test]
fn durations() {
    takes("1h30m", Duration::from_secs(5400));
    takes("'0'", Duration::ZERO);
    let example = "write it as 1h30m, 15m or 300ms";
    refuses::<Duration>("3600", &format!("is a number without a unit; {example}"));
    refuses::<Duration>(
        "1d",
        &format!("is \"1d\", which has a unit other than ns, us, ms, s, m, h; {example}"),
    );
    refuses::<Duration>("-5m", &format!("is \"-5m\", which is negative; {example}"));
}

#[test]
fn urls_keep_their_text() {
    let (url, faults) = read::<HttpUrl>("https://Login.example.com", KeyStyle::Ours);
    let url = url.unwrap();
    assert_eq!(
        (url.as_str(), url.url().as_str()),
        ("https://Login.example.com", "https://login.example.com/")
    );
    assert_eq!(faults, "");
    takes("ldap://a.example:389", Url::parse("ldap://a.example:389").unwrap());
    for (text, why) in [
        ("login.example.com", "is not a URL (relative URL without a base)"),
        ("ldap://a.example", "is neither http nor https"),
        ("'https://'", "is not a URL (empty host)"),
    ] {
        let shown = text.trim_matches('\'');
        refuses::<HttpUrl>(text, &format!("is {shown:?}, which {why}; write https://host/path"));
    }
}

#[test]
fn bytes() {
    takes("aGk=", Base64(b"hi".to_vec()));
    takes("\"aG\\nk=\"", Base64(b"hi".to_vec()));
    refuses::<Base64>("aGk", "is not base64; encode the bytes with `base64 -w0`, padding included");
}

#[test]
fn collections_leave_out_what_cannot_be_read() {
    let (value, faults) = read::<Vec<u16>>("[1, x, 3]", KeyStyle::Ours);
    assert_eq!(value, Some(vec![1, 3]));
    assert_eq!(faults, "1:8: error: v[1]: is \"x\"; write a whole number from 0 to 65535\n");
    let (value, faults) = read::<BTreeMap<String, bool>>("{a.b: yes, c: 1}", KeyStyle::Ours);
    assert_eq!(value, Some(BTreeMap::from([(String::from("a.b"), true)])));
    assert_eq!(faults, "1:18: error: v.c: is a number where a boolean is wanted; write true or false\n");
}

#[test]
fn words_come_from_a_table() {
    let faults = Faults::new();
    let root = parse("a: one\nb: tow\n", &faults).unwrap();
    let mut fields = root.fields(KeyStyle::Ours, &faults);
    let table = [("one", 1), ("two", 2)];
    assert_eq!(
        (fields.one_of("a", &table), fields.one_of("b", &table), fields.one_of("c", &table)),
        (Some(1), None, None)
    );
    assert_eq!(faults.to_string(), "2:4: error: b: is \"tow\"; write one of \"one\", \"two\"\n");
}

#[test]
fn secrets_are_never_shown() {
    for text in ["hunter2", "[hunter2]", "{hunter2: hunter2}"] {
        let (value, faults) = read::<Secret<String>>(text, KeyStyle::Ours);
        assert!(!format!("{value:?}{faults}").contains("hunter2"), "{faults}");
    }
    let faults = Faults::new();
    let environment: Environment = [("PIN", "hunter2")].into_iter().collect();
    let root =
        parse("a: $PIN\nb: $PIN\nc: $PIN\nd: $PIN\ne: $PIN\n", &faults).unwrap().expanded(&environment);
    let mut fields = root.fields(KeyStyle::Ours, &faults);
    let _ = (fields.optional::<u16>("a"), fields.optional::<Duration>("b"), fields.optional::<HttpUrl>("c"));
    let _ = (fields.one_of("d", &[("x", ())]), fields.optional::<Url>("e"));
    fields.finish();
    assert_eq!(faults.errors().len(), 5);
    assert!(!faults.to_string().contains("hunter2"), "{faults}");
}

#[test]
fn expansion_reaches_what_dex_reaches() {
    let faults = Faults::new();
    let environment: Environment = [("V", "x")].into_iter().collect();
    let text = "$V: $V\nlist: [$V, {k: $V}, [$V]]\nn: 5\nquoted: '$V'\nblock: |\n  $V\n";
    let root = parse(text, &faults).unwrap().expanded(&environment);
    let json = serde_json::Value::read(&root.field(KeyStyle::Dex, &faults)).unwrap();
    let want = serde_json::json!({"$V": "x", "list": ["x", {"k": "x"}, ["$V"]], "n": 5, "quoted": "x", "block": "x\n"});
    assert_eq!(json, want);
    let port = [("P", "80")].into_iter().collect();
    let root = parse("port: $P\n", &faults).unwrap().expanded(&port);
    let number = root.fields(KeyStyle::Dex, &faults).optional::<u16>("port");
    assert_eq!(number, None, "an expanded value is a string, as in Dex");
}

#[test]
fn keys_in_dex_sections_ignore_case_and_in_ours_do_not() {
    let faults = Faults::new();
    let root = parse("ClientID: a\nclientid: b\n", &faults).unwrap();
    let mut fields = root.fields(KeyStyle::Dex, &faults);
    assert_eq!(fields.optional::<String>("clientID").as_deref(), Some("a"));
    fields.finish();
    assert_eq!(
        faults.to_string(),
        "2:1: error: holds the key \"clientid\" twice, first on line 1; remove one; case makes no difference here\n"
    );
    let faults = Faults::new();
    let mut fields = root.fields(KeyStyle::Ours, &faults);
    assert_eq!(fields.optional::<String>("clientID"), None);
    fields.finish();
    assert_eq!(
        faults.to_string(),
        "1:1: error: ClientID: is not a known key; did you mean clientID?\n\
         2:1: error: clientid: is not a known key; did you mean clientID?\n"
    );
}

#[test]
fn an_old_spelling_beside_the_new_one_is_a_fault() {
    let faults = Faults::new();
    let root = parse("claimMapping: {}\nclaimMappings: {}\n", &faults).unwrap();
    let mut fields = root.fields(KeyStyle::Dex, &faults);
    fields.spelling("claimMapping", "claimMappings");
    assert!(fields.optional::<Section>("claimMapping").is_some());
    assert!(faults.errors()[0].what.contains("twice"), "{faults}");
}

#[test]
fn presence_and_value_are_different_questions() {
    let faults = Faults::new();
    let root = parse("tokenExchange:\n", &faults).unwrap();
    let mut fields = root.fields(KeyStyle::Dex, &faults);
    assert!(fields.is_written("tokenExchange") && !fields.has("tokenExchange"));
    assert!(fields.optional_group("tokenExchange").is_none());
    assert_eq!(faults.known_keys()[0].kind, Kind::Section);
}

/// A section that restricts by being there must not be lost to a slip.
#[test]
fn a_slip_in_a_restricting_key_is_an_error() {
    for (text, error) in [
        ("tokenExchnage: {}", true),
        ("tokenExchanges: {}", true),
        ("token_exchange: {}", true),
        ("expiryy: {}", false),
        ("something: {}", false),
    ] {
        let faults = Faults::new();
        let root = parse(text, &faults).unwrap();
        let mut fields = root.fields(KeyStyle::Dex, &faults);
        fields.restricting(&["tokenExchange", "sealing"]);
        let _ = fields.optional_group("expiry");
        fields.finish();
        assert_eq!(faults.has_errors(), error, "{faults}");
        assert_eq!(faults.to_string().contains("did you mean tokenExchange?"), error, "{faults}");
    }
}

#[test]
fn what_is_there_and_unfit_is_not_called_missing() {
    let faults = Faults::new();
    let root = parse("other: 1\nlevel: loud\nempty:\n", &faults).unwrap();
    let mut fields = root.fields(KeyStyle::Dex, &faults);
    for key in ["level", "empty", "absent"] {
        let _: Option<String> = fields.optional(key);
        fields.unfit(key, "write info");
    }
    let told = faults.to_string();
    assert!(told.contains("2:8: error: level: cannot be used as it is; write info"), "{told}");
    assert!(
        told.contains("error: empty: is missing") && told.contains("error: absent: is missing"),
        "{told}"
    );
}
