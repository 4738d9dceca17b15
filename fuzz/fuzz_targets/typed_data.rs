//! `countersign_decode::fuzz::typed_data` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_decode::fuzz::typed_data(bytes));
