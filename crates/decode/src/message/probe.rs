//! Where the chain tells that a signature was used, or can never be used any more.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use countersign_core::message::{Probe, Says};

/// `nonces(owner)` of ERC-2612 and DAI: counts the permits that were used.
pub(super) fn permit(token: Address, owner: Address, nonce: U256) -> Probe {
    let call = encode("nonces(address)", &[owner.into_word()]);
    Probe { contract: token, call, word: 0, says: Says::Above(nonce) }
}

/// `allowance(owner, token, spender)` of Permit2, of which the third word is the nonce.
pub(super) fn allowance(permit2: Address, pair: [Address; 3], nonce: U256) -> Probe {
    let words = pair.map(|address| address.into_word());
    let call = encode("allowance(address,address,address)", &words);
    Probe { contract: permit2, call, word: 2, says: Says::Above(nonce) }
}

/// `nonceBitmap(owner, word)` of Permit2: 256 nonces in a word.
pub(super) fn bitmap(permit2: Address, owner: Address, nonce: U256) -> Probe {
    let words = [owner.into_word(), word(nonce.wrapping_shr(8))];
    let call = encode("nonceBitmap(address,uint256)", &words);
    let bit = U256::ONE.wrapping_shl(usize::from(nonce.byte(0)));
    Probe { contract: permit2, call, word: 0, says: Says::AnyOf(bit) }
}

/// `authorizationState(authorizer, nonce)` of ERC-3009.
pub(super) fn authorization(token: Address, authorizer: Address, nonce: B256) -> Probe {
    let call = encode("authorizationState(address,bytes32)", &[authorizer.into_word(), nonce]);
    Probe { contract: token, call, word: 0, says: Says::AnyOf(U256::MAX) }
}

/// `getOrderStatus(orderHash)` of Seaport, of which the third word is how much was filled. An order that was
/// filled in part counts as used; one that was cancelled is not told apart from an open one.
pub(super) fn seaport_order(seaport: Address, order: B256) -> Probe {
    let call = encode("getOrderStatus(bytes32)", &[order]);
    Probe { contract: seaport, call, word: 2, says: Says::AnyOf(U256::MAX) }
}

/// `filledAmount(orderUid)` of `CoW` Protocol; a cancelled order counts as filled.
pub(super) fn cow_order(settlement: Address, order: B256, owner: Address, valid_to: u32) -> Probe {
    let uid = [order.as_slice(), owner.as_slice(), &valid_to.to_be_bytes()].concat();
    let (offset, length) = (word(U256::from(32)), word(U256::from(uid.len())));
    let mut call = encode("filledAmount(bytes)", &[offset, length]).to_vec();
    call.extend_from_slice(&uid);
    call.resize(call.len().saturating_add(8), 0);
    Probe { contract: settlement, call: call.into(), word: 0, says: Says::AnyOf(U256::MAX) }
}

/// `nonce()` of a Safe.
pub(super) fn safe(safe: Address, nonce: U256) -> Probe {
    Probe { contract: safe, call: encode("nonce()", &[]), word: 0, says: Says::Above(nonce) }
}

/// `getNonce(sender, key)` of ERC-4337: the key and a counter.
pub(super) fn operation(entry_point: Address, sender: Address, nonce: U256) -> Probe {
    let words = [sender.into_word(), word(nonce.wrapping_shr(64))];
    let call = encode("getNonce(address,uint192)", &words);
    Probe { contract: entry_point, call, word: 0, says: Says::Above(nonce) }
}

fn encode(signature: &str, words: &[B256]) -> Bytes {
    let selector = keccak256(signature);
    let mut call: Vec<u8> = selector.iter().take(4).copied().collect();
    call.extend(words.iter().flatten());
    call.into()
}

fn word(number: U256) -> B256 {
    B256::from(number.to_be_bytes::<32>())
}

#[cfg(test)]
mod tests;
