//! Lists, status, time, and what outlives a crash.

use countersign_core::{
    charge::Window,
    fact::Freeze,
    operation::{Delivery, OperationRecord, OperationState as S},
    time::Millis,
};
use countersign_engine::port::ledger::{
    Census, Found, LedgerError, OperationQuery, Reserve, SentOutcome,
};

use crate::{
    fixture::{
        self, CHAIN, DAY, HOUR, address, agent, charge, key, operation_id, operation_of, order,
        reject, rolling, wallet,
    },
    suite::{Desk, LedgerBench},
};

/// The states that need the gateway's work.
pub(super) const WORK: [S; 8] = [
    S::Approved,
    S::Allowed,
    S::Prepared,
    S::Signed,
    S::Broadcast,
    S::Unknown,
    S::Mined,
    S::Cancelling,
];

fn numbers(records: &[OperationRecord]) -> Vec<u64> {
    let number = |r: &OperationRecord| (0..1000).find(|n| operation_id(*n) == r.id).unwrap();
    records.iter().map(number).collect()
}

/// Every page of a list.
async fn pages(desk: &Desk, query: &OperationQuery) -> Vec<Vec<u64>> {
    let (mut query, mut pages) = (query.clone(), Vec::new());
    loop {
        let page = desk.ledger.operations(&query).await.unwrap();
        pages.push(numbers(&page.items));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return pages;
        }
    }
}

pub async fn a_census_counts_each_state_and_knows_the_oldest(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let asked = [S::Parked, S::Allowed, S::Rejected];
    let count = async |state| desk.ledger.census(&asked).await.unwrap()[&state];
    assert_eq!(desk.ledger.census(&asked).await.unwrap().len(), 3, "empty ones too");
    assert_eq!(count(S::Allowed).await, Census::default());
    let first = desk.time.now();
    for n in 1..=3 {
        desk.reserved(n, vec![]).await;
        desk.time.advance(Millis(10));
    }
    assert_eq!(count(S::Allowed).await, Census { count: 3, oldest: Some(first) });
    desk.ledger.reject(&reject(1)).await.unwrap();
    let second = first.after(Millis(10));
    assert_eq!(count(S::Allowed).await, Census { count: 2, oldest: Some(second) });
    assert_eq!(count(S::Rejected).await, Census { count: 1, oldest: Some(first) });
    assert_eq!(count(S::Parked).await, Census::default());
    assert_eq!(desk.ledger.census(&[]).await.unwrap().len(), 0);
}

pub async fn a_list_is_newest_first_in_pages(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for n in [1, 2, 4, 3, 5] {
        desk.reserved(n, vec![]).await;
        desk.time.advance(Millis(u64::from(n != 4)));
    }
    let by = |limit| OperationQuery { limit, ..OperationQuery::default() };
    assert_eq!(pages(&desk, &by(2)).await, [vec![5, 4], vec![3, 2], vec![1]], "4 and 3 at once");
    assert_eq!(pages(&desk, &by(5)).await, [[5, 4, 3, 2, 1]]);
    assert_eq!(pages(&desk, &by(u32::MAX)).await, [[5, 4, 3, 2, 1]]);
    desk.reserved(6, vec![]).await;
    let first = desk.ledger.operations(&by(2)).await.unwrap();
    desk.reserved(7, vec![]).await;
    let rest = OperationQuery { cursor: first.next_cursor, ..by(9) };
    assert_eq!(pages(&desk, &rest).await, [[4, 3, 2, 1]], "what is new shifts no page");
    let behind_4 = OperationQuery { cursor: Some(operation_id(4).to_string()), ..by(9) };
    assert_eq!(pages(&desk, &behind_4).await, [[3, 2, 1]], "wherever a page was left");
    let wrong = OperationQuery { cursor: Some("7; DROP".into()), ..by(2) };
    let answer = desk.ledger.operations(&wrong).await;
    assert!(matches!(answer, Err(LedgerError::Refused(_))));
}

