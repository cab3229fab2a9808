//! From the start of the process to its first answer.

use anyhow::Result;

use super::scene::Scene;
use super::table::{Bound, Figure, Section};
use super::{Bench, Plan};

pub(super) const BENCH: Bench = Bench { name: "start", measure: run };

fn run(plan: &Plan) -> Result<Section> {
    let scene = Scene::make("ES256")?;
    scene.serve()?.stop()?;
    let mut times = Vec::new();
    for _ in 0..plan.rounds * STARTS_PER_ROUND {
        let (server, took) = scene.start()?;
        server.stop()?;
        times.push(took.as_secs_f64() * 1000.0);
    }
    let figures = vec![
        Figure::new("start to first answered request", "ms", times).decimals(1).bound(Bound::AtMost(50.0)),
    ];
    let what = "On one core, with its keys on SQLite and 17 connectors, from the start of the process (of `taskset`, which \
                becomes it) until `GET /keys` is answered; a caller tries to connect again and again."
        .into();
    Ok(Section { title: "Start", what, figures })
}

const STARTS_PER_ROUND: u64 = 4;
