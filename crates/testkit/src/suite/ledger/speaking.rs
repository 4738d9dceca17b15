//! What people say to pacts, and what no commit does afterwards.

use countersign_core::{
    identity::OperatorId,
    pact::{Pact, PactStanding, PactVerb, Word},
    time::Millis,
};
use countersign_engine::port::ledger::{Commit, CommitAnswer, PactAnswer, PactWord, Reserve};
use futures_util::future::{join, join_all};

use crate::{
    fixture::{self, agent, commit, grant, message, operation_of},
    suite::{Desk, LedgerBench},
};

const VERBS: [PactVerb; 3] = [PactVerb::Approve, PactVerb::Reject, PactVerb::Revoke];

fn operator(name: &str) -> OperatorId {
    OperatorId::parse(name).unwrap()
}

fn pact(n: u8) -> Pact {
    Pact { agent: agent("trader"), grant: grant(n) }
}

fn word(n: u8, verb: PactVerb, by: &str) -> PactWord {
    let note = Some(format!("{by} says \"{}\"\n to {n}", verb.name()));
    PactWord { pact: pact(n), verb, by: operator(by), note }
}

fn standing(answer: &PactAnswer) -> &PactStanding {
    match answer {
        PactAnswer::Said(standing) | PactAnswer::Stands(standing) => standing,
    }
}

/// Every row of verbs, one after the other, leads where [`PactVerb::applied`] says; who, when and why are kept.
pub async fn each_word_leads_where_it_may_and_is_kept(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let mut n = 0;
    for first in VERBS {
        for second in VERBS {
            n += 1;
            let mut model: Option<PactStanding> = None;
            for (verb, by) in [(first, "ann"), (second, "ben"), (second, "cid"), (first, "dan")] {
                desk.time.advance(Millis(1000));
                let said = word(n, verb, by);
                let at = desk.now().await;
                let spoken = Word { by: said.by.clone(), at, note: said.note.clone() };
                let length = desk.sequence().await;
                let answer = desk.ledger.say(&said).await.unwrap();
                let grew = desk.sequence().await - length;
                if let Some(after) = verb.applied(model.as_ref(), spoken) {
                    assert_eq!((&answer, grew), (&PactAnswer::Said(after.clone()), 1));
                    model = Some(after);
                } else {
                    let before = model.clone().unwrap();
                    assert_eq!((&answer, grew), (&PactAnswer::of(verb, before), 0));
                }
                assert_eq!(desk.ledger.pact(&pact(n)).await.unwrap(), model);
            }
        }
    }
    assert_eq!(desk.ledger.pact(&pact(0)).await.unwrap(), None);
    let other = Pact { agent: agent("other"), ..pact(1) };
    assert_eq!(desk.ledger.pact(&other).await.unwrap(), None);
    let silent = PactWord { note: None, ..word(200, PactVerb::Approve, "ann") };
    desk.ledger.say(&silent).await.unwrap();
    let kept = desk.ledger.pact(&pact(200)).await.unwrap().unwrap();
    assert_eq!(kept.last().1.note, None);
}

pub async fn no_commit_under_a_pact_that_people_ended(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    for (n, verb) in (1..).zip(VERBS) {
        desk.ledger.say(&word(n, verb, "ann")).await.unwrap();
    }
    let foreign = Pact { agent: agent("other"), ..pact(4) };
    desk.ledger.say(&PactWord { pact: foreign, ..word(4, PactVerb::Revoke, "ann") }).await.unwrap();
    for (n, passes) in [(0_u8, true), (1, true), (2, false), (3, false), (4, true)] {
        let id = u64::from(n);
        desk.reserved(id, vec![]).await;
        let under = Commit { grant: grant(n), shrinks_only: true, ..commit(id) };
        match desk.ledger.commit(&under).await.unwrap() {
            CommitAnswer::Bound(record) => assert!(passes && record.nonce().is_some(), "{n}"),
            CommitAnswer::Ended(standing) => {
                assert!(!passes, "{n}");
                assert_eq!(Some(standing), desk.ledger.pact(&pact(n)).await.unwrap());
            }
            other => panic!("{n}: {other:?}"),
        }
    }
    // what is bound is bound, and a seal or a freeze is told first
    desk.ledger.say(&word(1, PactVerb::Revoke, "ben")).await.unwrap();
    let again = Commit { grant: grant(1), ..commit(1) };
    assert!(matches!(desk.ledger.commit(&again).await.unwrap(), CommitAnswer::Bound(_)));
    desk.ledger.seal("test").await.unwrap();
    let sealed = Commit { grant: grant(2), ..commit(2) };
    assert_eq!(desk.ledger.commit(&sealed).await.unwrap(), CommitAnswer::Sealed("test".into()));
}

