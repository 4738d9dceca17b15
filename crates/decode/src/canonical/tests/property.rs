//! The field's own encoder is the oracle: what it writes is canonical, and nothing else is.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::fuzz::{oracle, theirs};

fn types() -> impl Strategy<Value = DynSolType> {
    let simple = prop_oneof![
        Just(DynSolType::Address),
        Just(DynSolType::Bool),
        (1..=32usize).prop_map(|n| DynSolType::Uint(n * 8)),
        (1..=32usize).prop_map(|n| DynSolType::Int(n * 8)),
        (1..=32usize).prop_map(DynSolType::FixedBytes),
        Just(DynSolType::Bytes),
        Just(DynSolType::String),
    ];
    simple.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| DynSolType::Array(Box::new(item))),
            (inner.clone(), 1..4usize).prop_map(|(t, n)| DynSolType::FixedArray(Box::new(t), n)),
            vec(inner, 1..4).prop_map(DynSolType::Tuple),
        ]
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a feature gives the enum another variant")]
fn values(ty: &DynSolType) -> BoxedStrategy<DynSolValue> {
    let word = any::<[u8; 32]>();
    match ty.clone() {
        DynSolType::Address => {
            any::<[u8; 20]>().prop_map(|a| DynSolValue::Address(a.into())).boxed()
        }
        DynSolType::Bool => any::<bool>().prop_map(DynSolValue::Bool).boxed(),
        DynSolType::Uint(bits) => word
            .prop_map(move |w| {
                DynSolValue::Uint(U256::from_be_bytes(w).wrapping_shr(256 - bits), bits)
            })
            .boxed(),
        DynSolType::Int(bits) => word
            .prop_map(move |w| DynSolValue::Int(I256::from_be_bytes(w).asr(256 - bits), bits))
            .boxed(),
        DynSolType::FixedBytes(len) => word
            .prop_map(move |mut w| {
                w[len..].fill(0);
                DynSolValue::FixedBytes(w.into(), len)
            })
            .boxed(),
        DynSolType::Bytes => vec(any::<u8>(), 0..70).prop_map(DynSolValue::Bytes).boxed(),
        DynSolType::String => "\\PC{0,24}".prop_map(DynSolValue::String).boxed(),
        DynSolType::Array(item) => vec(values(&item), 0..4).prop_map(DynSolValue::Array).boxed(),
        DynSolType::FixedArray(item, len) => {
            vec(values(&item), len).prop_map(DynSolValue::FixedArray).boxed()
        }
        DynSolType::Tuple(types) => {
            types.iter().map(values).collect::<Vec<_>>().prop_map(DynSolValue::Tuple).boxed()
        }
        _ => panic!("not among the types above"),
    }
}

/// Arguments, as a tuple type and a value of it.
fn arguments() -> impl Strategy<Value = (DynSolType, DynSolValue)> {
    vec(types(), 0..4).prop_flat_map(|types| {
        let ty = DynSolType::Tuple(types);
        values(&ty).prop_map(move |value| (ty.clone(), value))
    })
}

/// The name of a tuple of one has a comma too many.
fn function_of(ty: &DynSolType) -> AbiFunction {
    function(&format!("f{}", ty.sol_type_name().replace(",)", ")")))
}

fn encoded(function: &AbiFunction, value: &DynSolValue) -> Vec<u8> {
    [function.selector().as_slice(), &value.abi_encode_params()].concat()
}

/// A way to spoil an encoding.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index),
    Append(Vec<u8>),
    Word(Index, u64),
    Swap(Index, Index),
    Repeat(Index),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 1..=255u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        index().prop_map(Mutation::Cut),
        vec(any::<u8>(), 1..65).prop_map(Mutation::Append),
        (index(), (0..12u64).prop_map(|n| n * 32)).prop_map(|(at, n)| Mutation::Word(at, n)),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        index().prop_map(Mutation::Repeat),
    ]
}

impl Mutation {
    fn apply(&self, body: &mut Vec<u8>) {
        let words = body.len() / 32;
        match self {
            Self::Append(more) => body.extend(more),
            _ if words == 0 => body.push(0),
            Self::Flip(at, bits) => {
                let at = at.index(body.len());
                body[at] ^= bits;
            }
            Self::Cut(at) => body.truncate(at.index(body.len())),
            Self::Word(at, number) => {
                let at = at.index(words) * 32;
                body[at..at + 32].copy_from_slice(&word(*number));
            }
            Self::Swap(a, b) => {
                let (a, b) = (a.index(words) * 32, b.index(words) * 32);
                (0..32).for_each(|i| body.swap(a + i, b + i));
            }
            Self::Repeat(at) => {
                let at = at.index(words) * 32;
                let again = body[at..at + 32].to_vec();
                body.splice(at..at, again);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_the_encoder_writes_is_read_as_it_was((ty, value) in arguments()) {
        let f = function_of(&ty);
        let read = decode_call(&f, &encoded(&f, &value)).unwrap();
        prop_assert_eq!(theirs(&ty, &read), value);
    }

    #[test]
    fn spoiled_calldata_is_read_exactly_if_it_encodes_to_the_same_bytes(
        (ty, value) in arguments(),
        mutations in vec(mutations(), 1..3),
    ) {
        let f = function_of(&ty);
        let mut body = value.abi_encode_params();
        for mutation in &mutations {
            mutation.apply(&mut body);
        }
        let data = [f.selector().as_slice(), &body].concat();
        let read = decode_call(&f, &data).ok().map(|read| theirs(&ty, &read));
        prop_assert_eq!(read, oracle(&ty, &body));
    }

    #[test]
    fn random_bytes_never_panic((ty, _) in arguments(), body in vec(any::<u8>(), 0..300)) {
        let f = function_of(&ty);
        let data = [f.selector().as_slice(), &body].concat();
        let read = decode_call(&f, &data).ok().map(|read| theirs(&ty, &read));
        prop_assert_eq!(read, oracle(&ty, &body));
    }
}
