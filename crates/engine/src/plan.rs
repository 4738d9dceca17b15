//! From a draft to the exact plan that is judged: type, gas and fees filled in.

use alloy_primitives::U256;
use countersign_core::{
    identity::ChainId,
    transaction::{FeeBid, TransactionDraft, TransactionPlan, TransactionType},
};

use crate::{
    port::chain::{Estimate, Head},
    proposal::for_chain,
    submission::Malformed,
};

/// The gas of a transaction that does nothing else (EIP-2028 aside).
const GAS_INTRINSIC: u64 = 21_000;

/// The most gas that a transaction may have (EIP-7825).
pub(crate) const GAS_MAX: u64 = 16_777_216;

/// Nodes refuse transactions above 128 KiB; the rest is room for the other fields and the signature.
const DATA_BYTES_MAX: usize = 127 * 1024;

/// A plan, and what stands against signing it although a policy may allow it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    /// What would be signed, but for its nonce.
    pub(crate) plan: TransactionPlan,
    /// The node's reason why it would fail, if it would.
    pub(crate) fails: Option<Fails>,
}

/// The node says that the call would fail.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fails {
    pub(crate) code: Option<i64>,
    pub(crate) message: String,
    pub(crate) data: Option<serde_json::Value>,
}

/// Fills what the client left open. `estimate` is absent where nothing needs it.
pub(crate) fn plan(
    chain: ChainId,
    draft: &TransactionDraft,
    head: &Head,
    estimate: Option<Estimate>,
) -> Result<Planned, Malformed> {
    if draft.data.len() > DATA_BYTES_MAX {
        return Err(Malformed::new("data", "longer than any node takes in one transaction"));
    }
    let (estimated, mut fails) = match estimate {
        Some(Estimate::Gas(gas)) => (Some(with_headroom(gas, head)), None),
        Some(Estimate::Fails { code, message, data }) => (None, Some(failing(code, message, data))),
        None => (None, None),
    };
    let gas = draft.gas.or(estimated).unwrap_or(GAS_INTRINSIC);
    if gas > head.gas_limit {
        fails.get_or_insert_with(|| above_block_limit(head.gas_limit));
    }
    let (kind, fee) = fees(draft, head)?;
    if head.base_fee.is_some_and(|base| fee.ceiling() < base) {
        fails.get_or_insert_with(below_base_fee);
    }
    let plan = TransactionPlan {
        chain,
        kind,
        to: draft.to,
        value: draft.value,
        data: draft.data.clone(),
        gas,
        fee,
        access_list: draft.access_list.clone(),
        authorizations: draft.authorizations.clone(),
    };
    let total = plan.fee_wei_max().and_then(|fee| fee.checked_add(plan.value));
    match total {
        Some(_) => Ok(Planned { plan, fails }),
        None => Err(Malformed::new("value", "value and fee together exceed 256 bits")),
    }
}

/// The plan of a draft at a head that is only assumed, where no node can be asked: gas that is open is that of a plain
/// payment. Whether it would fail is not asked.
pub fn assumed(
    chain: ChainId,
    draft: &TransactionDraft,
    head: &Head,
) -> Result<TransactionPlan, Malformed> {
    for_chain(draft, chain)?;
    Ok(plan(chain, draft, head, None)?.plan)
}

fn failing(code: i64, message: String, data: Option<alloy_primitives::Bytes>) -> Fails {
    let data = data.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Fails { code: Some(code), message, data }
}

fn above_block_limit(limit: u64) -> Fails {
    let message = format!("the gas limit is above the block's {limit}");
    Fails { code: None, message, data: None }
}

fn below_base_fee() -> Fails {
    let message = "the offered fee per gas is below the block's base fee".into();
    Fails { code: None, message, data: None }
}

/// A plain payment needs exactly its intrinsic gas; a contract may need more when it runs later.
fn with_headroom(gas: u64, head: &Head) -> u64 {
    if gas <= GAS_INTRINSIC {
        return gas;
    }
    let roomy = gas.saturating_add(gas.checked_div(4).unwrap_or(0));
    roomy.min(head.gas_limit).min(GAS_MAX).max(gas)
}

/// Type and price. A client's own figures stand; what is absent becomes 2 × base fee + tip.
fn fees(draft: &TransactionDraft, head: &Head) -> Result<(TransactionType, FeeBid), Malformed> {
    let asked = draft.kind.unwrap_or(match (draft.gas_price, head.base_fee) {
        (Some(_), _) | (None, None) => TransactionType::Legacy,
        (None, Some(_)) => TransactionType::DynamicFee,
    });
    let lists = asked == TransactionType::Legacy && !draft.access_list.is_empty();
    let kind = if lists { TransactionType::AccessList } else { asked };
    let fee = match kind {
        TransactionType::Legacy | TransactionType::AccessList => {
            FeeBid::Price(draft.gas_price.unwrap_or(head.gas_price))
        }
        TransactionType::DynamicFee | TransactionType::SetCode => dynamic(draft, head)?,
    };
    Ok((kind, fee))
}

