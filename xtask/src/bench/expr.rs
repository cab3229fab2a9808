//! Evaluations per second of what policies really ask, against the `cel` crate and cel-go: the same expressions and claims,
//! the same core, turn by turn.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::table::{Figure, Section};
use super::{Bench, Plan, on_first_core};
use crate::peers;
use crate::shell::{cargo, run as run_command, step};

pub(super) const BENCH: Bench = Bench { name: "expr", measure: run };

fn run(plan: &Plan) -> Result<Section> {
    let go = peers::cel()?;
    let go = go.to_str().context("a path of text")?;
    step("the cel crate", || {
        let manifest = Path::new(PEER).join("Cargo.toml");
        run_command(
            cargo()
                .args(["build", "--release", "--locked", "--target-dir", TARGET, "--manifest-path"])
                .arg(manifest),
        )
    })?;
    let seconds = format!("{:.2}", PART_OF_TURN * whole(plan.seconds));
    let crate_peer = format!("{TARGET}/release/cel-rust");
    let mut ours = Samples::default();
    let mut theirs = [("the cel crate", Samples::default()), ("cel-go", Samples::default())];
    for _ in 0..plan.rounds {
        let own = ask(on_first_core("target/release/examples/evaluations").arg(&seconds))?;
        let answers = [
            ask(on_first_core(&crate_peer).arg(&seconds))?,
            // One core for its garbage collector too.
            ask(on_first_core(go).env("GOMAXPROCS", "1").args(["speed", &seconds]))?,
        ];
        for ((_, samples), answers) in theirs.iter_mut().zip(&answers) {
            samples.compare(&own, answers)?;
        }
        ours.add(&own);
    }
    let mut figures = Vec::new();
    for (index, (name, ..)) in CASES.iter().enumerate() {
        let own = ours.0.get(index).context("ours")?;
        figures.push(Figure::new(format!("{name}, evaluations a second"), "", own.held.clone()));
        for (peer, samples) in &theirs {
            let ratio = samples.0.get(index).context("a peer's")?;
            let label = |what: &str| format!("{name}, {what} against {peer}");
            figures.push(Figure::new(label("evaluations"), "×", ratio.held.clone()).decimals(1));
            figures
                .push(Figure::new(label("with reading the claims"), "×", ratio.parsed.clone()).decimals(1));
        }
    }
    let what = format!(
        "What policies ask of a token's claims, evaluated in a loop: with claims that are read already, and from their JSON \
         text. Obol counts costs meanwhile and keeps a budget, the others do neither. They take turns of {seconds} s; a ratio is \
         how many times as many evaluations Obol does in the same turn.\n\n{}",
        CASES.iter().map(|(name, source)| format!("- {name}: `{source}`\n")).collect::<String>().trim_end()
    );
    Ok(Section { title: "Expressions", what, figures })
}

/// Of one expression, evaluations per second: with claims that are held, and from JSON. Or ratios of them.
#[derive(Debug, Default, Clone)]
struct Sample {
    held: Vec<f64>,
    parsed: Vec<f64>,
}

/// Of all cases in their order.
#[derive(Default)]
struct Samples(Vec<Sample>);

/// What a program says of one case.
struct Answer {
    value: Value,
    held: f64,
    parsed: f64,
}

impl Samples {
    fn add(&mut self, answers: &[Answer]) {
        self.0.resize(answers.len(), Sample::default());
        for (sample, answer) in self.0.iter_mut().zip(answers) {
            sample.held.push(answer.held);
            sample.parsed.push(answer.parsed);
        }
    }

    /// Ours as multiples of theirs; all must find the same.
    fn compare(&mut self, ours: &[Answer], theirs: &[Answer]) -> Result<()> {
        self.0.resize(ours.len(), Sample::default());
        for ((sample, own), other) in self.0.iter_mut().zip(ours).zip(theirs) {
            if own.value != other.value {
                bail!("they do not agree: {} and {}", own.value, other.value);
            }
            sample.held.push(own.held / other.held);
            sample.parsed.push(own.parsed / other.parsed);
        }
        Ok(())
    }
}

/// Asks a program all cases.
fn ask(command: &mut Command) -> Result<Vec<Answer>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut questions = String::new();
    for (_, source) in CASES {
        questions.push_str(&format!("{}\n", json!({ "expr": source, "claims": claims() })));
    }
    child.stdin.take().context("its input")?.write_all(questions.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{} failed ({})", command.get_program().to_string_lossy(), output.status);
    }
    let lines = String::from_utf8(output.stdout)?;
    let answers = lines.lines().collect::<Vec<_>>();
    let answers = answers.chunks(2).map(|pair| answer(pair).with_context(|| pair.join(" / ")));
    let answers = answers.collect::<Result<Vec<_>>>()?;
    if answers.len() != CASES.len() {
        bail!("{} answers to {} questions", answers.len(), CASES.len());
    }
    Ok(answers)
}

fn answer(lines: &[&str]) -> Result<Answer> {
    let [value, rates] = lines else { bail!("two lines a case") };
    let value = serde_json::from_str(value.strip_prefix("value ").context("no value")?)?;
    let (held, parsed) = rates.split_once(' ').context("two rates")?;
    Ok(Answer { value, held: held.parse()?, parsed: parsed.parse()? })
}

/// Those of a GitLab pipeline, with some groups, and what a Kubernetes service account has.
fn claims() -> Value {
    json!({
        "iss": "https://gitlab.example.com", "aud": "https://obol.example.com", "jti": "c82eeb0c-5c6f-4a33-abf5-4c474b92b558",
        "sub": "project_path:platform/infra:ref_type:branch:ref:main", "exp": 1_800_000_000,
        "project_path": "platform/infra", "namespace_path": "platform", "ref": "main", "ref_type": "branch",
        "ref_protected": "true", "environment": "production", "user_login": "deployer", "pipeline_source": "push",
        "runner_environment": "self-hosted", "groups": ["staff", "team-a", "team-b", "on-call", "ops"],
        "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "deployer", "uid": "7f3c"}},
    })
}

#[expect(clippy::cast_precision_loss, reason = "at most 30 seconds")]
const fn whole(seconds: u64) -> f64 {
    seconds as f64
}

/// What is asked, as policies write it.
const CASES: [(&str, &str); 6] = [
    ("project", r#"claims.project_path == "platform/infra" && claims.ref_protected == "true""#),
    ("environment", r#"has(claims.environment) && claims.environment in ["production", "staging"]"#),
    (
        "pattern",
        r#"claims.sub.startsWith("project_path:platform/") && claims.ref.matches("^(main|release-[0-9]+)$")"#,
    ),
    (
        "service account",
        r#"claims["kubernetes.io"].namespace == "ci" && claims["kubernetes.io"].serviceaccount.name == "deployer""#,
    ),
    ("group", r#"claims.groups.exists(g, g == "ops")"#),
    ("groups for the token", r#"claims.groups.filter(g, g.startsWith("team-")).map(g, "gitlab:" + g)"#),
];

/// Two measurements of each case make a turn of some seconds.
const PART_OF_TURN: f64 = 0.1;
const PEER: &str = "xtask/peers/cel-rust";
/// Apart from the workspace's, since it is no part of it.
const TARGET: &str = "target/cel-rust";
