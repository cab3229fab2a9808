//! How long an exchange takes when the server has half of what it can do to do.

use std::time::Duration;

use anyhow::{Context, Result};

use super::arrivals::Arrivals;
use super::load::measure;
use super::scene::{CONNECTIONS, Scene, Server};
use super::table::{Figure, Section, percentile};
use super::{Bench, Plan};

pub(super) const BENCH: Bench = Bench { name: "latency", measure: run };

fn run(plan: &Plan) -> Result<Section> {
    let mut figures = Vec::new();
    for alg in ["RS256", "ES256"] {
        let scene = Scene::make(alg)?;
        let server = scene.serve()?;
        figures.extend(distribution(alg, &scene, &server, plan)?);
        server.stop()?;
    }
    let what = format!(
        "Before each turn wrk finds how many exchanges the server answers per second on its one core; half as many then \
         arrive at a constant rate for {} s, over {CONNECTIONS} connections. Latency counts from when a request was due, \
         waiting for a connection included, so nothing is omitted; what the generator itself was late by is in it and \
         is shown.",
        plan.seconds
    );
    Ok(Section { title: "Latency at half load", what, figures })
}

fn distribution(alg: &str, scene: &Scene, server: &Server, plan: &Plan) -> Result<Vec<Figure>> {
    let request = scene.request()?;
    let mut rates = Vec::new();
    let mut columns = COLUMNS.map(|_| Vec::new());
    let mut lateness = Vec::new();
    for _ in 0..plan.rounds {
        let capacity = measure(&scene.load(server, 1))?.load.requests_per_second;
        let arrivals = Arrivals {
            address: scene.address(),
            request: &request,
            per_second: capacity / 2.0,
            span: Duration::from_secs(plan.seconds),
            connections: CONNECTIONS,
        };
        let seen = arrivals.run()?;
        let at = |sorted: &[Duration], percent| {
            percentile(sorted, percent).map(|span| span.as_secs_f64() * 1000.0).context("nothing arrived")
        };
        rates.push(arrivals.per_second);
        for (column, (_, percent)) in columns.iter_mut().zip(COLUMNS) {
            column.push(at(&seen.latency, percent)?);
        }
        lateness.push(at(&seen.lateness, 99.0)?);
    }
    let mut figures = vec![Figure::new(format!("{alg}, arrivals per second"), "", rates)];
    for (column, (name, _)) in columns.into_iter().zip(COLUMNS) {
        figures.push(Figure::new(format!("{alg}, latency {name}"), "ms", column).decimals(2));
    }
    figures.push(Figure::new(format!("{alg}, generator late, p99"), "ms", lateness).decimals(2));
    Ok(figures)
}

const COLUMNS: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("max", 100.0)];
