//! People: parking, votes, rejection, expiry.

use countersign_core::{
    approval::Vote,
    operation::{OperationRecord, OperationState as S},
    time::{Millis, Timestamp},
};
use countersign_engine::port::ledger::{
    Approve, ApproveAnswer, Disposition, PasskeyCount, Redeem, Reject, RejectAnswer, Reserve,
};

use crate::{
    fixture::{
        DAY, HOUR, approve, commit, digest, operation_id, redeem, reject, reserve, rolling, vote,
    },
    suite::{Desk, LedgerBench},
};

const MINUTE: Millis = Millis(60_000);

/// Parks and approves the n-th operation, which charges this amount.
pub(super) async fn approved(desk: &Desk, n: u64, amount: u64) -> OperationRecord {
    desk.parked(n, vec![rolling("day", amount, 100)]).await;
    let now = desk.now().await;
    match desk.ledger.approve(&approve(n, "ann", now)).await.unwrap() {
        ApproveAnswer::Voted(record) => *record,
        other => panic!("{other:?}"),
    }
}

/// The name of an answer.
pub(super) fn says(answer: &ApproveAnswer) -> &'static str {
    match answer {
        ApproveAnswer::Voted(_) => "voted",
        ApproveAnswer::Raced => "raced",
        ApproveAnswer::PasskeyBehind => "passkey behind",
        ApproveAnswer::OtherDigest => "other digest",
        ApproveAnswer::Elsewhere(_) => "elsewhere",
        ApproveAnswer::Expired => "expired",
        ApproveAnswer::Missing => "missing",
    }
}

pub async fn a_vote_that_completes_moves_a_parked_operation_to_approved(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk::at(bench).await;
    let parked = desk.parked(1, vec![rolling("day", 10, 100)]).await;
    desk.time.advance(MINUTE);
    let now = desk.now().await;
    let first = Approve { completes: false, ..approve(1, "ann", now) };
    let ApproveAnswer::Voted(voted) = desk.ledger.approve(&first).await.unwrap() else {
        panic!("no vote")
    };
    let expected = OperationRecord { votes: vec![vote("ann", now)], updated_at: now, ..parked };
    assert_eq!(*voted, expected);
    let second = Approve { votes_seen: 1, ..approve(1, "bob", now) };
    let ApproveAnswer::Voted(voted) = desk.ledger.approve(&second).await.unwrap() else {
        panic!("no vote")
    };
    assert_eq!((voted.state, voted.votes.len()), (S::Approved, 2));
    assert_eq!(desk.record(1).await, *voted);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [10, 0, 0]);
}

/// A count that stands still or goes back means that there are two of the authenticator.
pub async fn a_passkey_counts_on_or_its_vote_is_refused(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    let signed = |n, key: &str, count| {
        let passkey = Some(PasskeyCount { credential: key.into(), count });
        Approve { passkey, ..approve(n, "ann", now) }
    };
    for (n, key, count, expected) in [
        (1, "a", 5, "voted"),
        (2, "a", 5, "passkey behind"),
        (2, "a", 4, "passkey behind"),
        (2, "a", 0, "passkey behind"),
        (2, "b", 0, "voted"),
        // one that does not count says nothing by that
        (3, "b", 0, "voted"),
        (4, "b", 1, "voted"),
        (5, "b", 0, "passkey behind"),
        (5, "a", u32::MAX, "voted"),
        (6, "a", u32::MAX, "passkey behind"),
    ] {
        if desk.ledger.operation(operation_id(n)).await.unwrap().is_none() {
            desk.parked(n, vec![]).await;
        }
        let length = desk.sequence().await;
        let answer = desk.ledger.approve(&signed(n, key, count)).await.unwrap();
        assert_eq!(says(&answer), expected, "{n} {key} {count}");
        let written = u64::from(expected == "voted");
        assert_eq!(desk.sequence().await, length + written);
        // the same call again is the same vote, not a second signature
        let again = desk.ledger.approve(&signed(n, key, count)).await.unwrap();
        assert_eq!(says(&again), expected, "{n} {key} {count} again");
    }
}

