//! `countersign_signers::fuzz::keystore` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| countersign_signers::fuzz::keystore(bytes));
