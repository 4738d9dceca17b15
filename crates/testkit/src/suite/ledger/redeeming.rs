//! Redemption: what people approved, or a gateway left, is charged anew.

use countersign_core::{
    operation::{OperationRecord, OperationState as S},
    time::Millis,
};
use countersign_engine::port::ledger::{
    Commit, Disposition, LedgerError, Redeem, RedeemAnswer, Reserve,
};

use super::people::{approved, says};
use crate::{
    fixture::{
        DAY, FAR, GATEWAY, HOUR, approve, asking, commit, daily, digest, intent, parking, redeem,
        reserve, rolling, trace_hash,
    },
    suite::{Desk, LedgerBench},
};

const MINUTE: Millis = Millis(60_000);

pub async fn redemption_replaces_the_charges(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let approved = approved(&desk, 1, 60).await;
    desk.time.advance(MINUTE);
    let mut again = redeem(1, vec![rolling("day", 100, 100), rolling("new", 5, 10)]);
    crate::fixture::plan_mut(&mut again.intent).gas = 30_000;
    again.trace = trace_hash(77);
    let answer = desk.ledger.redeem(&again).await.unwrap();
    let RedeemAnswer::Redeemed(record) = answer else { panic!("{answer:?}") };
    let expected = OperationRecord {
        state: S::Allowed,
        intent: again.intent.clone(),
        charges: again.charges.clone(),
        trace: trace_hash(77),
        fence: 1,
        expires_at: Some(FAR),
        updated_at: desk.now().await,
        ..approved
    };
    assert_eq!(*record, expected);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [100, 0, 0]);
    assert_eq!(desk.counts(&rolling("new", 0, 0)).await, [5, 0, 0]);
    let repeated = desk.ledger.redeem(&again).await.unwrap();
    let record = Box::new(OperationRecord { fence: 2, ..*record });
    assert_eq!(repeated, RedeemAnswer::Redeemed(record.clone()), "it took it in: it may again");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [100, 0, 0]);
    let other = Redeem { gateway: "gateway-2".into(), ..again };
    let repeated = desk.ledger.redeem(&other).await.unwrap();
    assert_eq!(repeated, RedeemAnswer::Elsewhere(record));
}

pub async fn redemption_that_does_not_fit_leaves_everything(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let record = approved(&desk, 1, 60).await;
    desk.reserved(2, vec![rolling("day", 30, 100)]).await;
    let answer = desk.ledger.redeem(&redeem(1, vec![rolling("day", 71, 100)])).await.unwrap();
    let RedeemAnswer::Over(over) = answer else { panic!("{answer:?}") };
    assert_eq!((over[0].index, over[0].reading.reserved), (0, 30), "without its own");
    assert_eq!(desk.record(1).await, record);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [90, 0, 0]);
    let asks = |waived| vec![asking(rolling("day", 71, 100), waived)];
    let answer = desk.ledger.redeem(&redeem(1, asks(false))).await.unwrap();
    assert!(matches!(answer, RedeemAnswer::Over(_)));
    let answer = desk.ledger.redeem(&redeem(1, asks(true))).await.unwrap();
    assert!(matches!(answer, RedeemAnswer::Redeemed(_)), "people opened the gate");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [101, 0, 0]);
}

pub async fn redemption_may_ask_people_again(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    approved(&desk, 1, 60).await;
    let until = desk.now().await.after(DAY);
    let again = Redeem {
        disposition: Disposition::Park(parking(5, until)),
        ..redeem(1, vec![rolling("day", 70, 100)])
    };
    let answer = desk.ledger.redeem(&again).await.unwrap();
    let RedeemAnswer::Redeemed(record) = answer else { panic!("{answer:?}") };
    assert_eq!((record.state, record.digest), (S::Parked, Some(digest(5))));
    assert_eq!((record.expires_at, record.votes.len()), (Some(until), 0));
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [70, 0, 0]);
    let old = desk.ledger.approve(&approve(1, "ann", until)).await.unwrap();
    assert_eq!(says(&old), "other digest", "what was approved before counts no more");
}

