//! The source of a policy's expression and the claims it reads: refused, or run within its budget, twice alike.

#![no_main]

use expr::{Budget, Env, Program, Type, Vars, Want};
use libfuzzer_sys::fuzz_target;
use wire::json::Object;

fuzz_target!(|input: (&str, &str)| {
    let (source, raw_claims) = input;
    let env = Env::new().with("claims", Type::claims());
    let Ok(program) = Program::compile(source, &env, Want::Any) else { return };
    let claims = Object::parse(raw_claims.as_bytes()).unwrap_or_else(|_| usual());
    let vars = Vars::new().with("claims", &claims);
    let mut budget = Budget::new(UNITS);
    let first = program.eval(&vars, &mut budget);
    let spent = UNITS - budget.left();
    if let Ok(value) = &first {
        let _ = value.to_json();
        let mut exact = Budget::new(spent);
        assert!(program.eval(&vars, &mut exact).is_ok(), "what it costs is what it needs");
        if spent > 0 {
            assert!(program.eval(&vars, &mut Budget::new(spent - 1)).is_err(), "and nothing less will do");
        }
    }
    // What holds, holds for each of the conjuncts that an index rests on.
    let _ = (program.reads(), program.literals(), program.literal_conjuncts(), program.searches());
});

fn usual() -> Object {
    let claims = br#"{"sub":"s","n":7,"f":1.5,"ok":true,"nil":null,"list":["a","b"],"map":{"a":{"b":"c"}}}"#;
    Object::parse(claims).expect("the claims are JSON")
}

const UNITS: u64 = 20_000;
