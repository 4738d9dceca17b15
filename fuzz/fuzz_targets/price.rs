//! `countersign_upstream::fuzz::price` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_upstream::fuzz::price(bytes));
