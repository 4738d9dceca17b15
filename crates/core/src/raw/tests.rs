use alloy_consensus::SignableTransaction as _;
use alloy_eips::{eip2718::Encodable2718 as _, eip7702::Authorization as Unsigned};
use alloy_primitives::{TxKind, U256, hex};
use k256::ecdsa::SigningKey;

use super::*;

const TO: Address = Address::repeat_byte(0x11);
const CHAIN: ChainId = ChainId(31337);

fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

fn by(key: &SigningKey, digest: B256) -> Signature {
    key.sign_prehash_recoverable(digest.as_slice()).unwrap().into()
}

fn delegation(chain: u64) -> Authorization {
    let unsigned = Unsigned { chain_id: U256::from(chain), address: TO, nonce: 3 };
    let signature = by(&key(9), unsigned.signature_hash());
    Authorization {
        chain_id: U64::from(chain),
        address: TO,
        nonce: U64::from(3),
        y_parity: U8::from(u8::from(signature.v())),
        r: signature.r(),
        s: signature.s(),
    }
}

fn plan(kind: TransactionType) -> TransactionPlan {
    let entry = AccessEntry { address: TO, storage_keys: vec![B256::repeat_byte(5)] };
    let (fee, access_list, authorizations) = match kind {
        TransactionType::Legacy => (FeeBid::Price(7), vec![], vec![]),
        TransactionType::AccessList => (FeeBid::Price(7), vec![entry], vec![]),
        TransactionType::DynamicFee => {
            (FeeBid::Dynamic { max_fee: 7, tip: 1 }, vec![entry], vec![])
        }
        TransactionType::SetCode => {
            (FeeBid::Dynamic { max_fee: 7, tip: 1 }, vec![], vec![delegation(31337)])
        }
    };
    TransactionPlan {
        chain: CHAIN,
        kind,
        to: Some(TO),
        value: U256::from(5),
        data: Bytes::from_static(&[1, 2, 3]),
        gas: 100_000,
        fee,
        access_list,
        authorizations,
    }
}

const KINDS: [TransactionType; 4] = [
    TransactionType::Legacy,
    TransactionType::AccessList,
    TransactionType::DynamicFee,
    TransactionType::SetCode,
];

fn sign(plan: TransactionPlan) -> (UnsignedTransaction, Bytes) {
    let transaction = plan.with_nonce(4);
    let signature = by(&key(7), transaction.signing_hash());
    let (raw, _) = transaction.encode_signed(signature);
    (transaction, raw)
}

fn refusal(raw: &[u8]) -> String {
    RawTransaction::parse(&Bytes::copy_from_slice(raw)).unwrap_err().to_string()
}

#[test]
fn what_was_signed_is_read_whole_and_its_signer_named() {
    let sender = Address::from_private_key(&key(7));
    for kind in KINDS {
        let (transaction, raw) = sign(plan(kind));
        let read = RawTransaction::parse(&raw).unwrap();
        assert_eq!((read.transaction(), read.sender()), (&transaction, sender), "{kind:?}");
        assert_eq!((read.encoded(), read.hash()), (raw.clone(), alloy_primitives::keccak256(&raw)));
        let draft = read.into_draft();
        assert_eq!((draft.from, draft.nonce, draft.kind), (Some(sender), Some(4), Some(kind)));
    }
}

#[test]
fn every_changed_byte_is_another_signer_or_refused() {
    let sender = Address::from_private_key(&key(7));
    for kind in KINDS {
        let (_, raw) = sign(plan(kind));
        for place in 0..raw.len() {
            let mut changed = raw.to_vec();
            changed[place] ^= 1;
            let read = RawTransaction::parse(&changed.into());
            assert!(read.is_err() || read.unwrap().sender() != sender, "{kind:?} {place}");
        }
    }
}

