//! `evaluations SECONDS` answers each line {expr, claims} with evaluations per second, once with claims that are parsed
//! already and once from their JSON. For `cargo xtask bench expr`, which asks two other implementations the same.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead as _;
use std::time::{Duration, Instant};

use expr::{Budget, Env, Program, Type, Vars, Want};
use wire::json::Object;

fn main() -> Result<(), Box<dyn Error>> {
    let span: f64 = std::env::args().nth(1).ok_or("evaluations SECONDS")?.parse()?;
    let env = Env::new().with("claims", Type::claims());
    for line in std::io::stdin().lock().lines() {
        let case: serde_json::Value = serde_json::from_str(&line?)?;
        let source = case.get("expr").and_then(serde_json::Value::as_str).ok_or("no expr")?;
        let json = case.get("claims").ok_or("no claims")?.to_string();
        let program = Program::compile(source, &env, Want::Any)?;
        let claims = Object::parse(json.as_bytes())?;
        let vars = Vars::new().with("claims", &claims);
        let value = program.eval(&vars, &mut Budget::default())?.to_json().map_err(|_| "no JSON")?;
        println!("value {}", serde_json::to_string(&value)?);
        let held = rate(span, || evaluate(&program, &claims))?;
        let parsed = rate(span, || evaluate(&program, &Object::parse(black_box(json.as_bytes()))?))?;
        println!("{held:.0} {parsed:.0}");
    }
    Ok(())
}

/// As a policy does it: variables and a budget anew each time.
fn evaluate(program: &Program, claims: &Object) -> Result<(), Box<dyn Error>> {
    let vars = Vars::new().with("claims", black_box(claims));
    black_box(program.eval(&vars, &mut Budget::default())?);
    Ok(())
}

/// Calls per second.
#[expect(
    clippy::disallowed_methods,
    reason = "it measures, and `ambient` would bring cryptography to the tests of CEL"
)]
fn rate(span: f64, mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let (start, span) = (Instant::now(), Duration::from_secs_f64(span));
    let mut calls = 0_u32;
    while start.elapsed() < span {
        for _ in 0..64 {
            run()?;
        }
        calls += 64;
    }
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}
