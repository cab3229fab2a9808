//! What an exchange costs beyond its two signatures: the same keys, the same core, turn by turn.

use anyhow::{Result, bail};

use super::load::measure;
use super::scene::{CONNECTIONS, Scene};
use super::table::{Bound, Figure, Section};
use super::{Bench, Plan};

pub(super) const BENCH: Bench = Bench { name: "exchange", measure: run };

fn run(plan: &Plan) -> Result<Section> {
    let mut figures = Vec::new();
    for (alg, bound) in [("RS256", 90.0), ("ES256", 65.0)] {
        figures.extend(compare(alg, bound, plan)?);
    }
    let what = format!(
        "One signature verified and one made, alone in a loop (raw), and token exchanges (RFC 8693) of a GitLab-shaped \
         token under a policy by {CONNECTIONS} keep-alive connections of wrk. Both count the process's own user and \
         system time. They take turns of {} s; the ratio is of each turn with the one before it.",
        plan.seconds
    );
    Ok(Section { title: "Exchange against its two signatures", what, figures })
}

fn compare(alg: &'static str, bound: f64, plan: &Plan) -> Result<[Figure; 3]> {
    let scene = Scene::make(alg)?;
    let server = scene.serve()?;
    let (mut raw, mut served, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let pairs = scene.raw(plan.seconds)?;
        let measured = measure(&scene.load(&server, plan.seconds))?;
        if measured.load.failed > 0 {
            bail!("{} of {} exchanges failed", measured.load.failed, measured.load.requests);
        }
        let rate = measured.requests_per_core_second();
        raw.push(pairs);
        served.push(rate);
        ratio.push(100.0 * rate / pairs);
    }
    server.stop()?;
    Ok([
        Figure::new(format!("{alg}, raw verify+sign per core-second"), "", raw),
        Figure::new(format!("{alg}, exchanges per core-second"), "", served),
        Figure::new(format!("{alg}, exchanges of raw"), "%", ratio).decimals(1).bound(Bound::AtLeast(bound)),
    ])
}
