//! What roll-ups of the OP stack, and some others, charge beside the gas: asked of the contract that
//! they keep for that.

use alloy_primitives::{Address, Bytes, Signature, U256, address};
use countersign_core::{identity::ChainId, transaction::TransactionPlan};
use countersign_engine::port::chain::ChainError;
use futures_util::future::try_join;
use serde::Serialize;

use crate::{
    chain::NodeChain,
    transport::Fault,
    wire::{Answer, Data},
    words,
};

/// `GasPriceOracle`, at the same address on every chain of the OP stack.
const OP_ORACLE: Address = address!("420000000000000000000000000000000000000f");

/// Chains with the same contract elsewhere. On others that address may hold anything.
const ELSEWHERE: &[(u64, Address)] = &[
    // Scroll and its test network
    (534_352, address!("5300000000000000000000000000000000000002")),
    (534_351, address!("5300000000000000000000000000000000000002")),
    // Morph
    (2818, address!("530000000000000000000000000000000000000f")),
];

/// `getL1FeeUpperBound(uint256)`, since Fjord.
const UPPER_BOUND: [u8; 4] = [0xf1, 0xc7, 0xa5, 0x8b];
/// `getL1Fee(bytes)`
const L1_FEE: [u8; 4] = [0x49, 0x94, 0x8e, 0x0e];
/// `getOperatorFee(uint256)`, since Isthmus.
const OPERATOR_FEE: [u8; 4] = [0x27, 0x5a, 0xed, 0xd2];

/// The price of L1 data moves while a transaction waits, and nothing in the transaction limits what
/// it pays: so much of what it would cost now is set aside.
const HEADROOM: u64 = 2;

/// Where to ask, on this chain.
pub(crate) fn oracle(chain: ChainId) -> Address {
    let elsewhere = ELSEWHERE.iter().find(|(id, _)| *id == chain.0);
    elsewhere.map_or(OP_ORACLE, |(_, address)| *address)
}

impl NodeChain {
    /// Zero where the chain has no such contract; no answer where it has one that does not answer.
    pub(crate) async fn oracle_fee_max(&self, plan: &TransactionPlan) -> Result<U256, ChainError> {
        let oracle = oracle(self.id);
        if !self.oracles.share((), self.fetch_has_code(oracle)).await? {
            return Ok(U256::ZERO);
        }
        let raw = longest(plan);
        let (data, operator) =
            try_join(self.data_part(oracle, &raw), self.operator_part(oracle, plan.gas)).await?;
        let now = data.saturating_add(operator);
        Ok(now.saturating_mul(U256::from(HEADROOM)))
    }

    async fn data_part(&self, oracle: Address, raw: &Bytes) -> Result<U256, ChainError> {
        let bound = call(UPPER_BOUND, &[U256::from(raw.len())], &[]);
        if let Some(fee) = self.call_oracle(oracle, bound).await? {
            return Ok(fee);
        }
        // one of before Fjord
        let head = [U256::from(0x20), U256::from(raw.len())];
        let fee = self.call_oracle(oracle, call(L1_FEE, &head, raw)).await?;
        fee.ok_or_else(|| self.unavailable("the chain's data fee cannot be asked for"))
    }

    /// What the operator of the roll-up takes at most; nothing before Isthmus.
    async fn operator_part(&self, oracle: Address, gas: u64) -> Result<U256, ChainError> {
        let fee = self.call_oracle(oracle, call(OPERATOR_FEE, &[U256::from(gas)], &[])).await?;
        Ok(fee.unwrap_or(U256::ZERO))
    }

    /// `None` where the contract reverts: it has no such function.
    async fn call_oracle(&self, to: Address, data: Bytes) -> Result<Option<U256>, ChainError> {
        let question = self.question("eth_call", &(Call { to, data }, "latest"))?;
        let read = |answer: Answer| match answer {
            Answer::Error(error) if words::is_revert(&error) => Ok(None),
            Answer::Error(error) => Err(Fault::Refused(error)),
            Answer::Result(_) => word(&answer.typed()?).map(Some),
        };
        self.nodes.ask(&question, read).await
    }
}

#[derive(Serialize)]
struct Call {
    to: Address,
    data: Bytes,
}

/// Exactly one word.
fn word(Data(bytes): &Data) -> Result<U256, Fault> {
    let word: Option<[u8; 32]> = bytes.as_ref().try_into().ok();
    word.map(U256::from_be_bytes).ok_or_else(|| Fault::Nonsense("not a number".into()))
}

/// Call data: a selector, words, and bytes filled up with zeros to whole words.
fn call(selector: [u8; 4], words: &[U256], tail: &[u8]) -> Bytes {
    let mut data = selector.to_vec();
    data.extend(words.iter().flat_map(U256::to_be_bytes::<32>));
    data.extend_from_slice(tail);
    let over = tail.len().checked_rem(32).unwrap_or(0);
    data.resize(data.len().saturating_add((32_usize.saturating_sub(over)) & 31), 0);
    data.into()
}

/// The transaction as it would be sent, at the longest that nonce and signature can make it.
fn longest(plan: &TransactionPlan) -> Bytes {
    let signature = Signature::new(U256::MAX, U256::MAX, true);
    plan.clone().with_nonce(u64::MAX).encode_signed(signature).0
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (selector, signature) in [
            (UPPER_BOUND, "getL1FeeUpperBound(uint256)"),
            (L1_FEE, "getL1Fee(bytes)"),
            (OPERATOR_FEE, "getOperatorFee(uint256)"),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }

    #[test]
    fn bytes_are_filled_up_to_whole_words() {
        for (len, expected) in [(0, 4 + 64), (1, 4 + 96), (31, 4 + 96), (32, 4 + 96), (33, 4 + 128)]
        {
            let data = call(L1_FEE, &[U256::from(32), U256::from(len)], &vec![7; len]);
            assert_eq!(data.len(), expected, "{len}");
            assert_eq!(data[..4], L1_FEE);
            assert_eq!(data[4 + 64..][..len], vec![7; len]);
        }
    }

    #[test]
    fn only_one_word_is_a_number() {
        for len in [0, 1, 31, 33, 64] {
            assert!(word(&Data(vec![0; len].into())).is_err(), "{len}");
        }
        assert_eq!(word(&Data(U256::from(7).to_be_bytes_vec().into())).unwrap(), U256::from(7));
    }
}
