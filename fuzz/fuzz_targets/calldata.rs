//! `countersign_decode::fuzz::calldata` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_decode::fuzz::calldata(bytes));
