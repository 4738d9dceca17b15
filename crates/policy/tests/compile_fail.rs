//! A permit and a hold are made by `decide` only, there is only ever one of each, and neither is ever stored.

use countersign_policy::decision::{Hold, Permit};
use serde::{Serialize, de::DeserializeOwned};

#[test]
fn proof_tokens_cannot_be_forged_or_copied() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}

/// Compiles only as long as no proof token can be written or read back: two impls would then fit.
#[test]
fn proof_tokens_cannot_be_stored() {
    trait Fits<Which> {
        fn once() -> usize {
            1
        }
    }
    struct Written;
    struct Read;
    impl<T> Fits<()> for T {}
    impl<T: Serialize> Fits<Written> for T {}
    impl<T: DeserializeOwned> Fits<Read> for T {}
    assert_eq!(<Permit as Fits<_>>::once() + <Hold as Fits<_>>::once(), 2);
}
