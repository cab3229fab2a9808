//! YAML to nodes: what is refused, where, and that no text is too much.

use config::{Faults, KeyStyle, Read, Section, Value, parse};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn read(text: &str) -> (Option<Json>, String) {
    let faults = Faults::new();
    let json = parse(text, &faults).and_then(|root| Json::read(&root.field(KeyStyle::Ours, &faults)));
    (json, faults.to_string())
}

#[test]
fn texts_become_the_values_that_dex_sees() {
    for (text, want) in [
        ("", json!({})),
        ("# nothing\n", json!({})),
        ("---\na: 1\n...\n", json!({"a": 1})),
        ("{\"a\": [1, true, null, \"x\", 1.5], \"b\": {}}", json!({"a": [1, true, null, "x", 1.5], "b": {}})),
        (
            "a: yes\nb: 'yes'\nc: 010\nd: 1_000\ne: 1e3\nf: ~\n",
            json!({"a": true, "b": "yes", "c": 8, "d": 1000, "e": 1000, "f": null}),
        ),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", json!({"a": "x\ny\n", "b": "x y"})),
        ("a: |\n  12\n", json!({"a": "12\n"})),
        ("a: 2001-01-01\nb: 12:30\n", json!({"a": "2001-01-01", "b": "12:30"})),
        (
            "a: !!str 12\nb: !!int '12'\nc: !!bool yes\nd: ! 12\ne: !!map {}\nf: !!seq []\n",
            json!({"a": "12", "b": 12, "c": true, "d": "12", "e": {}, "f": []}),
        ),
        ("a: &x [1, 2]\nb: *x\n", json!({"a": [1, 2], "b": [1, 2]})),
        ("b: &b {x: 1, z: 2}\nc: {<<: *b, x: 9}\n", json!({"b": {"x": 1, "z": 2}, "c": {"x": 9, "z": 2}})),
        (
            "a: &a {x: 1}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n",
            json!({"a": {"x": 1}, "b": {"x": 2, "z": 2}, "c": {"x": 1, "z": 2}}),
        ),
        ("'<<': {x: 1}\n", json!({"<<": {"x": 1}})),
        ("\u{feff}a: 1\r\nb: 2\r\n", json!({"a": 1, "b": 2})),
    ] {
        assert_eq!(read(text), (Some(want), String::new()), "{text:?}");
    }
}

#[test]
fn faults_name_their_place() {
    for (text, want) in [
        (
            "a: 1\nb: {c: 1, d: 2, c: 3}\n",
            "2:17: error: b: holds the key \"c\" twice, first on line 2; remove one",
        ),
        ("a:\n- b: 1\n  b: 2\n", "3:3: error: a[0]: holds the key \"b\" twice, first on line 2; remove one"),
        ("a: 1\n---\nb: 2\n", "2:1: error: holds a second document; keep one: remove the line `---`"),
        ("a: !secret x\n", "1:4: error: a: has the tag \"!secret\", which does not fit; remove the tag"),
        ("a: !!binary aGk=\n", "1:4: error: a: has the tag \"!!binary\", which does not fit; remove the tag"),
        ("a: !!int x\n", "1:4: error: a: has the tag \"!!int\", which does not fit; remove the tag"),
        ("a: !!map []\n", "1:4: error: a: has the tag \"!!map\", which does not fit; remove the tag"),
        ("a: &a [*a]\n", "1:8: error: a[0]: is an alias to something that contains it; write it out"),
        ("? [x]\n: 1\n", "1:3: error: has a list as a key; keys are plain words"),
        ("~: 1\n", "1:1: error: has an empty key; write a key before the colon"),
        ("a: {<<: 1}\n", "1:5: error: a: merges a number by `<<`; merge mappings only"),
        (
            "b: &b {x: 1}\nc:\n  x: 2\n  <<: *b\n",
            "4:3: error: c: has the key \"x\" both above `<<` and in what `<<` merges; move the line `<<` up, before the \
          keys that override it",
        ),
    ] {
        assert_eq!(read(text).1.trim_end(), want, "{text:?}");
    }
}

