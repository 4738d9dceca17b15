//! Approvals are facts: whether people have opened a gate for this operation, as it stands now.

use alloy_primitives::{U256, U512};
use countersign_core::{
    amount::MicroUsd,
    approval::{Gate, GateApproval},
    fact::Facts,
};

/// Whether this very gate (every part of its definition equal) is open for the rule that asks it, and nothing has
/// drifted beyond what the gate lets pass. What people said to one rule is no answer to another. `usd` is what the
/// request is worth now, where that is known. The gate's delay is the engine's matter.
pub(crate) fn is_open((gate, rule): (&Gate, &str), facts: &Facts, usd: Option<MicroUsd>) -> bool {
    let opens = |approval: &GateApproval| {
        approval.gate == *gate
            && approval.asked_by.iter().any(|asked| asked == rule)
            && gate.is_open(&approval.votes, facts.owner.as_deref())
            && gate
                .drift_fee_bps
                .is_none_or(|bps| within(facts.fee_wei_max, approval.fee_wei_max, bps))
            && gate.drift_usd_bps.is_none_or(|bps| is_worth(usd, approval.usd, bps))
    };
    facts.approvals.iter().any(opens)
}

/// What people approved without knowing its worth is not asked again for its worth; what they knew and
/// nobody knows any more is.
fn is_worth(now: Option<MicroUsd>, then: Option<MicroUsd>, bps: u32) -> bool {
    match (now, then) {
        (Some(now), Some(then)) => within(U256::from(now.micros()), U256::from(then.micros()), bps),
        (None, Some(_)) => false,
        (Some(_) | None, None) => true,
    }
}

/// Whether `now` is at most `then` and `bps` hundredths of a percent of it.
fn within(now: U256, then: U256, bps: u32) -> bool {
    let factor = U512::from(bps).saturating_add(U512::from(10_000));
    let most = U512::from(then).saturating_mul(factor);
    U512::from(now).saturating_mul(U512::from(10_000)) <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_may_drift_up_to_the_gates_bound_and_down_as_it_likes() {
        let table = [
            (100, 100, 0, true),
            (101, 100, 0, false),
            (125, 100, 2500, true),
            (126, 100, 2500, false),
            (1, 100, 0, true),
            (1, 0, 2500, false),
            (0, 0, 0, true),
        ];
        for (now, then, bps, expected) in table {
            assert_eq!(
                within(U256::from(now), U256::from(then), bps),
                expected,
                "{now} {then} {bps}"
            );
        }
        assert!(within(U256::MAX, U256::MAX, u32::MAX));
    }
}
