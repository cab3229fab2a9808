//! Random sources and random claims: nothing panics, nothing costs more than it may.

use expr::{Budget, Problem, Program, Vars, Want};
use proptest::prelude::*;
use wire::json::{Object, Value};

use crate::env;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(source in "\\PC{0,60}") {
        let _ = Program::compile(&source, &env(), Want::Any);
    }

    #[test]
    fn any_tokens_are_read_or_refused(tokens in prop::collection::vec(token(), 0..24)) {
        let source = tokens.join(" ");
        if let Err(fault) = Program::compile(&source, &env(), Want::Any) {
            prop_assert_eq!(fault.line, 1);
            prop_assert!(fault.column <= source.chars().count() + 1);
        }
    }

    #[test]
    fn any_expression_ends_within_its_budget(
        source in expression(), claims in object(), units in 0_u64..400,
    ) {
        let Ok(program) = Program::compile(&source, &env(), Want::Any) else { return Ok(()) };
        let vars = Vars::new().with("claims", &claims);
        let mut ample = Budget::default();
        let whole = program.eval(&vars, &mut ample).map(|value| crate::show(&value));
        let cost = Budget::default().left() - ample.left();
        let mut budget = Budget::new(units);
        let again = program.eval(&vars, &mut budget).map(|value| crate::show(&value));
        if units >= cost {
            prop_assert_eq!(again, whole);
            prop_assert_eq!(budget.left(), units - cost);
        } else {
            prop_assert_eq!(again.unwrap_err().problem, Problem::Exhausted);
        }
    }

    /// A statically known type is what comes out, or an error.
    #[test]
    fn the_static_type_holds(source in expression(), claims in object()) {
        let Ok(program) = Program::compile(&source, &env(), Want::Any) else { return Ok(()) };
        let vars = Vars::new().with("claims", &claims);
        let Ok(value) = program.eval(&vars, &mut Budget::default()) else { return Ok(()) };
        let declared = program.result().to_string();
        let kind = declared.split('(').next().unwrap_or_default();
        prop_assert!(kind == "dyn" || kind == value.kind(), "{} is {}, found {}", source, declared, value.kind());
    }
}

fn token() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "claims", ".", "sub", "user", "(", ")", "[", "]", "{", "}", "&&", "||", "!", "-", "+", "*", "/", "%",
        "==", "!=", "<", ">=", "in", "?", ":", ",", "'a'", "r'b'", "1", "2.5", "true", "null", "has(",
        "size(", "matches", "split", "\"", "'''", "0x", "1e", "\\", "ä", "//", "b'", "u",
    ])
    .prop_map(str::to_owned)
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "claims",
        "claims.a",
        "claims.b",
        "claims['c']",
        "claims.a.b",
        "'a'",
        "''",
        "'a,b'",
        "1",
        "0",
        "-1",
        "2.5",
        "9223372036854775807",
        "true",
        "false",
        "null",
        "[]",
        "['a']",
        "[1, 2]",
        "{'a': 1}",
        "{}",
        "'ä'",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let binary = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ]);
        let method = prop::sample::select(vec![
            "size()", "trim()", "split(',')", "join('-')", "charAt(1)", "substring(1)", "lowerAscii()",
            "indexOf('a')", "lastIndexOf('a')", "replace('a', 'bb')", "matches('^a+$')", "a",
        ]);
        let function = prop::sample::select(vec!["size", "string", "int", "double", "bool", "dyn", "!", "-"]);
        prop_oneof![
            3 => (inner.clone(), binary, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            2 => (inner.clone(), method).prop_map(|(a, f)| format!("({a}).{f}")),
            2 => (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => inner.clone().prop_map(|a| format!("has(({a}).a)")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("[{a}, {b}]")),
        ]
    })
}

fn object() -> impl Strategy<Value = Object> {
    prop::collection::btree_map("[abc]", json(), 0..4)
        .prop_map(|members| Object::from_members(members.into_iter().collect()).unwrap())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-3_i64..3).prop_map(Value::Int),
        (-1e300..1e300).prop_map(Value::Float),
        "[ab,ä]{0,6}".prop_map(Value::Str),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|members| Value::Object(
                Object::from_members(members.into_iter().collect()).unwrap()
            )),
        ]
    })
}
