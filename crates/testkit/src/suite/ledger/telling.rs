//! The log as people are told of it, and what is counted of agents.

use std::sync::Arc;

use countersign_core::{
    fact::Freeze,
    freeze::{FreezeOrder, Freezer, StandingFreeze},
    identity::{OperatorId, PolicyId},
    text::Remark,
    time::Millis,
};
use countersign_engine::port::{
    Chronicle,
    chronicle::{Line, Strike, Struck, Turn, event},
    ledger::{Approve, PasskeyCount},
};
use futures_util::future::join_all;

use super::people::{approved, says};
use crate::{
    fixture::{agent, approve, operation_id, order, park, reject, rolling, trace_hash},
    suite::{Desk, LedgerBench},
};

async fn parked(desk: &Desk, n: u64) {
    desk.parked(n, vec![rolling("day", 1, 100)]).await;
}

async fn lines(chronicle: &dyn Chronicle, after: u64) -> Vec<Line> {
    chronicle.lines(after, 1000).await.unwrap()
}

fn said(lines: &[Line]) -> Vec<(&str, &str)> {
    lines.iter().map(|line| (line.event.as_str(), line.subject.as_str())).collect()
}

pub async fn the_log_says_what_people_want_to_know(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let start = desk.sequence().await;
    parked(&desk, 1).await;
    approved(&desk, 2, 1).await;
    parked(&desk, 3).await;
    desk.ledger.reject(&reject(3)).await.unwrap();
    let soon = desk.now().await.after(Millis(1000));
    desk.ledger.reserve(&park(4, vec![], soon)).await.unwrap();
    desk.time.advance(Millis(1000));
    desk.ledger.expire(10).await.unwrap();
    for freeze in [Freeze::Agent(agent("bot")), Freeze::All] {
        desk.ledger.freeze(&order(&freeze)).await.unwrap();
        desk.ledger.unfreeze(&freeze).await.unwrap();
    }
    desk.ledger.seal("a test").await.unwrap();
    desk.ledger.unseal().await.unwrap();
    let told = lines(chronicle.as_ref(), start).await;
    let numbers: Vec<u64> = told.iter().map(|line| line.sequence).collect();
    let expected: Vec<u64> = (start + 1..=desk.sequence().await).collect();
    assert_eq!(numbers, expected, "each line, in order");
    let of = |n| operation_id(n).to_string();
    let told = said(&told);
    for (event, subject) in [
        (event::PARK, of(1)),
        (event::PARK, of(2)),
        (event::APPROVE, of(2)),
        (event::REJECT, of(3)),
        (event::EXPIRE, of(4)),
        (event::FREEZE, "agent:bot".into()),
        (event::UNFREEZE, "agent:bot".into()),
        (event::FREEZE, "all".into()),
        (event::SEAL, "-".into()),
        (event::UNSEAL, "-".into()),
    ] {
        let count = told.iter().filter(|line| **line == (event, subject.as_str())).count();
        assert_eq!(count, 1, "{event} {subject}: {told:?}");
    }
}

pub async fn the_log_is_read_in_parts(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    parked(&desk, 1).await;
    parked(&desk, 2).await;
    let (all, end) = (lines(chronicle.as_ref(), 0).await, desk.sequence().await);
    assert_eq!(u64::try_from(all.len()).unwrap(), end);
    let mut parts = Vec::new();
    for after in 0..end {
        parts.extend(chronicle.lines(after, 1).await.unwrap());
    }
    assert_eq!(parts, all);
    for (after, max) in [(end, 5), (end + 7, 5), (u64::MAX / 2048, 5), (0, 0)] {
        assert_eq!(chronicle.lines(after, max).await.unwrap(), [], "{after} {max}");
    }
}

fn turn(gateway: &str, told: Option<u64>) -> Turn {
    Turn { receiver: "desk".into(), gateway: gateway.into(), lease: Millis(1000), told }
}

pub async fn one_gateway_at_a_time_tells_a_receiver(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let asks = async |gateway, told| chronicle.turn(&turn(gateway, told)).await.unwrap();
    parked(&desk, 1).await;
    let start = desk.sequence().await;
    assert_eq!(asks("one", None).await, Some(start), "a new receiver begins at the end");
    assert_eq!(asks("two", None).await, None);
    parked(&desk, 2).await;
    desk.time.advance(Millis(900));
    assert_eq!(asks("one", Some(start + 1)).await, Some(start + 1));
    assert_eq!(asks("one", Some(start)).await, Some(start + 1), "never back");
    desk.time.advance(Millis(900));
    assert_eq!(asks("two", None).await, None, "kept by the last call");
    desk.time.advance(Millis(100));
    assert_eq!(asks("two", None).await, Some(start + 1));
    assert_eq!(asks("one", Some(start + 1)).await, None);
    desk.time.advance(Millis(1000));
    let told = asks("one", Some(start)).await;
    assert_eq!(told, Some(start + 1), "what another told meanwhile is told");
    let beyond = asks("one", Some(start + 1000)).await;
    assert_eq!(beyond, Some(desk.sequence().await), "nothing is told before it is there");
    let other = Turn { receiver: "other".into(), ..turn("two", None) };
    assert!(chronicle.turn(&other).await.unwrap().is_some(), "each receiver has its own");
}