pub async fn no_message_is_bound_under_a_pact_that_people_ended(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    let operation = operation_of(1, message(1, Some(9)));
    let reserve = Reserve { operation, ..fixture::reserve(1, vec![]) };
    desk.ledger.reserve(&reserve).await.unwrap();
    desk.ledger.say(&word(1, PactVerb::Revoke, "ann")).await.unwrap();
    let under = Commit { grant: grant(1), ..commit(1) };
    assert!(matches!(desk.ledger.commit(&under).await.unwrap(), CommitAnswer::Ended(_)));
    let other = Commit { grant: grant(2), ..commit(1) };
    assert!(matches!(desk.ledger.commit(&other).await.unwrap(), CommitAnswer::Bound(_)));
}

pub async fn what_was_said_outlives_a_crash(bench: &mut dyn LedgerBench) {
    let desk = Desk::at(bench).await;
    desk.ledger.say(&word(1, PactVerb::Approve, "ann")).await.unwrap();
    desk.ledger.say(&word(1, PactVerb::Revoke, "ben")).await.unwrap();
    desk.ledger.say(&word(2, PactVerb::Approve, "ann")).await.unwrap();
    let before = [desk.ledger.pact(&pact(1)).await, desk.ledger.pact(&pact(2)).await];
    drop(desk);
    bench.reopen().await;
    let desk = Desk::at(bench).await;
    assert_eq!([desk.ledger.pact(&pact(1)).await, desk.ledger.pact(&pact(2)).await], before);
    desk.reserved(1, vec![]).await;
    let under = Commit { grant: grant(1), ..commit(1) };
    assert!(matches!(desk.ledger.commit(&under).await.unwrap(), CommitAnswer::Ended(_)));
}

/// Sixty-four commits at two gateways, and in the midst of them the end: whoever commits after it was told binds
/// nothing, and nobody is told both.
pub async fn an_end_against_sixty_four_commits(bench: &mut dyn LedgerBench) {
    let desks = Desk::pair(bench).await;
    let revoked = word(9, PactVerb::Revoke, "ann");
    for n in 0..128 {
        desks[0].reserved(n, vec![]).await;
    }
    let commits = (0..64_u64).map(|n| {
        let desk = desks[usize::from(n % 2 == 0)].clone();
        let under = Commit { grant: grant(9), in_flight_max: 128, ..commit(n) };
        tokio::spawn(async move { desk.ledger.commit(&under).await.unwrap() })
    });
    let commits: Vec<_> = commits.collect();
    let ends = async {
        desks[1].ledger.say(&revoked).await.unwrap();
        let late = (64..128_u64).map(|n| {
            let under = Commit { grant: grant(9), in_flight_max: 128, ..commit(n) };
            let desk = &desks[usize::from(n % 2 == 0)];
            async move { desk.ledger.commit(&under).await.unwrap() }
        });
        join_all(late).await
    };
    let (early, late) = join(join_all(commits), ends).await;
    for answer in &late {
        assert!(matches!(answer, CommitAnswer::Ended(_)), "{answer:?}");
    }
    for (n, answer) in (0..).zip(early) {
        let bound = match answer.unwrap() {
            CommitAnswer::Bound(_) => true,
            CommitAnswer::Ended(_) => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(desks[0].record(n).await.is_bound(), bound, "{n}");
    }
}

pub async fn of_words_at_once_one_is_first(bench: &mut dyn LedgerBench) {
    let desks = Desk::pair(bench).await;
    for n in 0..8 {
        let says = (0..16_usize).map(|i| {
            let desk = desks[i % 2].clone();
            let said = word(n, VERBS[i % 2], ["ann", "ben", "cid"][i % 3]);
            tokio::spawn(async move { desk.ledger.say(&said).await.unwrap() })
        });
        let answers = join_all(says.collect::<Vec<_>>()).await;
        let kept = desks[0].ledger.pact(&pact(n)).await.unwrap().unwrap();
        for (i, answer) in answers.into_iter().enumerate() {
            let answer = answer.unwrap();
            assert_eq!(standing(&answer), &kept);
            let same = kept.last().0 == VERBS[i % 2];
            assert_eq!(matches!(answer, PactAnswer::Said(_)), same);
        }
    }
}
