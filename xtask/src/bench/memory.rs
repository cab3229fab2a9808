//! What a server holds: idle with 17 connectors on SQLite, and under load.

use std::time::Duration;

use anyhow::Result;

use super::load::measure;
use super::scene::{CONNECTIONS, Scene};
use super::table::{Bound, Figure, Section};
use super::usage::{Memory, mebibytes};
use super::{Bench, Plan};

pub(super) const BENCH: Bench = Bench { name: "memory", measure: run };

fn run(plan: &Plan) -> Result<Section> {
    let scene = Scene::make("ES256")?;
    // The keys are made by the first start; what making them leaves behind is not what is asked for.
    scene.serve()?.stop()?;
    let (mut idle, mut loaded) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let server = scene.serve()?;
        std::thread::sleep(SETTLE);
        idle.push(Memory::of(server.pid())?);
        loaded.push(measure(&scene.load(&server, plan.seconds))?.memory);
        server.stop()?;
    }
    let figure = |name: &str, of: &[Memory], part: fn(&Memory) -> u64| {
        Figure::new(name, "MiB", of.iter().map(|memory| mebibytes(part(memory))).collect()).decimals(1)
    };
    let figures = vec![
        figure("idle, anonymous", &idle, |memory| memory.anonymous).bound(Bound::AtMost(15.0)),
        figure("idle, resident", &idle, |memory| memory.resident).bound(Bound::AtMost(30.0)),
        figure("under load, anonymous", &loaded, |memory| memory.anonymous),
        figure("under load, resident", &loaded, |memory| memory.resident),
    ];
    let what = format!(
        "`/proc/PID/smaps_rollup` of servers with keys on SQLite and 17 connectors (6 oidc, 5 kubernetes, 5 jwt, 1 \
         mockCallback; 15 of them have fetched their keys): {} s after their first answer, and the most in {} s of \
         ES256 exchanges by {CONNECTIONS} connections.",
        SETTLE.as_secs(),
        plan.seconds
    );
    Ok(Section { title: "Memory", what, figures })
}

/// For what happens in the background after the start.
const SETTLE: Duration = Duration::from_secs(3);