pub async fn a_turn_outlives_a_crash(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    parked(&desk, 1).await;
    let start = bench.chronicle().turn(&turn("one", None)).await.unwrap().unwrap();
    parked(&desk, 2).await;
    bench.chronicle().turn(&turn("one", Some(start + 1))).await.unwrap();
    bench.reopen().await;
    bench.time().advance(Millis(1000));
    let told = bench.chronicle().turn(&turn("two", None)).await.unwrap();
    assert_eq!(told, Some(start + 1));
}

/// A login and a vote are signatures of one authenticator: each must come after the other.
pub async fn a_passkey_counts_on_whatever_it_signs(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let passkey = |key: &str, count| PasskeyCount { credential: key.into(), count };
    let note = async |key, count| chronicle.note_passkey(&passkey(key, count)).await.unwrap();
    let start = desk.sequence().await;
    let told = [
        note("op_a", 5).await,
        note("op_a", 5).await,
        note("op_a", 4).await,
        note("op_a", 0).await,
        note("op_a", 6).await,
        // one that does not count says nothing by that
        note("b", 0).await,
        note("b", 0).await,
        note("b", 1).await,
        note("b", 0).await,
    ];
    assert_eq!(told, [true, false, false, false, true, true, true, true, false]);
    let noted = lines(chronicle.as_ref(), start).await;
    let expected = ["op_a", "op_a", "b"].map(|key| (event::PASSKEY, format!("passkey:{key}")));
    let expected: Vec<_> = expected.iter().map(|(event, of)| (*event, of.as_str())).collect();
    assert_eq!(said(&noted), expected);

    desk.parked(1, vec![]).await;
    let now = desk.now().await;
    let voted = async |count| {
        let signed = Approve { passkey: Some(passkey("op_a", count)), ..approve(1, "ann", now) };
        says(&desk.ledger.approve(&signed).await.unwrap())
    };
    assert_eq!((voted(6).await, voted(7).await), ("passkey behind", "voted"));
    drop(chronicle);
    bench.reopen().await;
    let again = async |count| bench.chronicle().note_passkey(&passkey("op_a", count)).await;
    assert_eq!((again(7).await, again(8).await), (Ok(false), Ok(true)), "after a crash");
}

pub async fn of_two_that_say_the_same_count_one_is_believed(bench: &mut dyn LedgerBench) {
    let chronicle = bench.chronicle();
    let same = PasskeyCount { credential: "a".into(), count: 9 };
    let told = join_all((0..20).map(|_| chronicle.note_passkey(&same))).await;
    assert_eq!(told.into_iter().filter(|told| *told == Ok(true)).count(), 1);
}

pub async fn another_version_of_a_policy_is_noted_once(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let start = desk.sequence().await;
    let version = |n| PolicyId(alloy_primitives::B256::repeat_byte(n));
    let note = async |n| chronicle.note_policy("grant:bot", version(n)).await.unwrap();
    let noted = [note(1).await, note(1).await, note(2).await, note(1).await];
    assert_eq!(noted, [true, false, true, true]);
    let told = lines(chronicle.as_ref(), start).await;
    let expected: Vec<String> =
        [1, 2, 1].iter().map(|n| format!("grant:bot={}", version(*n))).collect();
    let told: Vec<&str> = told.iter().map(|line| line.subject.as_str()).collect();
    assert_eq!(told, expected);
}

fn strike(n: u64) -> Strike {
    Strike { agent: agent("bot"), trace: trace_hash(n), denials: 5, within: Millis(60_000) }
}

pub async fn too_many_denials_freeze_an_agent(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let strikes = async |n| chronicle.strike(&strike(n)).await.unwrap();
    for n in 1..=4 {
        assert_eq!(strikes(n).await, Struck::Counted(u32::try_from(n).unwrap()));
        assert_eq!(strikes(n).await, Struck::Counted(u32::try_from(n).unwrap()), "once each");
    }
    let other = Strike { agent: agent("other"), ..strike(5) };
    assert_eq!(chronicle.strike(&other).await.unwrap(), Struck::Counted(1));
    let start = desk.sequence().await;
    assert_eq!(desk.ledger.freezes().await.unwrap(), []);
    assert_eq!(strikes(5).await, Struck::Tripped);
    assert_eq!(strikes(5).await, Struck::Frozen);
    assert_eq!(strikes(6).await, Struck::Frozen);
    assert_eq!(desk.ledger.freezes().await.unwrap(), [Freeze::Agent(agent("bot"))]);
    let told = lines(chronicle.as_ref(), start).await;
    assert_eq!(said(&told), [(event::TRIP, "agent:bot")]);
    let standing = StandingFreeze { order: strike(5).order(), at: told[0].at };
    assert_eq!(desk.ledger.standing_freezes().await.unwrap(), [standing]);
    assert!(desk.ledger.unfreeze(&Freeze::Agent(agent("bot"))).await.unwrap());
    assert_eq!(strikes(7).await, Struck::Counted(1), "the count begins anew");
}

