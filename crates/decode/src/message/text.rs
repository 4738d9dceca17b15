//! Texts that people can read (EIP-191, `personal_sign` and `eth_sign`).

use alloy_primitives::{Address, B256, keccak256};
use countersign_core::{
    action::{Action, Effect},
    identity::ChainId,
};

use super::signed;

/// The longest text that is signed.
pub const TEXT_BYTES_MAX: usize = 4096;

/// What is signed: `keccak256(0x19 ‖ "Ethereum Signed Message:\n" ‖ length ‖ bytes)`. No other prefix can
/// be reached.
#[must_use]
pub fn text_digest(bytes: &[u8]) -> B256 {
    let prefix = format!("\u{19}Ethereum Signed Message:\n{}", bytes.len());
    keccak256([prefix.as_bytes(), bytes].concat())
}

/// What a signature over a text is: one action.
#[must_use]
pub fn text_actions(bytes: &[u8], _wallet: Address, _chain: ChainId) -> Vec<Action> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= TEXT_BYTES_MAX);
    let effect = match text {
        Some(text) if bytes.len() != 32 => Effect::Text { text: text.to_owned(), siwe: None },
        Some(_) | None => Effect::Opaque { reason: "not a text that people can read".to_owned() },
    };
    vec![signed(effect)]
}
