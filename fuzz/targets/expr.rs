//! The source of a policy's expression: refused, or run within its budget.

#![no_main]

use std::sync::LazyLock;

use expr::{Budget, Env, Program, Type, Vars, Want};
use libfuzzer_sys::fuzz_target;
use wire::json::Object;

fuzz_target!(|source: &str| {
    let env = Env::new().with("claims", Type::claims());
    let Ok(program) = Program::compile(source, &env, Want::Any) else { return };
    let vars = Vars::new().with("claims", &*CLAIMS);
    let _ = program.eval(&vars, &mut Budget::default());
});

static CLAIMS: LazyLock<Object> = LazyLock::new(|| {
    let claims = br#"{"sub":"s","n":7,"f":1.5,"ok":true,"nil":null,"list":["a","b"],"map":{"a":{"b":"c"}}}"#;
    Object::parse(claims).expect("the claims are JSON")
});