pub async fn a_vote_is_refused_for_what_it_does_not_name(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    desk.parked(1, vec![]).await;
    desk.reserved(2, vec![]).await;
    let length = desk.sequence().await;
    let vote = approve(1, "ann", now);
    let cases = [
        (Approve { operation: operation_id(9), ..vote.clone() }, "missing"),
        (Approve { operation: operation_id(2), ..vote.clone() }, "elsewhere"),
        (Approve { digest: digest(2), ..vote.clone() }, "other digest"),
        (Approve { votes_seen: 1, ..vote.clone() }, "raced"),
    ];
    for (case, expected) in cases {
        let answer = desk.ledger.approve(&case).await.unwrap();
        assert_eq!(says(&answer), expected);
    }
    desk.time.advance(HOUR);
    let late = desk.ledger.approve(&vote).await.unwrap();
    assert_eq!(says(&late), "expired", "at its last instant it is over");
    assert_eq!(desk.sequence().await, length);
}

pub async fn a_repeated_vote_is_the_same_vote(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    let first = approved(&desk, 1, 10).await;
    let again = desk.ledger.approve(&approve(1, "ann", now)).await.unwrap();
    assert_eq!(again, ApproveAnswer::Voted(Box::new(first)));
    let other = desk.ledger.approve(&approve(1, "bob", now)).await.unwrap();
    assert_eq!(says(&other), "elsewhere");
    desk.ledger.reject(&reject(1)).await.unwrap();
    let late = desk.ledger.approve(&approve(1, "ann", now)).await.unwrap();
    assert_eq!(says(&late), "elsewhere", "it was rejected since");
}

pub async fn twenty_vote_at_once_and_one_is_first(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    desk.parked(1, vec![]).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let desk = desk.clone();
            let vote = Approve { completes: false, ..approve(1, &format!("op-{n}"), now) };
            tokio::spawn(async move { desk.ledger.approve(&vote).await.unwrap() })
        })
        .collect();
    let mut voted = 0;
    for task in tasks {
        match says(&task.await.unwrap()) {
            "voted" => voted += 1,
            other => assert_eq!(other, "raced"),
        }
    }
    assert_eq!((voted, desk.record(1).await.votes.len()), (1, 1));
}

pub async fn a_rejection_releases_from_any_state_before_commit(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.parked(1, vec![rolling("day", 10, 100)]).await;
    approved(&desk, 2, 10).await;
    desk.reserved(3, vec![rolling("day", 10, 100)]).await;
    desk.time.advance(MINUTE);
    let now = desk.now().await;
    for (n, left) in [(1, 20), (2, 10), (3, 0)] {
        let no = Reject { vote: Some(vote("bob", now)), ..reject(n) };
        let answer = desk.ledger.reject(&no).await.unwrap();
        let RejectAnswer::Rejected(record) = answer else { panic!("{answer:?}") };
        assert_eq!((record.state, record.finished_at), (S::Rejected, Some(now)));
        assert_eq!((record.code.as_str(), record.reason.as_str()), ("rejected", "rejected by ann"));
        assert_eq!(record.votes.last(), Some(&vote("bob", now)));
        assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [left, 0, 0]);
        let again = desk.ledger.reject(&no).await.unwrap();
        assert_eq!(again, RejectAnswer::Rejected(record));
        assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [left, 0, 0]);
    }
}

pub async fn a_rejection_never_touches_what_is_committed_or_not_meant(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let missing = desk.ledger.reject(&reject(9)).await.unwrap();
    assert_eq!(missing, RejectAnswer::Missing);
    let committed = desk.committed(1, vec![rolling("day", 10, 100)]).await;
    let all = Reject { from: S::ALL.to_vec(), ..reject(1) };
    let answer = desk.ledger.reject(&all).await.unwrap();
    assert_eq!(answer, RejectAnswer::Elsewhere(Box::new(committed)));
    let allowed = desk.reserved(2, vec![rolling("day", 10, 100)]).await;
    let parked_only = Reject { from: vec![S::Parked], ..reject(2) };
    let answer = desk.ledger.reject(&parked_only).await.unwrap();
    assert_eq!(answer, RejectAnswer::Elsewhere(Box::new(allowed)));
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [10, 10, 0]);
}

