//! The chain and the key that everything here uses.

use alloy_primitives::{Address, B256, b256};
use k256::ecdsa::SigningKey;

/// Its id: anvil's, and a development chain's.
pub(crate) const CHAIN: u64 = 31337;

/// The first key of the mnemonic that every development chain funds.
const KEY: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

/// The key that signs.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes((&KEY.0).into()).unwrap()
}

/// Whose key it is.
pub(crate) fn wallet() -> Address {
    Address::from_private_key(&key())
}

/// In words, for those who want a file.
pub(crate) fn key_hex() -> String {
    hex::encode(KEY)
}
