//! Sources made to hurt: they are refused or run, on a small stack, and never crash.

use expr::{Budget, Program, Value, Vars, Want};

use crate::{claims, env};

/// Compiles and, if accepted, runs; the stack is that of a worker thread.
fn survives(source: String) -> bool {
    let run = move || {
        let program = Program::compile(&source, &env(), Want::Any);
        let Ok(program) = program else { return false };
        let claims = claims();
        let vars = Vars::new().with("claims", &claims);
        drop(program.eval(&vars, &mut Budget::default()));
        true
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap()
}

#[test]
fn nesting_is_bounded() {
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{1:", "1", "}"),
        ("size(", "1", ")"),
        ("'a'.contains(", "1", ")"),
        ("claims[", "1", "]"),
        ("!(", "true", ")"),
        ("-(", "1", ")"),
        ("true?1:", "1", ""),
        ("1+(", "1", ")"),
        ("true || true && 1 == 1 + 1 * -(", "1", ")"),
        ("has(", "claims.a", ")"),
        ("'", "", ""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("{", "", ""),
        ("?", "", ""),
    ] {
        for times in [1, 3, 50, 99, 100, 101, 1_000, 3_000, 10_000, 200_000] {
            survives(format!("{}{middle}{}", open.repeat(times), close.repeat(times)));
            survives(open.repeat(times));
        }
    }
    assert!(survives(format!("{}1{}", "(".repeat(90), ")".repeat(90))));
    assert!(!survives(format!("{}1{}", "(".repeat(101), ")".repeat(101))));
}

#[test]
fn chains_are_bounded() {
    for link in
        ["+1", ".a", "['a']", " == 1", "-1", " in [1]", ".size()", "?1:1", ",1", " && true", " || false"]
    {
        for times in [50, 101, 1_000, 10_000] {
            survives(format!("claims{}", link.repeat(times)));
            survives(format!("1{}", link.repeat(times)));
        }
    }
    // A long list of alternatives is no nesting.
    let repeated = vec!["claims.sub == 'x'"; 400].join(" || ");
    assert!(survives(repeated));
    assert!(survives(format!("[{}1]", "1, ".repeat(3_000))));
    assert!(!survives(format!("'{}'", "x".repeat(10_240))));
}

#[test]
fn what_is_made_is_paid_for() {
    // Ten times as long with every step.
    let source = format!("'x'{}", ".replace('x', 'xxxxxxxxxx')".repeat(20));
    let program = Program::compile(&source, &env(), Want::String).unwrap();
    let error = program.eval_string(&Vars::new(), &mut Budget::default()).unwrap_err();
    assert_eq!(error.problem, expr::Problem::Exhausted);
    let keys = (0..1_100).map(|n| format!("{n}:1")).collect::<Vec<_>>().join(",");
    let program = Program::compile(&format!("{{{keys}}}"), &env(), Want::Any).unwrap();
    let found = program.eval(&Vars::new(), &mut Budget::new(100_000));
    assert_eq!(found.map(|value| value.kind()).unwrap_err().problem, expr::Problem::Exhausted);
}

#[test]
fn the_host_may_forget_or_mistake_a_variable() {
    let program = Program::compile("user.groups[0] + user.username", &env(), Want::Any).unwrap();
    let run =
        |vars: Vars<'_>| program.eval(&vars, &mut Budget::default()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(run(Vars::new()), "1:1: the variable `user` has no value");
    assert_eq!(run(Vars::new().with("user", 1)), "1:6: not possible with int");
    let user = Value::object([("groups", Value::from(true))]);
    assert_eq!(run(Vars::new().with("user", user)), "1:12: not possible with bool, int");
}
