//! `countersign_policy::fuzz::fields` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_policy::fuzz::fields(bytes));
