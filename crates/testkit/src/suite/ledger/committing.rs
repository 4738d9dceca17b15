//! Commit: lanes, nonces, freezes, the seal.

use std::collections::BTreeSet;

use countersign_core::{
    fact::Freeze,
    identity::ChainId,
    operation::{Attempt, OperationRecord, OperationState as S, Purpose},
    time::Millis,
};
use countersign_engine::port::ledger::{
    Commit, CommitAnswer, Disposition, LedgerError, RedeemAnswer, ReleaseProof, Reserve,
};

use crate::{
    fixture::{
        self, CHAIN, address, agent, commit, intent, operation_id, operation_of, order, reject,
        rolling, wallet,
    },
    suite::{Desk, LedgerBench},
};

/// What a commit is answered.
pub(super) async fn says(desk: &Desk, commit: &Commit) -> String {
    match desk.ledger.commit(commit).await.unwrap() {
        CommitAnswer::Bound(record) => format!("nonce {}", record.nonce().unwrap()),
        CommitAnswer::Gap { next } => format!("gap, next {next}"),
        CommitAnswer::NonceTaken { next } => format!("taken, next {next}"),
        CommitAnswer::Held { until } => format!("held until {until}"),
        CommitAnswer::LaneFull => "full".into(),
        CommitAnswer::Lapsed => "lapsed".into(),
        CommitAnswer::Frozen(freeze) => format!("frozen {}", serde_json::json!(freeze)),
        CommitAnswer::Ended(standing) => format!("ended: {}", standing.last().0.name()),
        CommitAnswer::Sealed(reason) => format!("sealed: {reason}"),
        CommitAnswer::Elsewhere(record) => format!("elsewhere: {}", record.state.name()),
    }
}

/// Reserves the n-th operation with a nonce that the client fixed, and commits it with this floor.
pub(super) async fn fixed(desk: &Desk, n: u64, nonce: u64, floor: u64) -> String {
    let mut intent = intent(n);
    intent.nonce = Some(nonce);
    let reserve = Reserve { operation: operation_of(n, intent), ..fixture::reserve(n, vec![]) };
    desk.ledger.reserve(&reserve).await.unwrap();
    says(desk, &Commit { floor, ..commit(n) }).await
}

/// The owner of a wallet may use nonces elsewhere: what the chain has mined is not waited for.
pub async fn on_a_shared_lane_the_floor_counts_while_something_is_in_flight(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    assert_eq!(fixed(&desk, 1, 4, 4).await, "nonce 4");
    for n in [2, 3] {
        let mut intent = intent(n);
        intent.nonce = Some(6);
        let reserve = Reserve { operation: operation_of(n, intent), ..fixture::reserve(n, vec![]) };
        desk.ledger.reserve(&reserve).await.unwrap();
    }
    let shared = |n, floor| Commit { floor, shared_lane: true, ..commit(n) };
    assert_eq!(says(&desk, &Commit { floor: 6, ..commit(2) }).await, "gap, next 5");
    assert_eq!(says(&desk, &shared(2, 5)).await, "gap, next 5");
    assert_eq!(says(&desk, &shared(2, 7)).await, "taken, next 7");
    assert_eq!(says(&desk, &shared(2, 6)).await, "nonce 6");
    assert_eq!(says(&desk, &shared(3, 0)).await, "taken, next 7");
}

pub async fn a_commit_binds_nonce_and_payload_and_moves_the_money(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let charge = rolling("day", 40, 100);
    let reserved = desk.reserved(1, vec![charge.clone(), charge.clone()]).await;
    desk.time.advance(fixture::HOUR);
    let answer = desk.ledger.commit(&Commit { floor: 7, ..commit(1) }).await.unwrap();
    let CommitAnswer::Bound(record) = answer else { panic!("{answer:?}") };
    let attempt = Attempt {
        number: 0,
        purpose: Purpose::Payload,
        made_at: desk.now().await,
        transaction: crate::fixture::plan(&reserved.intent).clone().with_nonce(7),
        raw: None,
        hash: None,
        outcome: None,
    };
    let now = desk.now().await;
    let expected = OperationRecord {
        state: S::Prepared,
        attempts: vec![attempt],
        updated_at: now,
        ..reserved
    };
    assert_eq!(*record, expected);
    assert_eq!(desk.record(1).await, expected);
    assert_eq!(desk.counts(&charge).await, [0, 80, 0]);
    let hot = wallet("hot");
    assert_eq!(desk.ledger.holder(CHAIN, &hot, 7).await.unwrap(), Some(operation_id(1)));
    assert_eq!(desk.ledger.holder(CHAIN, &hot, 6).await.unwrap(), None);
    assert_eq!(desk.ledger.holder(ChainId(1), &hot, 7).await.unwrap(), None);
    assert_eq!(desk.ledger.next_nonce(CHAIN, &hot).await.unwrap(), Some(8));
    assert_eq!(desk.ledger.next_nonce(CHAIN, &wallet("cold")).await.unwrap(), None);
}

