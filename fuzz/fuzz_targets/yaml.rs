#![no_main]

#[path = "../entry_points.rs"]
#[allow(dead_code, reason = "each target has one of them")]
mod entry_points;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry_points::yaml(data));
