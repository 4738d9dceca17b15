//! `countersign_policy::fuzz::jsonlogic` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_policy::fuzz::jsonlogic(bytes));