pub async fn redemption_moves_a_calendar_charge_to_today(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let yesterday = daily("day", desk.now().await, 60, 100);
    let until = desk.now().await.after(Millis(2 * DAY.0));
    let mut parked = crate::fixture::park(1, vec![yesterday.clone()], until);
    parked.operation.intent = intent(1);
    desk.ledger.reserve(&parked).await.unwrap();
    let now = desk.now().await;
    desk.ledger.approve(&approve(1, "ann", now)).await.unwrap();
    desk.time.advance(DAY);
    let answer = desk.ledger.redeem(&redeem(1, vec![yesterday.clone()])).await.unwrap();
    assert_eq!(answer, RedeemAnswer::PeriodMoved);
    let today = daily("day", desk.now().await, 60, 100);
    let answer = desk.ledger.redeem(&redeem(1, vec![today.clone()])).await.unwrap();
    assert!(matches!(answer, RedeemAnswer::Redeemed(_)));
    assert_eq!(desk.counts(&yesterday).await, [0, 0, 0]);
    assert_eq!(desk.counts(&today).await, [60, 0, 0]);
}

pub async fn only_what_is_approved_or_forsaken_is_redeemed(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let redeems = async |n| match desk.ledger.redeem(&redeem(n, vec![])).await.unwrap() {
        RedeemAnswer::Redeemed(_) => true,
        RedeemAnswer::Elsewhere(_) => false,
        other => panic!("{other:?}"),
    };
    desk.parked(1, vec![]).await;
    assert!(!redeems(1).await, "parked");
    let mut forsaken = reserve(2, vec![rolling("day", 10, 100)]);
    forsaken.operation.gateway = "gateway-2".into();
    desk.ledger.present("gateway-2", MINUTE).await.unwrap();
    desk.ledger.reserve(&forsaken).await.unwrap();
    assert!(!redeems(2).await, "its gateway lives");
    desk.time.advance(MINUTE);
    assert!(redeems(2).await, "its gateway is dead");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
    desk.ledger.commit(&Commit { fence: 1, ..commit(2) }).await.unwrap();
    assert!(!redeems(2).await, "committed");
    let missing = desk.ledger.redeem(&redeem(9, vec![])).await;
    assert!(matches!(missing, Err(LedgerError::Refused(_))));
}

/// What a redemption by this gateway says; it charges nothing.
async fn redeems(desk: &Desk, n: u64, gateway: &str) -> bool {
    let redeem = Redeem { gateway: gateway.into(), ..redeem(n, vec![]) };
    let length = desk.sequence().await;
    match desk.ledger.redeem(&redeem).await.unwrap() {
        RedeemAnswer::Redeemed(record) => {
            assert_eq!(desk.record(n).await, *record);
            true
        }
        RedeemAnswer::Elsewhere(record) => {
            assert_eq!(desk.record(n).await, *record);
            assert_eq!(desk.sequence().await, length, "nothing was written");
            false
        }
        other => panic!("{other:?}"),
    }
}

pub async fn a_gateway_redeems_what_it_took_in_itself(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.ledger.present("gateway-2", HOUR).await.unwrap();
    desk.reserved(1, vec![rolling("day", 10, 100)]).await;
    assert!(!redeems(&desk, 1, "gateway-2").await, "another works on it");
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [10, 0, 0]);
    assert!(redeems(&desk, 1, GATEWAY).await);
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [0, 0, 0]);
    assert!(redeems(&desk, 1, GATEWAY).await, "as often as it likes");
    approved(&desk, 2, 10).await;
    assert!(redeems(&desk, 2, "gateway-2").await, "what is approved is anybody's");
    assert!(!redeems(&desk, 2, "gateway-2").await);
    assert!(redeems(&desk, 2, GATEWAY).await, "it took it in");
    desk.ledger.commit(&Commit { fence: 2, ..commit(2) }).await.unwrap();
    assert!(!redeems(&desk, 2, GATEWAY).await, "committed");
}

pub async fn nothing_is_redeemed_when_its_time_has_come(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let until = desk.now().await.after(HOUR);
    let allow = Disposition::Allow(until);
    let allowed = reserve(1, vec![rolling("day", 10, 100)]);
    desk.ledger.reserve(&Reserve { disposition: allow.clone(), ..allowed }).await.unwrap();
    approved(&desk, 2, 10).await;
    approved(&desk, 3, 10).await;
    desk.time.set(until.before(Millis(1)));
    let again = Redeem { disposition: allow, ..redeem(3, vec![rolling("day", 10, 100)]) };
    let answer = desk.ledger.redeem(&again).await.unwrap();
    let RedeemAnswer::Redeemed(record) = answer else { panic!("{answer:?}") };
    assert_eq!((record.state, record.expires_at), (S::Allowed, Some(until)));
    desk.time.set(until);
    for n in 1..=3 {
        assert!(!redeems(&desk, n, GATEWAY).await, "{n}");
    }
    assert_eq!(desk.counts(&rolling("day", 0, 0)).await, [30, 0, 0]);
}