pub async fn what_is_over_expires_oldest_first_and_once(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let start = desk.now().await;
    let until = |minutes: u64| start.after(Millis(minutes * MINUTE.0));
    for (n, minutes) in [(1, 30), (2, 10), (3, 20), (4, 90)] {
        let charges = vec![rolling("day", 10, 100)];
        desk.ledger.reserve(&crate::fixture::park(n, charges, until(minutes))).await.unwrap();
    }
    desk.ledger.approve(&approve(3, "ann", start)).await.unwrap();
    desk.reserved(5, vec![rolling("day", 10, 100)]).await;
    assert_eq!(expired(&desk, 10).await, [0_u64; 0]);
    desk.time.set(until(30));
    assert_eq!(expired(&desk, 2).await, [2, 3], "an approval does not stop the time");
    assert_eq!(expired(&desk, 10).await, [1]);
    assert_eq!(expired(&desk, 10).await, [0_u64; 0]);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [20, 0, 0]);
    let record = desk.record(1).await;
    assert_eq!((record.state, record.finished_at), (S::Expired, Some(until(30))));
}

pub async fn what_is_allowed_never_expires(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let until = desk.now().await.after(MINUTE);
    let disposition = Disposition::Allow(until);
    let allowed = Reserve { disposition, ..reserve(1, vec![rolling("day", 10, 100)]) };
    desk.ledger.reserve(&allowed).await.unwrap();
    approved(&desk, 2, 10).await;
    let redeemed = Redeem { disposition: allowed.disposition, ..redeem(2, vec![]) };
    desk.ledger.redeem(&redeemed).await.unwrap();
    for n in [1, 2] {
        assert_eq!(desk.record(n).await.expires_at, Some(until));
    }
    desk.time.advance(DAY);
    assert_eq!(expired(&desk, 10).await, [0_u64; 0]);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [10, 0, 0], "it stays charged");
    let answer = desk.ledger.reject(&reject(1)).await.unwrap();
    assert!(matches!(answer, RejectAnswer::Rejected(_)), "whoever took it in gives it back");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
}

async fn expired(desk: &Desk, max: u32) -> Vec<u64> {
    let expired = desk.ledger.expire(max).await.unwrap();
    let number = |r: &OperationRecord| (0..200).find(|n| operation_id(*n) == r.id).unwrap();
    expired.iter().map(number).collect()
}

pub async fn two_sweepers_release_each_operation_once(bench: &mut dyn LedgerBench) {
    let [desk, other] = Desk::pair(bench).await;
    for n in 0..200 {
        desk.parked(n, vec![rolling("day", 10, 10_000)]).await;
    }
    desk.time.advance(HOUR);
    let sweep = |desk: &Desk| {
        let desk = desk.clone();
        tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                let some = expired(&desk, 7).await;
                if some.is_empty() {
                    return all;
                }
                all.extend(some);
            }
        })
    };
    let (one, two) = (sweep(&desk), sweep(&other));
    let mut all = [one.await.unwrap(), two.await.unwrap()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<u64>>());
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
}

pub async fn commit_and_reject_at_once_and_one_wins(bench: &mut dyn LedgerBench) {
    let [desk, other] = Desk::pair(bench).await;
    for n in 0..30 {
        desk.reserved(n, vec![rolling("day", 10, 1000)]).await;
        let (a, b) = (desk.clone(), other.clone());
        let commits = tokio::spawn(async move {
            let commit =
                countersign_engine::port::ledger::Commit { in_flight_max: 99, ..commit(n) };
            a.ledger.commit(&commit).await.unwrap()
        });
        let rejects = tokio::spawn(async move { b.ledger.reject(&reject(n)).await.unwrap() });
        commits.await.unwrap();
        rejects.await.unwrap();
        assert!(matches!(desk.state(n).await, S::Prepared | S::Rejected));
    }
    let mut committed = 0;
    for n in 0..30 {
        committed += u64::from(desk.state(n).await == S::Prepared);
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 10 * committed, 0]);
}

/// Votes keep what was said.
pub async fn a_note_is_kept(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.parked(1, vec![]).await;
    let said =
        Vote { note: Some("checked: {} \"\\ \u{1f511}\u{0}".into()), ..vote("ann", at_epoch()) };
    let approve = Approve { vote: said.clone(), ..approve(1, "ann", at_epoch()) };
    desk.ledger.approve(&approve).await.unwrap();
    assert_eq!(desk.record(1).await.votes, [said]);
}

fn at_epoch() -> Timestamp {
    Timestamp::from_millis(0)
}
