//! A permit and a hold are made by `decide` only, and there is only ever one of each.

#[test]
fn proof_tokens_cannot_be_forged_copied_or_stored() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