pub async fn a_second_commit_returns_the_same_nonce_whatever_happened(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.committed(1, vec![]).await;
    desk.committed(2, vec![]).await;
    let length = desk.sequence().await;
    desk.ledger.freeze(&order(&Freeze::All)).await.unwrap();
    desk.ledger.seal("test").await.unwrap();
    for n in [1, 2] {
        let record = desk.record(n).await;
        let again = desk.ledger.commit(&Commit { in_flight_max: 0, ..commit(n) }).await.unwrap();
        assert_eq!(again, CommitAnswer::Bound(Box::new(record)));
    }
    assert_eq!(desk.sequence().await, length + 2, "the freeze and the seal");
    assert_eq!(desk.record(2).await.nonce(), Some(1));
}

pub async fn nonces_follow_each_other_and_the_floor_counts_on_an_empty_lane_only(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    for n in 0..9 {
        desk.reserved(n, vec![]).await;
    }
    let at = async |n, floor| says(&desk, &Commit { floor, ..commit(n) }).await;
    assert_eq!(at(0, 5).await, "nonce 5");
    assert_eq!(at(1, 90).await, "nonce 6", "an entry is open");
    assert_eq!(at(2, 0).await, "nonce 7");
    for n in 0..3 {
        let used = ReleaseProof::NonceUsedElsewhere { final_nonce: 90 };
        desk.ledger.release_committed(operation_id(n), &used).await.unwrap();
    }
    assert_eq!(at(3, 2).await, "nonce 8", "never below what was bound");
    let record = desk.record(3).await;
    let bytes = fixture::signed_first(&record);
    let signed = desk.ledger.signed(operation_id(3), 0, &bytes, None).await.unwrap();
    desk.ledger.settle(&fixture::settle(&signed, vec![])).await.unwrap();
    assert_eq!(at(4, 100).await, "nonce 100", "all are terminal");
    assert_eq!(desk.ledger.next_nonce(CHAIN, &wallet("hot")).await.unwrap(), Some(101));
    desk.ledger.unsettle(operation_id(3)).await.unwrap();
    assert_eq!(at(5, 500).await, "nonce 101");
}

pub async fn lanes_of_other_wallets_and_chains_are_their_own(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let edits: [(u64, &str, u64); 4] =
        [(1, "hot", 1), (2, "hot", 10), (3, "cold", 1), (4, "hot", 1)];
    let mut nonces = Vec::new();
    for (n, wallet_name, chain) in edits {
        let mut intent = intent(n);
        intent.wallet = wallet(wallet_name);
        crate::fixture::plan_mut(&mut intent).chain = ChainId(chain);
        let reserve = Reserve { operation: operation_of(n, intent), ..fixture::reserve(n, vec![]) };
        desk.ledger.reserve(&reserve).await.unwrap();
        nonces.push(says(&desk, &Commit { in_flight_max: 2, ..commit(n) }).await);
    }
    assert_eq!(nonces, ["nonce 0", "nonce 0", "nonce 0", "nonce 1"]);
}

pub async fn a_fixed_nonce_is_bound_in_its_turn(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    assert_eq!(fixed(&desk, 1, 6, 5).await, "gap, next 5");
    assert_eq!(fixed(&desk, 2, 4, 5).await, "taken, next 5");
    assert_eq!(desk.state(1).await, S::Allowed);
    assert_eq!(fixed(&desk, 3, 5, 5).await, "nonce 5");
    assert_eq!(fixed(&desk, 4, 5, 5).await, "taken, next 6");
    assert_eq!(fixed(&desk, 5, u64::MAX, 5).await, "gap, next 6");
    assert_eq!(says(&desk, &commit(1)).await, "nonce 6");
    assert_eq!(fixed(&desk, 6, 6, 5).await, "taken, next 7");
}

pub async fn only_so_many_are_in_flight(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for n in 1..=4 {
        desk.reserved(n, vec![rolling("day", 1, 100)]).await;
    }
    let two = |n| Commit { in_flight_max: 2, ..commit(n) };
    assert_eq!(says(&desk, &two(1)).await, "nonce 0");
    assert_eq!(says(&desk, &two(2)).await, "nonce 1");
    assert_eq!(says(&desk, &two(3)).await, "full");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [2, 2, 0]);
    let bytes = fixture::signed_first(&desk.record(1).await);
    let signed = desk.ledger.signed(operation_id(1), 0, &bytes, None).await.unwrap();
    assert_eq!(says(&desk, &two(3)).await, "full", "signed is in flight");
    desk.ledger.settle(&fixture::settle(&signed, vec![1])).await.unwrap();
    assert_eq!(says(&desk, &two(3)).await, "nonce 2");
    assert_eq!(says(&desk, &Commit { in_flight_max: 0, ..commit(4) }).await, "full");
}

