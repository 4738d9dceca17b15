//! `countersign_server::fuzz::request` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_server::fuzz::request(bytes));
