//! `countersign_core::fuzz::evidence` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_core::fuzz::evidence(bytes));
