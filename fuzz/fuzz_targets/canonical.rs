//! `countersign_decode::fuzz::canonical` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_decode::fuzz::canonical(bytes));