fn dynamic(draft: &TransactionDraft, head: &Head) -> Result<FeeBid, Malformed> {
    let base = head.base_fee.unwrap_or(head.gas_price);
    let tip = draft.max_priority_fee_per_gas.unwrap_or(head.tip);
    let filled = || base.checked_mul(2).and_then(|doubled| doubled.checked_add(tip));
    let max_fee = draft
        .max_fee_per_gas
        .or_else(filled)
        .ok_or_else(|| Malformed::new("maxPriorityFeePerGas", "the fee exceeds 128 bits"))?;
    let tip = if draft.max_priority_fee_per_gas.is_none() { tip.min(max_fee) } else { tip };
    if tip > max_fee {
        return Err(Malformed::new("maxPriorityFeePerGas", "the tip is above maxFeePerGas"));
    }
    Ok(FeeBid::Dynamic { max_fee, tip })
}

/// Whether a node must be asked what the call needs, or whether it would fail at all.
pub(crate) fn needs_estimate(draft: &TransactionDraft) -> bool {
    draft.gas.is_none() || !draft.data.is_empty() || !draft.authorizations.is_empty()
}

/// What a plan can take out of the wallet's balance at most, in wei, with what the chain adds to its fee.
pub(crate) fn outflow_max(plan: &TransactionPlan, data_fee_max: U256) -> U256 {
    let gas = plan.fee_wei_max().unwrap_or(U256::MAX);
    gas.saturating_add(data_fee_max).saturating_add(plan.value)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes};

    use super::*;

    fn head(base_fee: Option<u128>) -> Head {
        let number = 1;
        Head { number, hash: B256::ZERO, gas_limit: 30_000_000, base_fee, tip: 2, gas_price: 12 }
    }

    fn draft() -> TransactionDraft {
        TransactionDraft {
            from: None,
            to: None,
            value: U256::ZERO,
            data: Bytes::new(),
            gas: None,
            gas_price: None,
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            nonce: None,
            kind: None,
            chain: None,
            access_list: vec![],
            authorizations: vec![],
        }
    }

    fn fee_of(draft: &TransactionDraft, base_fee: Option<u128>) -> (TransactionType, FeeBid) {
        let planned = plan(ChainId(1), draft, &head(base_fee), Some(Estimate::Gas(21_000)));
        let plan = planned.unwrap().plan;
        (plan.kind, plan.fee)
    }

    #[test]
    fn what_a_client_leaves_open_is_filled_by_the_chains_kind() {
        use TransactionType::{DynamicFee, Legacy};
        let priced = TransactionDraft { gas_price: Some(7), ..draft() };
        let tipless = TransactionDraft { max_fee_per_gas: Some(1), ..draft() };
        let cases = [
            (draft(), Some(10), DynamicFee, FeeBid::Dynamic { max_fee: 22, tip: 2 }),
            (draft(), None, Legacy, FeeBid::Price(12)),
            (priced, Some(10), Legacy, FeeBid::Price(7)),
            (tipless, Some(1), DynamicFee, FeeBid::Dynamic { max_fee: 1, tip: 1 }),
        ];
        for (draft, base, kind, fee) in cases {
            assert_eq!(fee_of(&draft, base), (kind, fee));
        }
    }

    #[test]
    fn an_offer_below_the_base_fee_is_known_to_fail() {
        let poor = TransactionDraft { max_fee_per_gas: Some(9), ..draft() };
        let planned = plan(ChainId(1), &poor, &head(Some(10)), Some(Estimate::Gas(21_000)));
        assert!(planned.unwrap().fails.is_some());
    }

    #[test]
    fn a_sum_beyond_256_bits_is_refused() {
        let rich = TransactionDraft { value: U256::MAX, ..draft() };
        assert!(plan(ChainId(1), &rich, &head(Some(10)), None).is_err());
    }

    #[test]
    fn contracts_get_headroom_and_payments_do_not() {
        for (estimate, gas) in [(21_000, 21_000), (100_000, 125_000), (16_000_000, GAS_MAX)] {
            let planned =
                plan(ChainId(1), &draft(), &head(None), Some(Estimate::Gas(estimate))).unwrap();
            assert_eq!(planned.plan.gas, gas);
        }
    }
}