pub async fn a_list_is_of_states_and_of_an_agent(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for n in 1..=6 {
        let mut intent = fixture::intent(n);
        intent.agent = agent(if n % 2 == 0 { "even" } else { "odd" });
        let reserve = Reserve { operation: operation_of(n, intent), ..fixture::reserve(n, vec![]) };
        desk.ledger.reserve(&reserve).await.unwrap();
        if n < 4 {
            desk.ledger.reject(&reject(n)).await.unwrap();
        }
    }
    desk.ledger.deny(&fixture::operation(7)).await.unwrap();
    let list = async |states: &[S], of: Option<&str>| {
        let (states, agent) = (states.to_vec(), of.map(agent));
        let query = OperationQuery { states, agent, limit: 2, cursor: None };
        pages(&desk, &query).await.concat()
    };
    assert_eq!(list(&[], None).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(list(&[], Some("even")).await, [6, 4, 2]);
    assert_eq!(list(&[S::Rejected], None).await, [3, 2, 1]);
    assert_eq!(list(&[S::Rejected, S::Denied], None).await, [7, 3, 2, 1]);
    assert_eq!(list(&[S::Allowed, S::Rejected], Some("odd")).await, [5, 3, 1]);
    assert_eq!(list(&[S::Parked], None).await, [0_u64; 0]);
}

pub async fn open_work_is_what_stands_still(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let start = desk.now().await;
    desk.parked(1, vec![]).await;
    desk.ledger.deny(&fixture::operation(2)).await.unwrap();
    desk.settled(3, vec![]).await;
    desk.reserved(4, vec![]).await;
    desk.committed(5, vec![]).await;
    desk.signed(6, vec![]).await;
    desk.parked(7, vec![]).await;
    let later = start.after(Millis(HOUR.0 - 1));
    desk.time.set(later);
    desk.broadcast(8, vec![]).await;
    desk.ledger.approve(&fixture::approve(7, "ann", start)).await.unwrap();
    let open = async |since, max| numbers(&desk.ledger.open(&WORK, since, max).await.unwrap());
    assert_eq!(open(start, 99).await, [4, 5, 6]);
    assert_eq!(open(start.before(Millis(1)), 99).await, [0_u64; 0]);
    assert_eq!(open(later, 99).await, [4, 5, 6, 7, 8], "oldest change first");
    assert_eq!(open(later, 4).await, [4, 5, 6, 7]);
    desk.ledger.sent(operation_id(6), 0, &SentOutcome::Accepted).await.unwrap();
    assert_eq!(open(start, 99).await, [4, 5]);
}

pub async fn open_work_is_of_the_states_asked_for(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let now = desk.now().await;
    for n in [1, 2] {
        desk.reserved(n, vec![]).await;
        desk.committed(n + 10, vec![]).await;
        desk.signed(n + 20, vec![]).await;
        desk.parked(n + 30, vec![]).await;
        desk.ledger.approve(&fixture::approve(n + 30, "ann", now)).await.unwrap();
        desk.time.advance(Millis(1));
    }
    let now = desk.now().await;
    let open = async |states: &[S], since, max| {
        numbers(&desk.ledger.open(states, since, max).await.unwrap())
    };
    assert_eq!(open(&[S::Allowed], now, 99).await, [1, 2]);
    assert_eq!(open(&[S::Approved], now, 99).await, [31, 32]);
    assert_eq!(open(&[S::Signed, S::Prepared], now, 99).await, [11, 21, 12, 22]);
    assert_eq!(open(&[S::Signed, S::Prepared], now, 3).await, [11, 21, 12]);
    assert_eq!(open(&[S::Signed], now, 1).await, [21], "others do not take its place");
    assert_eq!(open(&[S::Signed], now.before(Millis(2)), 99).await, [21]);
    assert_eq!(open(&[S::Broadcast, S::Mined], now, 99).await, [0_u64; 0]);
    assert_eq!(open(&[], now, 99).await, [0_u64; 0]);
}

pub async fn status_leaves_out_what_the_operation_itself_reserved(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let asked = [rolling("day", 0, 100), charge("ever", Window::Grant, 0, 100)];
    desk.parked(1, vec![rolling("day", 10, 100), rolling("day", 5, 100)]).await;
    desk.parked(2, vec![rolling("day", 7, 100)]).await;
    let reserved = async |without: Option<u64>| {
        let readings = desk.ledger.status(&asked, without.map(operation_id)).await.unwrap();
        readings.iter().map(|r| r.reserved).collect::<Vec<_>>()
    };
    assert_eq!(reserved(None).await, [22, 0]);
    assert_eq!(reserved(Some(1)).await, [7, 0]);
    assert_eq!(reserved(Some(2)).await, [15, 0]);
    assert_eq!(reserved(Some(9)).await, [22, 0]);
    desk.ledger.reject(&reject(1)).await.unwrap();
    assert_eq!(reserved(Some(1)).await, [7, 0], "what is released is not taken out again");
    assert_eq!(desk.ledger.status(&[], None).await.unwrap(), []);
}

pub async fn time_never_steps_back(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let start = desk.now().await;
    desk.time.advance(DAY);
    let reached = desk.now().await;
    assert_eq!(reached, start.after(DAY));
    desk.time.set(start);
    assert_eq!(desk.now().await, reached);
    assert_eq!(desk.reserved(1, vec![]).await.created_at, reached);
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    assert_eq!(desk.now().await, reached);
}

pub async fn everything_outlives_a_crash(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let day = |amount| vec![rolling("day", amount, 1000)];
    desk.parked(1, day(1)).await;
    desk.reserved(2, day(2)).await;
    desk.committed(3, day(4)).await;
    desk.signed(4, day(8)).await;
    desk.broadcast(5, day(16)).await;
    desk.settled(6, day(32)).await;
    desk.ledger.deny(&fixture::operation(7)).await.unwrap();
    let mut keyed = fixture::reserve(8, day(64));
    keyed.operation.repeat.key = Some(key(8));
    desk.ledger.reserve(&keyed).await.unwrap();
    for n in 1..=8 {
        let done = desk.ledger.deliver(operation_id(n), Delivery::Waiting, Delivery::Collected);
        assert!(done.await.unwrap());
    }
    desk.ledger.freeze(&order(&Freeze::Global)).await.unwrap();
    desk.ledger.seal("crash").await.unwrap();
    let status = desk.ledger.describe().await.unwrap();
    let mut before = Vec::new();
    for n in 1..=8 {
        before.push(desk.record(n).await);
    }

    bench.reopen().await;
    let desk = Desk::at(bench).await;
    for (n, record) in (1..=8).zip(before) {
        assert_eq!(desk.record(n).await, record);
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [67, 28, 32]);
    assert_eq!(desk.ledger.freezes().await.unwrap(), [Freeze::Global]);
    assert_eq!(desk.ledger.describe().await.unwrap(), status);
    assert_eq!(desk.ledger.next_nonce(CHAIN, &wallet("hot")).await.unwrap(), Some(4));
    let seen = desk.ledger.seen(CHAIN, &wallet("hot"), &[address(2)]).await.unwrap();
    assert_eq!(seen.len(), 1);
    let found = desk.ledger.find(&keyed.operation.repeat).await.unwrap();
    assert!(matches!(found, Found::Same(_)));
}

pub async fn after_a_crash_what_waited_is_owed_and_what_was_allowed_is_redeemed(
    bench: &mut dyn LedgerBench,
) {
    let desk = Desk { ledger: bench.ledger(), time: bench.time() };
    desk.ledger.present("gateway-7", HOUR).await.unwrap();
    let mut reserve = fixture::reserve(1, vec![rolling("day", 10, 100)]);
    reserve.operation.gateway = "gateway-7".into();
    desk.ledger.reserve(&reserve).await.unwrap();
    let found = desk.ledger.find(&reserve.operation.repeat).await.unwrap();
    assert_eq!(found, Found::Nothing, "its caller waits");
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    desk.time.advance(HOUR);
    let found = desk.ledger.find(&reserve.operation.repeat).await.unwrap();
    assert!(matches!(found, Found::Same(_)));
    let answer = desk.ledger.redeem(&fixture::redeem(1, vec![rolling("day", 20, 100)])).await;
    let redeemed = countersign_engine::port::ledger::RedeemAnswer::Redeemed;
    assert_eq!(answer.unwrap(), redeemed(Box::new(desk.record(1).await)));
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [20, 0, 0]);
}

pub async fn each_change_and_nothing_else_is_in_the_log(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let mut last = desk.sequence().await;
    let mut grew = async || {
        let now = desk.sequence().await;
        let by = now - std::mem::replace(&mut last, now);
        by > 0
    };
    desk.reserved(1, vec![]).await;
    assert!(grew().await, "reserve");
    desk.reserved(1, vec![]).await;
    desk.ledger.expire(9).await.unwrap();
    desk.ledger.find(&fixture::operation(1).repeat).await.unwrap();
    desk.ledger.unseal().await.unwrap();
    assert!(!desk.ledger.unfreeze(&Freeze::All).await.unwrap());
    assert!(!grew().await, "nothing changed");
    desk.ledger.freeze(&order(&Freeze::All)).await.unwrap();
    assert!(grew().await, "freeze");
    desk.ledger.freeze(&order(&Freeze::All)).await.unwrap();
    assert!(!grew().await, "it was in force");
    desk.ledger.unfreeze(&Freeze::All).await.unwrap();
    assert!(grew().await, "unfreeze");
    desk.ledger.deliver(operation_id(1), Delivery::Waiting, Delivery::Owed).await.unwrap();
    assert!(grew().await, "deliver");
}