#[test]
fn what_is_no_yaml_is_one_fault_with_its_line() {
    for (text, line) in [
        ("a: [1\nb: 2\n", 2),
        ("a: 'x\n", 1),
        ("a: b: c\n", 1),
        ("a:\n\t- b\n", 2),
        ("a: *x\n", 1),
        ("a: @x\n", 1),
    ] {
        let faults = Faults::new();
        assert!(parse(text, &faults).is_none(), "{text:?}");
        let errors = faults.errors();
        assert_eq!(errors.len(), 1, "{text:?}");
        assert!(errors[0].what.starts_with("is not YAML: "), "{}", errors[0]);
        assert!(errors[0].line >= line, "{}", errors[0]);
    }
}

#[test]
fn bombs_are_refused() {
    let mut doubling = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        let below = level - 1;
        doubling.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    let mut nesting = String::from("a0: &a0 [x]\n");
    for level in 1..100 {
        nesting.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(1000));
    for (text, what) in [
        (doubling, "copies too much by aliases"),
        (long, "copies too much by aliases"),
        (nesting, "is nested more than 64 deep"),
        ("- ".repeat(10_000), "is nested more than 64 deep"),
        (format!("{}{}", "[".repeat(65), "]".repeat(65)), "is nested more than 64 deep"),
        (" ".repeat((16 << 20) + 1), "is larger than 16 MiB"),
    ] {
        let faults = Faults::new();
        assert!(parse(&text, &faults).is_none());
        assert_eq!(faults.errors()[0].what, what);
    }
    assert_eq!(read(&format!("{}{}", "[".repeat(64), "]".repeat(64))).1, "");
}

#[test]
fn nodes_keep_the_place_of_every_key_and_value() {
    let faults = Faults::new();
    let root = parse("ä: ö\nlist:\n  - x\n", &faults).unwrap();
    let Value::Map(entries) = &root.node().value else { panic!("not a mapping") };
    let places: Vec<_> =
        entries.iter().map(|e| (e.at.line, e.at.column, e.node.at.line, e.node.at.column)).collect();
    assert_eq!(places, [(1, 1, 1, 4), (2, 1, 3, 3)]);
}

#[test]
fn debug_shows_keys_and_shapes_and_no_values() {
    let root = parse("clientSecret: hunter2\nn: 1\n", &Faults::new()).unwrap();
    let shown = format!("{root:?}");
    assert!(shown.contains("clientSecret") && !shown.contains("hunter2"), "{shown}");
}

fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a"),
        Just("b: "),
        Just("- "),
        Just("\n"),
        Just("\n  "),
        Just("&a "),
        Just("*a"),
        Just("<<: "),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(", "),
        Just("'"),
        Just("\""),
        Just("|\n"),
        Just(">-\n"),
        Just("? "),
        Just(": "),
        Just("!!str "),
        Just("!x "),
        Just("#"),
        Just("---\n"),
        Just("...\n"),
        Just("%TAG ! x\n"),
        Just("\t"),
        Just("\\"),
        Just("010"),
        Just("é"),
        Just("\u{feff}"),
        Just("\r"),
        Just("\0"),
        Just("~"),
        Just("%")
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        "[ -~é]{0,12}".prop_map(Json::from),
        "yes|no|0x1F|~|null|1e3|<<|\\$A".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[a-z<]{1,6}|<< ", inner, 0..5)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// As YAML, every string in single quotes, collections in flow style.
fn printed(json: &Json) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match json {
        Json::Null => String::from("~"),
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(k, v)| format!("{}: {}", quoted(k), printed(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in yamlish()) {
        let faults = Faults::new();
        if let Some(root) = parse(&text, &faults) {
            let environment = [("A", "x")].into_iter().collect();
            let _ = Json::read(&root.expanded(&environment).field(KeyStyle::Dex, &faults));
            let mut fields = root.fields(KeyStyle::Dex, &faults);
            let _ = (fields.optional::<Vec<String>>("a"), fields.optional::<Section>("b"), fields.or("a", 0_u16));
            fields.finish();
        } else {
            prop_assert!(faults.has_errors());
        }
        let _ = faults.to_string();
    }

    #[test]
    fn any_characters_do_not_panic(text in "\\PC{0,200}") {
        let _ = parse(&text, &Faults::new());
    }

    #[test]
    fn json_reads_back(value in json()) {
        prop_assume!(!value.is_null());
        prop_assert_eq!(read(&value.to_string()), (Some(value), String::new()));
    }

    #[test]
    fn printed_yaml_reads_back(value in json()) {
        prop_assume!(!value.is_null());
        prop_assert_eq!(read(&format!("{}\n", printed(&value))), (Some(value), String::new()));
    }
}
