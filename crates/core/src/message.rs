//! Messages: what a key signs that is no transaction (EIP-191, EIP-712).

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::identity::ChainId;

/// A message as it was read and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The chain of the path that it came by; what its domain is bound to, where it has one.
    pub chain: ChainId,
    /// What it says.
    pub content: Content,
    /// Exactly what the key signs: Keccak-256 of the prefixed text (EIP-191, 0x45) or of domain and message (EIP-712).
    pub digest: B256,
    /// How long the signature can move value; `None` where it moves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting: Option<Lasting>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The bytes of a text, without the prefix.
    Text(Bytes),
    /// Typed data as canonical JSON: reading it again gives the same digest.
    TypedData(String),
}

/// Until when a signature can move value, and how the chain tells that it cannot any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// The last second since the epoch at which a contract takes it; `None` is for ever.
    pub until: Option<u64>,
    /// What the chain says once it is used up or made void; empty where nothing on the chain says so. All must say so:
    /// one signature may carry several authorities.
    pub used_up: Vec<Probe>,
}

/// A question to a contract whose answer says whether a signature is used up or void.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whom to ask.
    pub contract: Address,
    /// The calldata of a view function.
    pub call: Bytes,
    /// Which 32-byte word of the answer counts.
    pub word: u8,
    /// What that word says.
    pub says: Says,
}

/// What a word of an answer has to be for a signature to be used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// A counter that has gone beyond the signature's own number: ERC-2612 `nonces`, Permit2 `allowance`.
    Above(U256),
    /// Any of these bits is set: Permit2 `nonceBitmap`, EIP-3009 `authorizationState`.
    AnyOf(U256),
}

impl Probe {
    /// Whether an answer says that the signature is used up; `None` where it cannot be read.
    #[must_use]
    pub fn read(&self, answer: &[u8]) -> Option<bool> {
        let start = usize::from(self.word).checked_mul(32)?;
        let word = U256::from_be_slice(answer.get(start..start.checked_add(32)?)?);
        Some(match self.says {
            Says::Above(own) => word > own,
            Says::AnyOf(bits) => !(word & bits).is_zero(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_counts_says_whether_a_signature_is_used_up() {
        let probe = |word, says| Probe { contract: Address::ZERO, call: Bytes::new(), word, says };
        let mut answer = [0_u8; 64];
        answer[63] = 5;
        for (word, says, expect) in [
            (1, Says::Above(U256::from(4)), Some(true)),
            (1, Says::Above(U256::from(5)), Some(false)),
            (1, Says::AnyOf(U256::from(4)), Some(true)),
            (1, Says::AnyOf(U256::from(2)), Some(false)),
            (0, Says::Above(U256::ZERO), Some(false)),
            (2, Says::Above(U256::ZERO), None),
        ] {
            assert_eq!(probe(word, says).read(&answer), expect, "{word} {says:?}");
        }
    }
}
