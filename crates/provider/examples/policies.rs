//! What policies cost: reading and compiling them, and a decision among them. For `cargo xtask bench`.
//!
//! `policies COUNT` prints bytes of YAML, milliseconds to read, compile and index them, and nanoseconds a decision takes:
//! one that an indexed text finds, and one that nothing matches.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use ambient::{Clock as _, SystemClock};
use config::Faults;
use provider::policy::written::Policies;
use wire::claims::Claims;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).ok_or("policies COUNT")?.parse()?;
    let clock = SystemClock::default();
    let yaml = yaml(count)?;
    let start = clock.monotonic();
    let faults = Faults::new();
    let root = config::parse(&yaml, &faults).ok_or("no YAML")?;
    let policies = Policies::read(&root, &faults);
    let load = clock.monotonic().saturating_sub(start);
    if faults.has_errors() {
        return Err(faults.to_string().into());
    }
    let found = time(&clock, &policies, &claims(count / 2)?, true)?;
    let missed = time(&clock, &policies, &claims(count)?, false)?;
    println!("{} {:.1} {found:.0} {missed:.0}", yaml.len(), load.as_secs_f64() * 1000.0);
    Ok(())
}

/// Pipelines of as many projects, as a generator would write them.
fn yaml(count: usize) -> Result<String, std::fmt::Error> {
    let mut yaml = String::from("policies:\n");
    for n in 0..count {
        write!(
            yaml,
            "- name: project-{n}\n  subject:\n    connector: gitlab\n    match: claims.project_path == \"platform/p{n}\" && claims.ref_protected == \
             \"true\"\n  clients: [prod]\n  audiences: [prod]\n  issue: {{subject: '\"gitlab:\" + claims.project_path', groups: '[\"deployers\"]'}}\n"
        )?;
    }
    Ok(yaml)
}

fn claims(n: usize) -> Result<Claims, Box<dyn std::error::Error>> {
    let claims = serde_json::json!({
        "iss": "https://gitlab.example.com", "aud": "https://obol.test", "sub": "project_path:platform/p:ref_type:branch:ref:main",
        "exp": 1_800_000_000, "project_path": format!("platform/p{n}"), "ref_protected": "true", "ref": "main",
        "namespace_path": "platform", "user_login": "deployer", "pipeline_id": "574", "runner_environment": "self-hosted",
    });
    Ok(Claims::parse(claims.to_string().as_bytes())?)
}

/// Nanoseconds a decision.
fn time(
    clock: &SystemClock,
    policies: &Policies,
    claims: &Claims,
    granted: bool,
) -> Result<f64, Box<dyn std::error::Error>> {
    let start = clock.monotonic();
    let mut decisions = 0_u32;
    while clock.monotonic().saturating_sub(start) < MEASURED {
        for _ in 0..64 {
            if black_box(policies.rehearse("gitlab", "prod", black_box(claims))).is_ok() != granted {
                return Err("the decision is not the expected one".into());
            }
            decisions += 1;
        }
    }
    Ok(clock.monotonic().saturating_sub(start).as_secs_f64() * 1e9 / f64::from(decisions))
}

const MEASURED: Duration = Duration::from_secs(1);
