//! `countersign_decode::fuzz::text` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_decode::fuzz::text(bytes));