#[test]
fn what_is_cut_off_or_goes_on_is_refused() {
    for kind in KINDS {
        let (_, raw) = sign(plan(kind));
        for length in 0..raw.len() {
            assert!(RawTransaction::parse(&raw.slice(..length)).is_err(), "{kind:?} {length}");
        }
        assert!(RawTransaction::parse(&[&raw[..], &[0]].concat().into()).is_err(), "{kind:?}");
    }
    assert!(refusal(&vec![2; RAW_BYTES_MAX + 1]).contains("longer"));
}

#[test]
fn the_other_form_of_a_signature_is_refused() {
    let order = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let order = U256::from_be_bytes(order);
    for kind in KINDS {
        let (transaction, raw) = sign(plan(kind));
        let low = RawTransaction::parse(&raw).unwrap().signature();
        let high = Signature::new(low.r(), order.checked_sub(low.s()).unwrap(), !low.v());
        let (raw, _) = transaction.encode_signed(high);
        assert!(refusal(&raw).contains("low form"), "{kind:?}");
    }
}

#[test]
fn a_transaction_for_every_chain_is_refused() {
    let tx = TxLegacy {
        chain_id: None,
        nonce: 0,
        gas_price: 1,
        gas_limit: 21_000,
        to: TxKind::Call(TO),
        value: U256::from(1),
        input: Bytes::new(),
    };
    let signature = by(&key(7), tx.signature_hash());
    assert!(refusal(&tx.into_signed(signature).encoded_2718()).contains("EIP-155"));
}

#[test]
fn what_no_chain_or_no_limit_takes_is_refused() {
    let dynamic = || plan(TransactionType::DynamicFee);
    let code = || plan(TransactionType::SetCode);
    let forged = Authorization { r: U256::ZERO, ..delegation(31337) };
    let table = [
        (TransactionPlan { gas: GAS_MAX + 1, ..dynamic() }, "gas limit"),
        (TransactionPlan { gas: 21_000, ..dynamic() }, "gas"),
        (TransactionPlan { fee: FeeBid::Dynamic { max_fee: 1, tip: 2 }, ..dynamic() }, "tip"),
        (
            TransactionPlan { fee: FeeBid::Dynamic { max_fee: 1 << 64, tip: 0 }, ..dynamic() },
            "price",
        ),
        (TransactionPlan { value: U256::MAX, ..dynamic() }, "value"),
        (TransactionPlan { authorizations: vec![], ..code() }, "empty"),
        (TransactionPlan { authorizations: vec![forged], ..code() }, "nobody"),
        (
            TransactionPlan { authorizations: vec![delegation(1); 17], gas: 1_000_000, ..code() },
            "more than 16",
        ),
    ];
    for (plan, word) in table {
        let (_, raw) = sign(plan);
        assert!(refusal(&raw).contains(word), "{word}: {}", refusal(&raw));
    }
    let last = plan(TransactionType::DynamicFee).with_nonce(u64::MAX);
    let (raw, _) = last.encode_signed(by(&key(7), last.signing_hash()));
    assert!(refusal(&raw).contains("nonce"));
}

#[test]
fn blobs_and_unknown_types_are_named() {
    assert!(refusal(&[3, 0xc0]).contains("EIP-4844"));
    for other in [0, 5, 0x7f, 0x80] {
        assert!(refusal(&[other, 0xc0]).contains("no type"), "{other}");
    }
    assert!(refusal(&[]).contains("no bytes"));
}

#[test]
fn an_authorisation_names_its_authority_and_its_chain() {
    let authority = Address::from_private_key(&key(9));
    for (chain, named) in [(31337, Some(CHAIN)), (0, None)] {
        let one = delegation(chain);
        assert_eq!((one.authority(), one.chain()), (Some(authority), named));
        let json = serde_json::to_value(&one).unwrap();
        assert_eq!(json["chainId"], format!("{chain:#x}"));
        assert_eq!(serde_json::from_value::<Authorization>(json).unwrap(), one);
    }
}