pub async fn denials_count_for_as_long_as_is_said(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let strikes = async |n| chronicle.strike(&strike(n)).await.unwrap();
    for n in 0..30 {
        let count = u32::try_from(n.min(3) + 1).unwrap();
        assert_eq!(strikes(n).await, Struck::Counted(count), "{n}");
        desk.time.advance(Millis(15_000));
    }
}

pub async fn what_was_counted_before_an_operators_freeze_is_forgotten(bench: &mut dyn LedgerBench) {
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let freeze = Freeze::Agent(agent("bot"));
    for n in 1..=4 {
        chronicle.strike(&strike(n)).await.unwrap();
    }
    desk.ledger.freeze(&order(&freeze)).await.unwrap();
    assert_eq!(chronicle.strike(&strike(5)).await.unwrap(), Struck::Frozen);
    desk.ledger.unfreeze(&freeze).await.unwrap();
    assert_eq!(chronicle.strike(&strike(6)).await.unwrap(), Struck::Counted(1));
}

/// The first order stands until somebody says why; then who said why last does.
pub async fn a_freeze_keeps_the_words_of_who_said_why_last(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let bot = Freeze::Agent(agent("bot"));
    let say = |by: Option<&str>, freeze: &Freeze, why: Option<&str>| FreezeOrder {
        freeze: freeze.clone(),
        by: by.map_or(Freezer::Gateway, |name| Freezer::Operator(OperatorId::parse(name).unwrap())),
        reason: why.map(|text| Remark::parse(text).unwrap()),
    };
    let start = desk.sequence().await;
    let hostile = "} \"]} 12 'x' {scope}  %s é\u{1f600}";
    let mut stands = None;
    for (order, changes) in [
        (say(None, &bot, None), true),
        (say(Some("olga"), &bot, None), false),
        (say(Some("olga"), &bot, Some("first")), true),
        (say(Some("olga"), &bot, Some("first")), false),
        (say(Some("otto"), &bot, Some("first")), true),
        (say(Some("otto"), &bot, None), false),
        (say(Some("otto"), &bot, Some(hostile)), true),
    ] {
        desk.time.advance(Millis(1000));
        desk.ledger.freeze(&order).await.unwrap();
        if changes {
            let at = desk.ledger.now().await.unwrap();
            stands = Some(StandingFreeze { order: order.clone(), at });
        }
        let told = desk.ledger.standing_freezes().await.unwrap();
        assert_eq!(told.as_slice(), stands.as_slice(), "{order:?}");
        assert_eq!(desk.ledger.freezes().await.unwrap(), std::slice::from_ref(&bot), "{order:?}");
    }
    let all = say(Some("olga"), &Freeze::All, Some("everything"));
    desk.ledger.freeze(&all).await.unwrap();
    bench.reopen().await;
    let (desk, chronicle) = (Desk::at(bench).await, bench.chronicle());
    let told = desk.ledger.standing_freezes().await.unwrap();
    let orders: Vec<&FreezeOrder> = told.iter().map(|standing| &standing.order).collect();
    assert_eq!(orders, [&all, &say(Some("otto"), &bot, Some(hostile))], "a crash later");
    let freezes: Vec<Freeze> = told.iter().map(|standing| standing.order.freeze.clone()).collect();
    assert_eq!(desk.ledger.freezes().await.unwrap(), freezes, "in the same order");
    let lines = lines(chronicle.as_ref(), start).await;
    let expected = [[(event::FREEZE, "agent:bot"); 4].as_slice(), &[(event::FREEZE, "all")]];
    assert_eq!(said(&lines), expected.concat());
    assert!(desk.ledger.unfreeze(&bot).await.unwrap());
    desk.ledger.freeze(&say(None, &bot, None)).await.unwrap();
    let told = desk.ledger.standing_freezes().await.unwrap();
    assert_eq!(told[1].order, say(None, &bot, None), "nothing of the freeze before is left");
}

pub async fn strikes_outlive_a_crash(bench: &mut dyn LedgerBench) {
    for n in 1..=4 {
        bench.chronicle().strike(&strike(n)).await.unwrap();
    }
    bench.reopen().await;
    assert_eq!(bench.chronicle().strike(&strike(5)).await.unwrap(), Struck::Tripped);
    bench.reopen().await;
    assert_eq!(bench.chronicle().strike(&strike(6)).await.unwrap(), Struck::Frozen);
}

pub async fn a_hundred_denials_at_once_trip_once(bench: &mut dyn LedgerBench) {
    let chronicles: [Arc<dyn Chronicle>; 2] = [bench.chronicle(), bench.chronicle()];
    let strikes = (0..100).map(|n: u64| {
        let chronicle = Arc::clone(&chronicles[usize::try_from(n % 2).unwrap()]);
        tokio::spawn(async move { chronicle.strike(&strike(n)).await.unwrap() })
    });
    let answers: Vec<Struck> = join_all(strikes).await.into_iter().map(Result::unwrap).collect();
    let count = |wanted| answers.iter().filter(|struck| **struck == wanted).count();
    assert_eq!((count(Struck::Tripped), count(Struck::Frozen)), (1, 95));
}
