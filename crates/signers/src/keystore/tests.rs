use alloy_primitives::{B256, Bytes, address, b256, bytes};
use countersign_core::{
    identity::ChainId,
    transaction::{FeeBid, TransactionPlan, TransactionType, UnsignedTransaction},
};
use tempfile::TempDir;

use super::*;

const KEY: &str = "4646464646464646464646464646464646464646464646464646464646464646";
const OWNER: Address = address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn eip155_key(folder: &TempDir) -> KeystoreSigner {
    let path = folder.path().join("key.json");
    assert_eq!(import(&secret(KEY), &path, &secret("pw"), Cost::Light).unwrap(), OWNER);
    KeystoreSigner::open(&path, &secret("pw")).unwrap()
}

/// The example of EIP-155.
fn eip155_transaction() -> UnsignedTransaction {
    TransactionPlan {
        chain: ChainId(1),
        kind: TransactionType::Legacy,
        to: Some(address!("3535353535353535353535353535353535353535")),
        value: U256::from(1_000_000_000_000_000_000_u64),
        data: Bytes::new(),
        gas: 21_000,
        fee: FeeBid::Price(20_000_000_000),
        access_list: Vec::new(),
        authorizations: Vec::new(),
    }
    .with_nonce(9)
}

#[test]
fn the_example_of_eip_155_is_signed_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (signer, transaction) = (eip155_key(&folder), eip155_transaction());
    let digest = b256!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    assert_eq!(transaction.signing_hash(), digest);
    let (raw, _) =
        transaction.encode_signed(signer.countersign(transaction.signing_hash()).unwrap());
    let expected = bytes!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025"
        "a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    assert_eq!(raw, expected);
}

#[test]
fn a_signature_is_low_repeatable_and_recovers_to_the_wallet() {
    let folder = tempfile::tempdir().unwrap();
    let (signer, mut transaction) = (eip155_key(&folder), eip155_transaction());
    assert_eq!((signer.address(), signer.is_deterministic()), (OWNER, true));
    for nonce in 0..64 {
        transaction.nonce = nonce;
        let signature = signer.countersign(transaction.signing_hash()).unwrap();
        assert_eq!(signer.countersign(transaction.signing_hash()).unwrap(), signature);
        assert!(signature.normalize_s().is_none(), "a high s at nonce {nonce}");
        let digest: B256 = transaction.signing_hash();
        assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), OWNER);
    }
}

#[test]
fn a_new_key_opens_again_and_is_never_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a.json", "b.json"].map(|name| {
        let path = folder.path().join(name);
        let address = create(&path, &secret("pw"), Cost::Light).unwrap();
        assert_eq!(KeystoreSigner::open(&path, &secret("pw")).unwrap().address(), address);
        assert_eq!(read_address(&path).unwrap(), Some(address));
        assert!(!file::is_readable_by_others(&path));
        address
    });
    assert_ne!(first, second);
}

#[test]
fn a_standard_file_is_not_called_weak() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    create(&path, &secret("pw"), Cost::Standard).unwrap();
    let signer = KeystoreSigner::open(&path, &secret("pw")).unwrap();
    assert_eq!(signer.weakness(), None);
    assert!(eip155_key(&tempfile::tempdir().unwrap()).weakness().is_some());
}

#[test]
fn an_existing_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    std::fs::write(&path, "mine").unwrap();
    let refused = create(&path, &secret("pw"), Cost::Light).unwrap_err();
    assert!(matches!(refused, KeystoreError::Exists(_)), "{refused}");
    let refused = import(&secret(KEY), &path, &secret("pw"), Cost::Light).unwrap_err();
    assert!(matches!(refused, KeystoreError::Exists(_)), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_key_that_is_none_is_refused_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let (zero, order) = ("0".repeat(64), "f".repeat(64));
    for text in ["", "0x", "4646", "zz", &KEY.replace('4', "g"), &zero, &order] {
        let refused = import(&secret(text), &path, &secret("pw"), Cost::Light).unwrap_err();
        assert!(matches!(refused, KeystoreError::PrivateKey), "{text}");
    }
    assert!(!path.exists());
    let spelled = format!(" 0x{KEY}\n");
    assert_eq!(import(&secret(&spelled), &path, &secret("pw"), Cost::Light).unwrap(), OWNER);
}

#[test]
fn a_file_that_names_another_address_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    import(&secret(KEY), &path, &secret("pw"), Cost::Light).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let theirs = "00".repeat(20);
    let swap = |other: &str| std::fs::write(&path, text.replace(&hex::encode(OWNER), other));
    swap(&theirs).unwrap();
    assert_eq!(read_address(&path).unwrap(), Some(Address::ZERO));
    let refused = KeystoreSigner::open(&path, &secret("pw")).unwrap_err();
    assert!(matches!(refused, KeystoreError::Address { address: OWNER, .. }), "{refused}");
    swap("nobody").unwrap();
    assert!(KeystoreSigner::open(&path, &secret("pw")).is_err());
    swap(&format!("0x{}", hex::encode(OWNER))).unwrap();
    assert!(KeystoreSigner::open(&path, &secret("pw")).is_ok());
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let signer = eip155_key(&folder);
    let path = folder.path().join("key.json");
    let wrong = KeystoreSigner::open(&path, &secret("hunter2hunter2")).unwrap_err();
    let none = import(&secret(&KEY.replace("46", "4g")), &path, &secret("pw"), Cost::Light);
    assert_eq!(format!("{signer:?}"), format!("KeystoreSigner({OWNER})"));
    for text in [format!("{signer:#?}"), format!("{wrong:?} {wrong}"), format!("{none:?}")] {
        for part in ["4646", "4g4g", "hunter2", "70, 70"] {
            assert!(!text.contains(part), "{text}");
        }
    }
    assert!(wrong.to_string().ends_with("the password is wrong"), "{wrong}");
}

#[test]
fn other_programs_read_our_files_and_we_read_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.json");
    import(&secret(KEY), &ours, &secret("pw"), Cost::Light).unwrap();
    assert_eq!(hex::encode(eth_keystore::decrypt_key(&ours, "pw").unwrap()), KEY);
    let bytes = hex::decode(KEY).unwrap();
    let mut random = rand::thread_rng();
    let name = Some("theirs.json");
    eth_keystore::encrypt_key(folder.path(), &mut random, bytes, "pw", name).unwrap();
    let theirs = folder.path().join("theirs.json");
    assert_eq!(read_address(&theirs).unwrap(), None);
    assert_eq!(KeystoreSigner::open(&theirs, &secret("pw")).unwrap().address(), OWNER);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let missing = Path::new("/nowhere/key.json");
    let error = KeystoreSigner::open(missing, &secret("pw")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/key.json: "), "{error}");
}
