//! `cel-rust SECONDS` answers each line {expr, claims} with evaluations per second, once with claims that the
//! implementation holds already and once from their JSON. For `cargo xtask bench expr`.

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cel::{Context, Env, Program};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let span = std::env::args().nth(1).ok_or("cel-rust SECONDS")?.parse()?;
    let env = Arc::new(Env::stdlib());
    for line in std::io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let program = env.compile(case["expr"].as_str().ok_or("no expr")?)?;
        let claims = case["claims"].to_string();
        let context = context(&env, &claims)?;
        println!("value {}", program.execute(&context)?.json().map_err(|_| "no JSON")?);
        let held = rate(span, || evaluate(&program, &context))?;
        let parsed = rate(span, || evaluate(&program, &self::context(&env, black_box(&claims))?))?;
        println!("{held:.0} {parsed:.0}");
    }
    Ok(())
}

fn context(env: &Arc<Env>, claims: &str) -> Result<Context<'static, 'static>, Box<dyn Error>> {
    let mut context = Context::with_env(Arc::clone(env));
    context.add_variable("claims", serde_json::from_str::<Value>(claims)?).map_err(|_| "no claims")?;
    Ok(context)
}

fn evaluate(program: &Program, context: &Context) -> Result<(), Box<dyn Error>> {
    black_box(program.execute(black_box(context))?);
    Ok(())
}

/// Calls per second.
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
