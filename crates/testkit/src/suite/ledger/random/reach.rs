//! Whether the phrases are worth their time: on the model they reach every answer.

use std::{cell::RefCell, collections::BTreeSet};

use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{CASES, PHRASES_MAX, call::Call, phrase::phrase};
use crate::{fixture::operation_id, ledger::ModelLedger, time::ManualTime};

/// What the phrases have to reach, so that the stores are compared in it: the step with what comes of it.
const REACHED: [&str; 67] = [
    "Reserve NothingReserved",
    "Reserve NothingOver",
    "Reserve NothingPeriodMoved",
    "Reserve Same",
    "Reserve KeyConflict",
    "Approve Voted",
    "Approve Raced",
    "Approve OtherDigest",
    "Approve Elsewhere",
    "Approve Expired",
    "Approve Missing",
    "Redeem Redeemed",
    "Redeem Elsewhere",
    "Redeem Over",
    "Redeem PeriodMoved",
    "Split Split",
    "Split Elsewhere",
    "Split refused",
    "Say Said",
    "Say Stands",
    "Reject Rejected",
    "Reject Elsewhere",
    "Reject Missing",
    "Deny Denied",
    "Deny Same",
    "Deny KeyConflict",
    "Commit Bound",
    "Commit Gap",
    "Commit NonceTaken",
    "Commit Held",
    "Commit LaneFull",
    "Commit Lapsed",
    "Commit Frozen",
    "Commit Ended",
    "Commit Sealed",
    "Commit Elsewhere",
    "Bump Bound",
    "Bump Over",
    "Bump Elsewhere",
    "Bump Frozen",
    "Bump Sealed",
    "Bump refused",
    "Signed Signed",
    "Signed Cancelling",
    "Signed refused",
    "Sent Broadcast",
    "Sent Unknown",
    "Sent Cancelling",
    "Sent refused",
    "Mined Mined",
    "Mined Cancelling",
    "Mined refused",
    "Settle Executed",
    "Settle Reverted",
    "Settle Cancelled",
    "Unsettle Broadcast",
    "Unsettle Cancelling",
    "Release Conflict",
    "SignedMessage Signed",
    "SignedMessage Executed",
    "SignedMessage refused",
    "EndMessage Executed",
    "EndMessage Cancelled",
    "EndMessage refused",
    "Adopt Adopted",
    "Adopt Elsewhere",
    "Adopt refused",
];

/// The word that an answer begins with; of a record its state.
fn kind(answer: &str) -> &str {
    let rest = answer.split_once("state: ").filter(|_| answer.starts_with("OperationRecord"));
    let rest = rest.map_or(answer, |(_, rest)| rest);
    rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

#[expect(missing_docs, reason = "the name is a sentence")]
pub fn the_phrases_reach_every_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reached = RefCell::new(BTreeSet::new());
    let config = Config { cases: 4 * CASES, failure_persistence: None, ..Config::default() };
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, seed);
    let outcome = runner.run(&vec(phrase(), 1..PHRASES_MAX), |phrases| {
        let time = ManualTime::default();
        let model = ModelLedger::new(time.clone());
        for step in phrases.concat() {
            let record = step
                .subject()
                .and_then(|n| model.all().into_iter().find(|o| o.id == operation_id(n)));
            let call = Call { step: &step, now: time.now(), record };
            let answer = runtime.block_on(call.on(&model, &time));
            let name = format!("{step:?}");
            let name = name.split(' ').next().unwrap_or_default();
            reached.borrow_mut().insert(format!("{name} {}", kind(&answer)));
        }
        Ok(())
    });
    outcome.unwrap();
    let reached = reached.into_inner();
    let missing: Vec<&str> = REACHED.into_iter().filter(|what| !reached.contains(*what)).collect();
    assert!(missing.is_empty(), "{missing:?} of {reached:?}");
}
