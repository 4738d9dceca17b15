//! A proof token cannot be forged, copied, or used to skip a stage: the compiler says so.

#[test]
fn no_stage_can_be_forged_copied_or_skipped() {
    trybuild::TestCases::new().compile_fail("tests/proofs/*.rs");
}
