//! `countersign::fuzz::configuration` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign::fuzz::configuration(bytes));
