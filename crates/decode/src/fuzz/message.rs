//! What is signed besides transactions.

use alloy_primitives::{Address, address, eip191_hash_message};
use countersign_core::{
    abi::AbiValue,
    action::{Effect, Via},
    identity::ChainId,
};

use crate::{
    LEAVES_MAX, Registry, TEXT_BYTES_MAX, TypedData, text_actions, text_digest,
    typed_data_authority,
};

/// Mixed case, so that a login can have its checksum.
const WALLET: Address = address!("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
const CHAIN: ChainId = ChainId(31337);

/// Typed data: its one spelling is itself, and its digest is the other implementation's, for that spelling and for the
/// text as it came.
pub fn typed_data(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match TypedData::parse(text) {
        Err(error) => assert!(!error.reason.contains(char::is_control), "{error:?}"),
        Ok(read) => {
            let canonical = read.canonical_json();
            assert_eq!(TypedData::parse(&canonical).as_ref(), Ok(&read));
            let theirs: alloy_dyn_abi::TypedData = serde_json::from_str(&canonical).unwrap();
            assert_eq!(theirs.eip712_signing_hash().unwrap(), read.digest(), "{canonical}");
            assert_eq!(theirs.encode_type().unwrap(), read.encode_type());
            if let Ok(theirs) = serde_json::from_str::<alloy_dyn_abi::TypedData>(text)
                && let Ok(digest) = theirs.eip712_signing_hash()
            {
                assert_eq!(digest, read.digest(), "{text}");
            }
            is_bounded(&read);
        }
    }
}

fn is_bounded(data: &TypedData) {
    let mut registry = Registry::on(CHAIN);
    registry.add_token(Address::repeat_byte(0x22));
    let authority = typed_data_authority(WALLET, CHAIN, data, &registry);
    assert_eq!(authority, typed_data_authority(WALLET, CHAIN, data, &registry));
    assert!((1..=LEAVES_MAX).contains(&authority.actions.len()));
    let opaque = authority.actions.iter().any(|a| matches!(a.effect, Effect::Opaque { .. }));
    assert!(opaque || data.chain() == Some(CHAIN), "of another chain, and not opaque");
    assert!(
        authority.actions.iter().all(|action| action.via == Via::Signature || action.depth > 0)
    );
}

/// Texts: the digest is the other implementation's, what counts as readable is, and a login is whole.
pub fn text(bytes: &[u8]) {
    assert_eq!(text_digest(bytes), eip191_hash_message(bytes));
    let actions = text_actions(bytes, WALLET, CHAIN);
    let [action] = actions.as_slice() else { panic!("one text is one action: {actions:?}") };
    match &action.effect {
        Effect::Opaque { reason } => assert!(!reason.is_empty()),
        Effect::Text { text, siwe } => {
            assert!(text.as_bytes() == bytes && bytes.len() <= TEXT_BYTES_MAX);
            // a digest that somebody ground until it reads as a text has more than a few strange letters
            let strange = bytes.iter().filter(|b| !b.is_ascii_lowercase() && **b != b' ').count();
            assert!(bytes.len() != 32 || strange <= 4, "{text:?}");
            assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            let names_the_wallet = text.contains(&WALLET.to_checksum(None));
            if let Some(login) = siwe {
                is_said_by(text, login);
            }
            assert!(siwe.is_none() || names_the_wallet);
        }
        Effect::Transfer { .. }
        | Effect::Approve { .. }
        | Effect::Revoke { .. }
        | Effect::Call
        | Effect::Deploy { .. }
        | Effect::Undecodable { .. }
        | Effect::Delegate { .. }
        | Effect::TypedData { .. } => panic!("a text is no {action:?}"),
    }
}

/// Every field of a login stands in its own line of the text, and the lines are no more than the fields.
fn is_said_by(text: &str, login: &AbiValue) {
    let said = |name: &str| match login.at(name) {
        Some(AbiValue::Text(value)) => Some(value.clone()),
        Some(AbiValue::Uint(number)) => Some(number.to_string()),
        _ => None,
    };
    let labels = [
        ("uri", "URI: "),
        ("version", "Version: "),
        ("chain_id", "Chain ID: "),
        ("nonce", "Nonce: "),
        ("request_id", "Request ID: "),
    ];
    for (name, label) in labels {
        if let Some(value) = said(name) {
            assert!(text.lines().any(|line| line == format!("{label}{value}")), "{name}: {text}");
        }
    }
    let first = text.lines().next().unwrap_or_default().to_ascii_lowercase();
    let scheme = said("scheme").map_or_else(String::new, |scheme| format!("{scheme}://"));
    let domain = said("domain").unwrap();
    assert!(first.starts_with(&format!("{scheme}{domain} wants").to_ascii_lowercase()), "{text}");
    let Some(AbiValue::List(resources)) = login.at("resources") else { panic!("{login:?}") };
    let there = |name: &str| usize::from(login.at(name).is_some());
    let optional = ["expiration_time", "not_before", "request_id"].map(there).iter().sum::<usize>();
    let listed = if text.contains("\nResources:") { 1 + resources.len() } else { 0 };
    // two of the head, two empty ones, the statement, five fields
    assert_eq!(text.split('\n').count(), 9 + there("statement") + optional + listed, "{text}");
}