pub async fn only_what_is_allowed_is_committed(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.parked(1, vec![]).await;
    assert_eq!(says(&desk, &commit(1)).await, "elsewhere: PARKED");
    let now = desk.now().await;
    desk.ledger.approve(&fixture::approve(1, "ann", now)).await.unwrap();
    assert_eq!(says(&desk, &commit(1)).await, "elsewhere: APPROVED");
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(says(&desk, &commit(1)).await, "elsewhere: REJECTED");
    desk.ledger.deny(&fixture::operation(2)).await.unwrap();
    assert_eq!(says(&desk, &commit(2)).await, "elsewhere: DENIED");
    let missing = desk.ledger.commit(&commit(9)).await;
    assert!(matches!(missing, Err(LedgerError::Refused(_))));
    assert_eq!(desk.ledger.next_nonce(CHAIN, &wallet("hot")).await.unwrap(), None);
}

/// A gateway that was thought dead wakes up and commits what another has judged anew since.
pub async fn a_commit_of_an_older_judgement_binds_nothing(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let first = desk.reserved(1, vec![rolling("day", 10, 100)]).await;
    assert_eq!(first.fence, 0);
    let answer = desk.ledger.redeem(&fixture::redeem(1, vec![rolling("day", 20, 100)])).await;
    let RedeemAnswer::Redeemed(redeemed) = answer.unwrap() else { panic!("not redeemed") };
    assert_eq!(redeemed.fence, 1);
    let length = desk.sequence().await;
    for fence in [0, 2] {
        let answer = desk.ledger.commit(&Commit { fence, ..commit(1) }).await.unwrap();
        assert_eq!(answer, CommitAnswer::Elsewhere(redeemed.clone()));
    }
    desk.ledger.seal("test").await.unwrap();
    assert_eq!(says(&desk, &commit(1)).await, "elsewhere: ALLOWED", "it is asked before the seal");
    desk.ledger.unseal().await.unwrap();
    assert_eq!(desk.sequence().await, length + 2);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [20, 0, 0]);
    assert_eq!(says(&desk, &Commit { fence: 1, ..commit(1) }).await, "nonce 0");
    assert_eq!(says(&desk, &commit(1)).await, "elsewhere: PREPARED", "nor is it told the nonce");
    assert_eq!(says(&desk, &Commit { fence: 1, ..commit(1) }).await, "nonce 0");
}

/// Reserves the n-th operation, to be committed within an hour.
async fn allowed_for_an_hour(desk: &Desk, n: u64) {
    let disposition = Disposition::Allow(desk.now().await.after(fixture::HOUR));
    let reserve = Reserve { disposition, ..fixture::reserve(n, vec![rolling("day", 10, 100)]) };
    desk.ledger.reserve(&reserve).await.unwrap();
}

pub async fn no_commit_from_the_deadline_on(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let until = desk.now().await.after(fixture::HOUR);
    for n in [1, 2] {
        allowed_for_an_hour(&desk, n).await;
        assert_eq!(desk.record(n).await.expires_at, Some(until));
    }
    desk.time.set(until.before(Millis(1)));
    assert_eq!(says(&desk, &commit(1)).await, "nonce 0");
    desk.time.set(until);
    let (length, before) = (desk.sequence().await, desk.record(2).await);
    assert_eq!(says(&desk, &commit(2)).await, "lapsed");
    assert_eq!((desk.sequence().await, desk.record(2).await), (length, before));
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [10, 10, 0]);
    assert_eq!(desk.ledger.next_nonce(CHAIN, &wallet("hot")).await.unwrap(), Some(1));
    assert_eq!(says(&desk, &commit(1)).await, "nonce 0", "what is bound does not lapse");
}

pub async fn a_deadline_is_looked_at_after_the_state_and_before_the_seal(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    allowed_for_an_hour(&desk, 1).await;
    allowed_for_an_hour(&desk, 2).await;
    desk.parked(3, vec![]).await;
    desk.ledger.seal("test").await.unwrap();
    desk.ledger.freeze(&order(&Freeze::All)).await.unwrap();
    assert_eq!(says(&desk, &commit(1)).await, "sealed: test");
    desk.time.advance(fixture::HOUR);
    assert_eq!(says(&desk, &commit(1)).await, "lapsed");
    desk.ledger.reject(&reject(2)).await.unwrap();
    assert_eq!(says(&desk, &commit(2)).await, "elsewhere: REJECTED");
    assert_eq!(says(&desk, &commit(3)).await, "elsewhere: PARKED");
}

