//! What an expression gives, why it fails, and why it is refused, by table; then the same under hostile and random input.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's helpers may fail and tell as its tests may"
)]

mod attacks;
mod conformance;
mod costs;
mod generate;
mod hostile;
mod inspect;
mod libraries;
mod peer;
mod random;
mod refusals;
mod values;

use expr::{Budget, Env, Program, Type, Value, Vars, Want};
use wire::json::Object;

/// `claims` and Kubernetes' `user`.
fn env() -> Env {
    let user = Type::object(
        "user",
        [
            ("username", Type::String),
            ("uid", Type::String),
            ("groups", Type::list(Type::String)),
            ("extra", Type::map(Type::String, Type::list(Type::String))),
        ],
    );
    Env::new().with("claims", Type::claims()).with("user", user).with("audience", Type::list(Type::String))
}

fn claims() -> Object {
    Object::parse(CLAIMS.as_bytes()).unwrap()
}

/// The value in CEL's notation, or `!` and what went wrong.
fn run(source: &str) -> String {
    let program = match Program::compile(source, &env(), Want::Any) {
        Ok(program) => program,
        Err(fault) => return format!("refused {fault}"),
    };
    let (claims, groups) = (claims(), ["dev".to_owned(), "ops".to_owned()]);
    let user = Value::object([("username", Value::from("jane")), ("groups", Value::from(&groups[..]))]);
    let vars =
        Vars::new().with("claims", &claims).with("user", user).with("audience", Value::from(&groups[..1]));
    let mut budget = Budget::default();
    match program.eval(&vars, &mut budget) {
        Ok(value) => show(&value),
        Err(error) => format!("! {}", error.problem),
    }
}

fn show(value: &Value<'_>) -> String {
    let all = |shown: Vec<String>| shown.join(", ");
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Uint(u) => format!("{u}u"),
        Value::Double(d) => format!("{d:?}"),
        Value::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Value::Timestamp(time) => time.to_string(),
        Value::Duration(nanos) => format!("{nanos}ns"),
        Value::Type(name) => (*name).to_owned(),
        Value::Optional(None) => "none".into(),
        Value::Optional(Some(value)) => format!("some({})", show(value)),
        Value::Foreign(foreign) => format!("{foreign:?}"),
        Value::Str(text) => format!("{:?}", text.as_ref()),
        Value::List(list) => format!("[{}]", all(list.iter().map(|item| show(&item)).collect())),
        Value::Map(map) => {
            format!("{{{}}}", all(map.iter().map(|(k, v)| format!("{}: {}", show(&k), show(&v))).collect()))
        }
    }
}

fn check_table(table: &[(&str, &str)]) {
    let wrong = table.iter().filter_map(|(source, want)| {
        let found = run(source);
        (found != *want).then(|| format!("{source}\n   want {want}\n  found {found}"))
    });
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const CLAIMS: &str = r#"{
    "sub": "repo:acme/infra:ref:refs/heads/main", "iss": "https://issuer.example.com", "exp": 1700000000,
    "aud": ["a", "b"], "groups": ["dev", "ops"], "mixed": ["dev", 1, null, true], "ref_protected": "true",
    "flag": true, "off": false, "nothing": null, "empty": "", "one": 1, "one_and_half": 1.5, "whole": 2.0,
    "big": 9007199254740993, "huge": 1e300, "a-b": "dashed", "name": "Grüße, 世界 😀", "none": [], "object": {},
    "kubernetes.io": {"namespace": "prod", "pod": {"name": "web-0"}, "serviceaccount": {"name": "deployer"}},
    "lines": "good\nevil", "number_text": "1", "spaces": " \t x y\u00a0\n"
}"#;
