//! How long a signature can be used, and how the chain tells that it was.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};

/// How long what a signature allows can happen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lasting {
    /// The last second of the chain's clock at which it can be used; `None` is for ever.
    pub until: Option<u64>,
    /// Where the chain tells whether it still can; `None` where it does not tell.
    pub nonce: Option<OnChainNonce>,
}

/// A question to a contract whose answer tells that a signature was used, or can never be used any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnChainNonce {
    /// The contract that keeps the nonce.
    pub contract: Address,
    /// Calldata of a view function.
    pub call: Bytes,
    /// How the answer is understood.
    pub gone: Gone,
}

/// What in the words of an answer means that the nonce is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// A counter has passed the nonce.
    Above {
        /// Which word of the answer.
        word: u8,
        /// The nonce.
        nonce: U256,
    },
    /// A bit of the first word is set.
    Bit(u8),
    /// One of these words is not zero.
    NonZero {
        /// The first of them.
        first: u8,
        /// The last of them.
        last: u8,
    },
}

impl OnChainNonce {
    /// Whether the nonce is gone, by the contract's answer. `None` where the answer has fewer words than the
    /// function returns: then nothing is known.
    #[must_use]
    pub fn is_gone(&self, answer: &[u8]) -> Option<bool> {
        let word = |index: u8| {
            let start = usize::from(index).checked_mul(32)?;
            answer.get(start..start.checked_add(32)?).map(U256::from_be_slice)
        };
        match &self.gone {
            Gone::Above { word: index, nonce } => word(*index).map(|counter| counter > *nonce),
            Gone::Bit(bit) => word(0).map(|bits| bits.bit(usize::from(*bit))),
            Gone::NonZero { first, last } => (*first..=*last)
                .map(word)
                .try_fold(false, |gone, word| Some(!word?.is_zero() || gone)),
        }
    }

    fn new(contract: Address, signature: &str, words: &[B256], gone: Gone) -> Self {
        Self { contract, call: encode(signature, words), gone }
    }

    /// `nonces(owner)` of ERC-2612 and DAI: counts the permits that were used.
    pub(super) fn of_permit(token: Address, owner: Address, nonce: U256) -> Self {
        let gone = Gone::Above { word: 0, nonce };
        Self::new(token, "nonces(address)", &[owner.into_word()], gone)
    }

    /// `allowance(owner, token, spender)` of Permit2, of which the third word is the nonce.
    pub(super) fn of_allowance(
        permit2: Address,
        [owner, token, spender]: [Address; 3],
        nonce: U256,
    ) -> Self {
        let words = [owner, token, spender].map(|address| address.into_word());
        let gone = Gone::Above { word: 2, nonce };
        Self::new(permit2, "allowance(address,address,address)", &words, gone)
    }

    /// `nonceBitmap(owner, word)` of Permit2: 256 nonces in a word.
    pub(super) fn of_bitmap(permit2: Address, owner: Address, nonce: U256) -> Self {
        let words = [owner.into_word(), word(nonce.wrapping_shr(8))];
        let gone = Gone::Bit(nonce.byte(0));
        Self::new(permit2, "nonceBitmap(address,uint256)", &words, gone)
    }

    /// `authorizationState(authorizer, nonce)` of ERC-3009.
    pub(super) fn of_authorization(token: Address, authorizer: Address, nonce: B256) -> Self {
        let words = [authorizer.into_word(), nonce];
        let gone = Gone::NonZero { first: 0, last: 0 };
        Self::new(token, "authorizationState(address,bytes32)", &words, gone)
    }

    /// `getOrderStatus(orderHash)` of Seaport: validated, cancelled, filled, size. An order that was filled in
    /// part counts as used.
    pub(super) fn of_seaport(seaport: Address, order: B256) -> Self {
        let gone = Gone::NonZero { first: 1, last: 2 };
        Self::new(seaport, "getOrderStatus(bytes32)", &[order], gone)
    }

    /// `filledAmount(orderUid)` of `CoW` Protocol; a cancelled order counts as filled.
    pub(super) fn of_cow(settlement: Address, order: B256, owner: Address, valid_to: u32) -> Self {
        let uid = [order.as_slice(), owner.as_slice(), &valid_to.to_be_bytes()].concat();
        let (offset, length) = (word(U256::from(32)), word(U256::from(uid.len())));
        let mut call = encode("filledAmount(bytes)", &[offset, length]).to_vec();
        call.extend_from_slice(&uid);
        call.resize(call.len().saturating_add(8), 0);
        let gone = Gone::NonZero { first: 0, last: 0 };
        Self { contract: settlement, call: call.into(), gone }
    }

    /// `nonce()` of a Safe.
    pub(super) fn of_safe(safe: Address, nonce: U256) -> Self {
        Self::new(safe, "nonce()", &[], Gone::Above { word: 0, nonce })
    }

    /// `getNonce(sender, key)` of ERC-4337: the key and a counter.
    pub(super) fn of_operation(entry_point: Address, sender: Address, nonce: U256) -> Self {
        let words = [sender.into_word(), word(nonce.wrapping_shr(64))];
        let gone = Gone::Above { word: 0, nonce };
        Self::new(entry_point, "getNonce(address,uint192)", &words, gone)
    }
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
