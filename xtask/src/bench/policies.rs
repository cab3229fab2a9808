//! What policies cost, alone and in an exchange over HTTP. Neither may grow with policies that cannot match.

use anyhow::{Context, Result, bail};

use super::load::measure;
use super::scene::{CONNECTIONS, Scene};
use super::table::{Bound, Figure, Section};
use super::{Bench, Plan, on_first_core};
use crate::shell::output;

pub(super) const BENCH: Bench = Bench { name: "policies", measure: run };

fn run(plan: &Plan) -> Result<Section> {
    let mut figures = alone(plan)?;
    figures.extend(exchanged(plan)?);
    let what = format!(
        "Policies as a generator would write them, each for another project; reading includes YAML, checking and compiling. \
         A decision finds the one in the middle, or none. Exchanges are ES256, by {CONNECTIONS} keep-alive connections of wrk, \
         granted by the last policy; servers take turns of {} s, and a ratio is of each turn with the one of a single policy.",
        plan.seconds
    );
    Ok(Section { title: "Policies", what, figures })
}

/// Reading and deciding, without a server.
fn alone(plan: &Plan) -> Result<Vec<Figure>> {
    let mut turns = COUNTS.map(|count| (count, Vec::new()));
    for _ in 0..plan.rounds.min(ENOUGH) {
        for (count, samples) in &mut turns {
            samples.push(ask(*count)?);
        }
    }
    let [(_, first), ..] = &turns;
    let mut figures = Vec::new();
    for (count, samples) in &turns {
        let column = |of: fn(&Sample) -> f64| samples.iter().map(of).collect::<Vec<_>>();
        let ratios = samples.iter().zip(first).map(|(sample, one)| sample.found / one.found).collect();
        figures.extend([
            Figure::new(format!("{count} policies, read and compiled"), "ms", column(|s| s.load)).decimals(1),
            Figure::new(format!("{count} policies, a decision that grants"), "ns", column(|s| s.found)),
            Figure::new(format!("{count} policies, a decision that refuses"), "ns", column(|s| s.missed)),
        ]);
        if *count > 1 {
            let name = format!("{count} policies, a decision against one policy");
            figures.push(Figure::new(name, "×", ratios).decimals(2).bound(Bound::AtMost(COLDER)));
        }
    }
    Ok(figures)
}

struct Sample {
    load: f64,
    found: f64,
    missed: f64,
}

fn ask(count: u32) -> Result<Sample> {
    let printed = output(on_first_core("target/release/examples/policies").arg(count.to_string()))?;
    let figures: Vec<f64> =
        printed.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("figures")?;
    let [_, load, found, missed] = figures.as_slice() else { bail!("four figures, not {printed:?}") };
    Ok(Sample { load: *load, found: *found, missed: *missed })
}

/// Whole exchanges, of servers that differ in their policies alone.
fn exchanged(plan: &Plan) -> Result<Vec<Figure>> {
    let mut turns = Vec::new();
    for count in COUNTS {
        let scene = Scene::with_policies("ES256", count)?;
        let server = scene.serve()?;
        turns.push((count, scene, server, Vec::new()));
    }
    for _ in 0..plan.rounds {
        for (_, scene, server, rates) in &mut turns {
            let measured = measure(&scene.load(server, plan.seconds))?;
            if measured.load.failed > 0 {
                bail!("{} of {} exchanges failed", measured.load.failed, measured.load.requests);
            }
            rates.push(measured.requests_per_core_second());
        }
    }
    let mut figures = Vec::new();
    let mut one: Option<Vec<f64>> = None;
    for (count, _, server, rates) in turns {
        server.stop()?;
        figures.push(Figure::new(format!("{count} policies, exchanges per core-second"), "", rates.clone()));
        match &one {
            None => one = Some(rates),
            Some(one) => {
                let ratios = rates.iter().zip(one).map(|(rate, one)| 100.0 * rate / one).collect();
                let name = format!("{count} policies, exchanges of those with one");
                figures.push(Figure::new(name, "%", ratios).decimals(1).bound(Bound::AtLeast(AS_FAST)));
            }
        }
    }
    Ok(figures)
}

const COUNTS: [u32; 3] = [1, 100, 10_000];
/// Caches are colder among many; a scan of ten thousand would be thousands of times slower.
const COLDER: f64 = 4.0;
/// Of an exchange the decision is a small part, so that colder caches hardly show.
const AS_FAST: f64 = 90.0;
/// Rounds of what needs no load.
const ENOUGH: u64 = 3;
