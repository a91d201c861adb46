//! The entry points of the fuzz targets, on seeds that are mutated from a fixed start: the same
//! inputs each time, with any compiler. `MCPHUB_FUZZ_ROUNDS` asks for more of them.

#[path = "../../../fuzz/dice.rs"]
mod dice;
#[path = "../../../fuzz/entry_points.rs"]
mod entry_points;

use dice::{Dice, run, seeds};
use entry_points::SEEDS;

#[test]
fn documents() {
    run(entry_points::document, &SEEDS);
}

#[test]
fn yaml() {
    run(entry_points::yaml, &seeds("yaml"));
    run(entry_points::yaml, &SEEDS);
}

#[test]
fn edited_documents() {
    let mut dice = Dice(1);
    let seeds: Vec<_> = (0..64).map(|_| dice.bytes(33)).collect();
    run(entry_points::edited_document, &seeds);
}

#[test]
fn overlays() {
    run(entry_points::overlay, &seeds("overlay"));
}

#[test]
fn mock_requests() {
    run(entry_points::mock_request, &seeds("mock_request"));
}

#[test]
fn recordings() {
    run(entry_points::recording, &seeds("recording"));
}

#[test]
fn arguments() {
    run(entry_points::arguments, &seeds("arguments"));
}
