//! `countersign_core::fuzz::signature` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_core::fuzz::signature(bytes));