pub async fn no_commit_under_a_freeze_that_covers_it(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let (trader, hot) = (agent("trader"), wallet("hot"));
    let stops = [
        Freeze::Global,
        Freeze::All,
        Freeze::Agent(trader),
        Freeze::Wallet(hot),
        Freeze::Chain(CHAIN),
    ];
    let passes =
        [Freeze::Agent(agent("other")), Freeze::Wallet(wallet("cold")), Freeze::Chain(ChainId(1))];
    for freeze in &passes {
        desk.ledger.freeze(&order(freeze)).await.unwrap();
    }
    for (n, freeze) in (0..).zip(&stops) {
        desk.reserved(n, vec![]).await;
        desk.reserved(n + 100, vec![]).await;
        desk.ledger.freeze(&order(freeze)).await.unwrap();
        let answer = desk.ledger.commit(&commit(n)).await.unwrap();
        assert_eq!(answer, CommitAnswer::Frozen(freeze.clone()));
        let shrinks = Commit { shrinks_only: true, ..commit(n + 100) };
        let passes = matches!(desk.ledger.commit(&shrinks).await.unwrap(), CommitAnswer::Bound(_));
        assert_eq!(passes, *freeze != Freeze::All, "{freeze:?}");
        assert!(desk.ledger.unfreeze(freeze).await.unwrap());
        assert!(!desk.ledger.unfreeze(freeze).await.unwrap());
        assert!(says(&desk, &commit(n)).await.starts_with("nonce"), "{freeze:?}");
    }
    let left: BTreeSet<Freeze> = desk.ledger.freezes().await.unwrap().into_iter().collect();
    assert_eq!(left, passes.into_iter().collect());
}

pub async fn no_commit_under_the_seal(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.reserved(1, vec![]).await;
    desk.ledger.seal("history is lost").await.unwrap();
    assert_eq!(says(&desk, &commit(1)).await, "sealed: history is lost");
    let shrinks = Commit { shrinks_only: true, ..commit(1) };
    assert_eq!(says(&desk, &shrinks).await, "sealed: history is lost");
    let status = desk.ledger.describe().await.unwrap();
    assert_eq!(status.sealed.as_deref(), Some("history is lost"));
    desk.ledger.unseal().await.unwrap();
    desk.ledger.unseal().await.unwrap();
    assert_eq!(desk.ledger.describe().await.unwrap().sealed, None);
    assert_eq!(says(&desk, &commit(1)).await, "nonce 0");
}

pub async fn counterparties_are_remembered_from_commit_on(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let asked = [address(2), address(3), address(4)];
    let seen = async || desk.ledger.seen(CHAIN, &wallet("hot"), &asked).await.unwrap();
    desk.reserved(1, vec![]).await;
    assert!(seen().await.is_empty());
    let commit = Commit { counterparties: vec![address(2), address(4)], ..commit(1) };
    desk.ledger.commit(&commit).await.unwrap();
    assert_eq!(seen().await, BTreeSet::from([address(2), address(4)]));
    let elsewhere = desk.ledger.seen(ChainId(1), &wallet("hot"), &asked).await.unwrap();
    let other = desk.ledger.seen(CHAIN, &wallet("cold"), &asked).await.unwrap();
    assert!(elsewhere.is_empty() && other.is_empty());
}

pub async fn sixty_four_commit_at_once_without_a_gap(bench: &mut dyn LedgerBench) {
    let desks = Desk::pair(bench).await;
    let tasks: Vec<_> = (0..64)
        .zip(desks.iter().cycle())
        .map(|(n, desk)| {
            let desk = desk.clone();
            tokio::spawn(async move {
                let charges = (0..8).map(|c| rolling(&format!("c{c}"), n + c, 1_000_000)).collect();
                desk.reserved(n, charges).await;
                let commit = Commit { in_flight_max: 64, ..commit(n) };
                match desk.ledger.commit(&commit).await.unwrap() {
                    CommitAnswer::Bound(record) => record.nonce().unwrap(),
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut nonces = BTreeSet::new();
    for task in tasks {
        nonces.insert(task.await.unwrap());
    }
    assert_eq!(nonces, (0..64).collect());
    let [desk, _] = desks;
    for c in 0..8 {
        let sum = (0..64).map(|n| n + c).sum();
        assert_eq!(desk.counts(&rolling(&format!("c{c}"), 0, 0)).await, [0, sum, 0]);
    }
}
