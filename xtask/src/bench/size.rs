//! The size of what a release would ship.

use anyhow::Result;

use super::table::{Bound, Figure, Section};
use super::usage::mebibytes;
use super::{BINARY, Bench, Plan};

pub(super) const BENCH: Bench = Bench { name: "size", measure: run };

fn run(_: &Plan) -> Result<Section> {
    let size = mebibytes(std::fs::metadata(BINARY)?.len());
    let figures =
        vec![Figure::new("release binary", "MiB", vec![size]).decimals(1).bound(Bound::AtMost(25.0))];
    Ok(Section { title: "Size", what: "The release binary, stripped.".into(), figures })
}
