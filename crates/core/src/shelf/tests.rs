use alloy_primitives::B256;

use super::*;
use crate::{identity::OperatorId, time::Millis};

const HOUR: Millis = Millis(3_600_000);

fn policy(n: u8) -> PolicyId {
    PolicyId(B256::repeat_byte(n))
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn new(n: u8, class: DiffClass, base: u8) -> NewVersion {
    NewVersion {
        agent: AgentId::parse("bot").unwrap(),
        policy: policy(n),
        name: "p".into(),
        format: None,
        origin: Origin::Api,
        proposed_by: Some(Proposer { operator: operator("ann"), person: "ann".into() }),
        proposed_at: at(1000),
        note: None,
        shadow: false,
        base: policy(base),
        class,
        changes: Vec::new(),
        tests: Vec::new(),
        back_test: None,
        signed: None,
        text: format!("policy {n}"),
    }
}

fn operator(name: &str) -> OperatorId {
    OperatorId::parse(name).unwrap()
}

fn vote(name: &str, groups: &[&str]) -> ChangeVote {
    ChangeVote {
        operator: operator(name),
        person: name.into(),
        groups: groups.iter().map(|&group| group.into()).collect(),
        at: at(2000),
        note: None,
    }
}

fn gate(approvals: u32, delay: Millis) -> ChangeGate {
    ChangeGate { approvals, delay, ..ChangeGate::default() }
}

fn signature(sequence: u64) -> PolicySignature {
    PolicySignature {
        app: "desk".into(),
        uses: vec!["agent bot".into()],
        sequence,
        key: PolicyKey([0; 32]),
        signature: String::new(),
    }
}

fn begun() -> (Shelf, Version) {
    let begun = Shelf::begun(new(1, DiffClass::Same, 1), "m".into());
    (begun.shelf, begun.versions[0].clone())
}

fn by_ann(what: StepKind) -> Step {
    Step { what, at: at(2000), by: Some(operator("ann")), note: None }
}

fn asked<'a>(
    version: &'a Version,
    outgoing: &'a Version,
    gate: &'a ChangeGate,
    (counting, now): (&'a [ChangeVote], u64),
) -> Asked<'a> {
    Asked { version, outgoing, gate, counting, now: at(now) }
}

fn state(change: &ShelfChange) -> (&'static str, Option<Timestamp>) {
    let state = &change.versions[0].state;
    let VersionState::Waiting(waits) = state else { return (state.name(), None) };
    (state.name(), waits.not_before)
}

#[test]
fn a_tightening_is_in_force_when_anyone_says_so_and_a_loosening_is_not() {
    let (shelf, outgoing) = begun();
    for (class, expected) in [
        (DiffClass::Same, Ok("active")),
        (DiffClass::Tightening, Ok("active")),
        (DiffClass::Loosening, Err(ShelfRefusal::Waits)),
    ] {
        let strict = gate(1, HOUR);
        let put = shelf.proposing(new(2, class, 1), &strict, "n".into()).unwrap();
        let version = &put.versions[0];
        let asked = asked(version, &outgoing, &strict, (&[], u64::MAX));
        let got = put.shelf.activating(asked, by_ann(StepKind::Activated), "o".into());
        assert_eq!(got.as_ref().map(|change| state(change).0).map_err(Clone::clone), expected);
        let Ok(change) = got else { continue };
        assert_eq!((change.shelf.active.version, change.shelf.revision), (2, 3));
        assert_eq!(change.versions[1].state, VersionState::Superseded);
        assert!(change.shelf.open.is_empty());
        assert_eq!(change.versions[0].activated().unwrap().by, Some(operator("ann")));
    }
}

#[test]
fn a_loosening_waits_for_its_people_and_then_for_its_time() {
    let (shelf, outgoing) = begun();
    let two = gate(2, HOUR);
    let put = shelf.proposing(new(2, DiffClass::Loosening, 1), &two, "n".into()).unwrap();
    let [bea, cid] = [vote("bea", &[]), vote("cid", &[])];
    let first = put
        .shelf
        .approving(asked(&put.versions[0], &outgoing, &two, (&[], 5000)), bea.clone(), "o".into())
        .unwrap()
        .unwrap();
    assert_eq!(state(&first), ("waiting", None));
    let again = first.shelf.approving(
        asked(&first.versions[0], &outgoing, &two, (std::slice::from_ref(&bea), 5000)),
        bea.clone(),
        "p".into(),
    );
    assert_eq!(again, Ok(None), "one person counts once");
    let second = first
        .shelf
        .approving(
            asked(&first.versions[0], &outgoing, &two, (std::slice::from_ref(&bea), 6000)),
            cid.clone(),
            "p".into(),
        )
        .unwrap()
        .unwrap();
    let due = at(6000).after(HOUR);
    assert_eq!(state(&second), ("waiting", Some(due)));
    let votes = [bea, cid];
    let by = || Step::by_gateway(StepKind::Activated, due);
    let try_at = |counting: &[ChangeVote], now: u64| {
        let asked = asked(&second.versions[0], &outgoing, &two, (counting, now));
        second.shelf.activating(asked, by(), "q".into()).map(|change| state(&change).0)
    };
    assert_eq!(try_at(&votes, due.millis() - 1), Err(ShelfRefusal::Waits));
    assert_eq!(try_at(&votes, due.millis()), Ok("active"));
    assert_eq!(try_at(&votes[..1], due.millis()), Err(ShelfRefusal::Waits), "one has left");
    let shut = second.shelf.recounting(&second.versions[0], "r".into()).unwrap();
    assert_eq!(state(&shut), ("waiting", None));
}

#[test]
fn without_a_delay_the_last_yes_puts_it_in_force() {
    let (shelf, outgoing) = begun();
    let one = ChangeGate { groups: vec!["risk".into()], ..gate(1, Millis::ZERO) };
    let put = shelf.proposing(new(2, DiffClass::Loosening, 1), &one, "n".into()).unwrap();
    let cast = |groups: &[&str]| {
        let asked = asked(&put.versions[0], &outgoing, &one, (&[], 5000));
        put.shelf.approving(asked, vote("bea", groups), "o".into()).unwrap().unwrap()
    };
    assert_eq!(state(&cast(&["desk"])).0, "waiting", "of another group");
    let done = cast(&["desk", "risk"]);
    assert_eq!((state(&done).0, done.shelf.active.version), ("active", 2));
}

#[test]
fn whoever_said_yes_said_it_of_what_was_in_force_then() {
    let (shelf, outgoing) = begun();
    let one = gate(1, HOUR);
    let loose = shelf.proposing(new(2, DiffClass::Loosening, 1), &one, "n".into()).unwrap();
    let tight = loose.shelf.proposing(new(3, DiffClass::Tightening, 1), &one, "o".into()).unwrap();
    let asked_for = asked(&tight.versions[0], &outgoing, &one, (&[], 5000));
    let now = tight.shelf.activating(asked_for, by_ann(StepKind::Activated), "p".into()).unwrap();
    let waits = &loose.versions[0];
    let yes = now.shelf.approving(
        asked(waits, &now.versions[0], &one, (&[], 5000)),
        vote("bea", &[]),
        "q".into(),
    );
    assert_eq!(yes, Err(ShelfRefusal::OtherBase));
    for (class, expected) in [
        (DiffClass::Loosening, ("waiting", None)),
        (DiffClass::Tightening, ("draft", None)),
        (DiffClass::Same, ("draft", None)),
    ] {
        let found = Recompared { base: policy(3), class, changes: Vec::new(), back_test: None };
        let change = now.shelf.recomparing(waits, found, (&one, at(6000)), "q".into());
        assert_eq!(state(&change), expected);
        assert_ne!(change.versions[0].digest(), waits.digest(), "it is another question");
    }
}

#[test]
fn a_file_that_was_edited_wins_and_one_that_is_merely_another_does_not() {
    let (shelf, outgoing) = begun();
    assert_eq!(shelf.standing_of("one", (policy(1), None)), FileStanding::Taken);
    let shelf = shelf.seen("one", policy(1), "m".into()).shelf;
    assert_eq!(shelf.standing_of("one", (policy(1), None)), FileStanding::Known);
    assert_eq!(shelf.standing_of("two", (policy(1), None)), FileStanding::Taken);
    assert_eq!(shelf.standing_of("one", (policy(9), None)), FileStanding::Edited);
    assert_eq!(shelf.standing_of("two", (policy(9), None)), FileStanding::Edited);
    let shelf = shelf.seen("two", policy(1), "n".into()).shelf;
    let edited = shelf.taking((new(9, DiffClass::Loosening, 1), "one"), &outgoing, "o".into());
    assert_eq!((edited.shelf.active.policy, edited.shelf.file), (policy(9), policy(9)));
    assert_eq!(edited.versions[1].state, VersionState::Superseded);
    let now = edited.shelf;
    // the other gateway still has the old file, which is no edit; a new one that brings it is behind
    assert_eq!(now.standing_of("two", (policy(1), None)), FileStanding::Known);
    assert_eq!(now.standing_of("two", (policy(9), None)), FileStanding::Taken);
    assert_eq!(now.standing_of("three", (policy(1), None)), FileStanding::Former);
    assert_eq!(
        now.standing_of("one", (policy(1), None)),
        FileStanding::Edited,
        "taken back on purpose"
    );
    let same = now.taking((new(9, DiffClass::Same, 9), "two"), &edited.versions[0], "p".into());
    assert!(same.versions.is_empty(), "what is in force already is no new version");
}

#[test]
fn open_versions_files_and_histories_are_bounded() {
    let (mut shelf, outgoing) = begun();
    for n in 0..OPEN_MAX {
        let tight = new(3, DiffClass::Tightening, 1);
        shelf = shelf.proposing(tight, &gate(1, HOUR), n.to_string()).unwrap().shelf;
    }
    let more = shelf.proposing(new(3, DiffClass::Tightening, 1), &gate(1, HOUR), "x".into());
    assert_eq!(more, Err(ShelfRefusal::TooMany));
    for n in 0..2 * FILES_MAX {
        shelf = shelf.seen(&n.to_string(), policy(1), n.to_string()).shelf;
    }
    assert_eq!(shelf.files.len(), FILES_MAX);
    let mut version = outgoing;
    for n in 0..2 * HISTORY_MAX {
        version.note(Step::by_gateway(StepKind::Recompared, at(u64::try_from(n).unwrap())));
    }
    assert_eq!(version.history.len(), HISTORY_MAX);
    assert_eq!(version.history[0].what, StepKind::Proposed);
}

#[test]
fn the_number_of_a_signed_version_only_rises() {
    let (shelf, _) = begun();
    let signed = |sequence| NewVersion {
        signed: Some(signature(sequence)),
        ..new(2, DiffClass::Tightening, 1)
    };
    let shelf = shelf.proposing(signed(7), &gate(1, HOUR), "n".into()).unwrap().shelf;
    for old in [0, 6, 7] {
        let got = shelf.proposing(signed(old), &gate(1, HOUR), "o".into());
        assert_eq!(got, Err(ShelfRefusal::OldSequence(7)), "{old}");
    }
    assert!(shelf.proposing(signed(8), &gate(1, HOUR), "o".into()).is_ok());
}

#[test]
fn what_a_back_test_newly_allows_may_be_bounded() {
    let (shelf, outgoing) = begun();
    let tested = |(decisions, skipped), allow, at_risk| NewVersion {
        back_test: Some(BackTest {
            from: at(0),
            to: at(1),
            decisions,
            skipped,
            truncated: false,
            newly: Flips { allow, ..Flips::default() },
            newly_allowed_at_risk: at_risk,
            evaluators: Evaluators::default(),
            examples: Vec::new(),
        }),
        ..new(2, DiffClass::Loosening, 1)
    };
    let strict = ChangeGate {
        newly_allowed_bp: Some(500),
        newly_allowed_at_risk: Some(0),
        ..gate(0, Millis::ZERO)
    };
    for (decisions, allow, at_risk, expected) in [
        ((100, 0), 5, 0, "waiting"),
        ((100, 0), 6, 0, "draft"),
        ((100, 0), 5, 1, "draft"),
        ((19, 0), 1, 0, "draft"),
        ((20, 0), 1, 0, "waiting"),
        ((0, 0), 0, 0, "waiting"),
        // whatever was not decided again, it may allow
        ((100, 1), 0, 0, "draft"),
        ((0, 6), 0, 0, "draft"),
        ((u64::MAX, 0), u64::MAX, 0, "draft"),
        ((u64::MAX, u64::MAX), u64::MAX, u64::MAX, "draft"),
    ] {
        let put = shelf.proposing(tested(decisions, allow, at_risk), &strict, "n".into()).unwrap();
        assert_eq!(state(&put).0, expected, "{allow} of {decisions:?}, {at_risk}");
        let asked = asked(&put.versions[0], &outgoing, &strict, (&[], 5000));
        let activated = put.shelf.activating(asked, by_ann(StepKind::Activated), "o".into());
        match expected {
            "draft" => assert_eq!(activated, Err(ShelfRefusal::AllowsTooMuch)),
            _ => assert_eq!(state(&activated.unwrap()).0, "active"),
        }
    }
    // what narrows is never held up
    let tight = NewVersion { class: DiffClass::Tightening, ..tested((1, 0), 1, 1) };
    let put = shelf.proposing(tight, &strict, "n".into()).unwrap();
    let asked = asked(&put.versions[0], &outgoing, &strict, (&[], 5000));
    let activated = put.shelf.activating(asked, by_ann(StepKind::Activated), "o".into());
    assert_eq!(state(&activated.unwrap()).0, "active");
}

fn measured(class: DiffClass, skipped: u64, evaluators: Evaluators<Measure>) -> NewVersion {
    let back_test = BackTest {
        from: at(0),
        to: at(1),
        decisions: 3,
        skipped,
        truncated: false,
        newly: Flips::default(),
        newly_allowed_at_risk: 0,
        evaluators,
        examples: Vec::new(),
    };
    NewVersion { back_test: Some(back_test), ..new(2, class, 1) }
}

#[test]
fn each_evaluator_may_fall_so_far_and_no_hundredth_further() {
    for (most_bp, (of, in_force, version), falls) in [
        (0, (3, 3, 3), None),
        (0, (3, 2, 3), None),
        (0, (3, 3, 2), Some((10_000, 6666))),
        (3333, (3, 3, 2), Some((10_000, 6666))),
        (3334, (3, 3, 2), None),
        (10_000, (3, 3, 0), None),
        (0, (0, 0, 0), None),
        // not what is shown is compared
        (0, (1_000_000, 999_999, 999_998), Some((9999, 9999))),
        (9999, (u64::MAX, u64::MAX, 0), Some((10_000, 0))),
        (10_000, (u64::MAX, u64::MAX, 0), None),
    ] {
        let measure = Measure { of, in_force, version };
        for (evaluator, (may_fall, measures)) in [
            (Evaluator::Compliance, one(|of| &mut of.compliance, |of| &mut of.compliance)),
            (Evaluator::Utility, one(|of| &mut of.utility, |of| &mut of.utility)),
            (Evaluator::Latency, one(|of| &mut of.latency, |of| &mut of.latency)),
            (Evaluator::Safety, one(|of| &mut of.safety, |of| &mut of.safety)),
            (Evaluator::Economics, one(|of| &mut of.economics, |of| &mut of.economics)),
        ]
        .map(|(evaluator, set)| (evaluator, set(most_bp, measure)))
        {
            let expected: Vec<Fall> = falls
                .map(|(in_force_bp, version_bp)| Fall {
                    evaluator,
                    in_force_bp,
                    version_bp,
                    most_bp,
                })
                .into_iter()
                .collect();
            let back_test = measured(DiffClass::Tightening, 9, measures).back_test;
            let found = may_fall.falls(DiffClass::Tightening, back_test.as_ref());
            assert_eq!(found, expected, "{evaluator} {most_bp} {measure:?}");
            assert_eq!(MayFall::default().falls(DiffClass::Loosening, back_test.as_ref()), []);
        }
    }
}

/// One evaluator bounded, and measured.
fn one(
    bound: fn(&mut MayFall) -> &mut Option<u32>,
    measure: fn(&mut Evaluators<Measure>) -> &mut Measure,
) -> impl Fn(u32, Measure) -> (MayFall, Evaluators<Measure>) {
    move |most_bp, found| {
        let (mut may_fall, mut measures) = (MayFall::default(), Evaluators::default());
        *bound(&mut may_fall) = Some(most_bp);
        *measure(&mut measures) = found;
        (may_fall, measures)
    }
}

#[test]
fn whatever_falls_too_far_is_refused_when_it_is_proposed_and_when_it_is_activated() {
    let (shelf, outgoing) = begun();
    let safe = ChangeGate {
        may_fall: MayFall { safety: Some(2500), ..MayFall::default() },
        ..gate(0, Millis::ZERO)
    };
    let of = |of, version| Evaluators {
        safety: Measure { of, in_force: of, version },
        ..Evaluators::default()
    };
    let (tight, loose) = (DiffClass::Tightening, DiffClass::Loosening);
    for (class, skipped, measures, expected) in [
        (tight, 0, of(4, 3), true),
        (tight, 0, of(4, 2), false),
        (loose, 0, of(4, 3), true),
        (loose, 0, of(4, 2), false),
        // what was not decided again a loosening may let through, and nothing that narrows
        (loose, 1, of(4, 3), false),
        (loose, 1, of(0, 0), false),
        (tight, 9, of(4, 3), true),
    ] {
        let new = measured(class, skipped, measures);
        let proposed = shelf.proposing(new.clone(), &safe, "n".into());
        assert_eq!(proposed.is_ok(), expected, "{class} {skipped} {measures:?}");
        if let Err(refusal) = proposed {
            assert!(matches!(refusal, ShelfRefusal::FallsBehind(_)), "{refusal}");
            let told = refusal.to_string();
            assert!(told.starts_with("safety would fall from 100.00% to "), "{told}");
            assert!(told.contains("by 25.00% at most"), "{told}");
        }
        // a shadow is there to find that out: it counts when it is asked for
        let shadow = NewVersion { shadow: true, ..new };
        let put = shelf.proposing(shadow, &safe, "n".into()).unwrap();
        let asked = asked(&put.versions[0], &outgoing, &safe, (&[], 5000));
        let activated = put.shelf.activating(asked, by_ann(StepKind::Activated), "o".into());
        assert_eq!(activated.is_ok(), expected, "{class} {skipped} {measures:?}");
    }
    // who waits and falls behind what came into force meanwhile is a draft again
    let put = shelf.proposing(measured(loose, 0, of(4, 4)), &safe, "n".into()).unwrap();
    assert_eq!(state(&put).0, "waiting");
    for (version, expected) in [(3, "waiting"), (2, "draft")] {
        let back_test = measured(loose, 0, of(4, version)).back_test;
        let found = Recompared { base: policy(3), class: loose, changes: Vec::new(), back_test };
        let change = put.shelf.recomparing(&put.versions[0], found, (&safe, at(6000)), "o".into());
        assert_eq!(state(&change).0, expected);
    }
}

#[test]
fn a_signed_file_counts_by_its_number() {
    let (shelf, unsigned) = begun();
    let of = |n: u8, sequence| (policy(n), Some(signature(sequence)));
    let standing = |shelf: &Shelf, gateway: &str, (file, signed): &(PolicyId, Option<_>)| {
        shelf.standing_of(gateway, (*file, signed.as_ref()))
    };
    let shelf = shelf.seen("one", policy(1), "m".into()).shelf;
    // the same file, signed for the first time: from now on there is somebody who stands behind it
    assert_eq!(standing(&shelf, "one", &of(1, 5)), FileStanding::Edited);
    let first = NewVersion { signed: Some(signature(5)), ..new(1, DiffClass::Same, 1) };
    let taken = shelf.taking((first, "one"), &unsigned, "n".into());
    assert_eq!((taken.versions.len(), taken.shelf.sequence), (2, 5));
    assert!(taken.shelf.former.is_empty(), "the file is still the same");
    let shelf = taken.shelf.seen("two", policy(1), "n".into()).shelf;
    assert_eq!(standing(&shelf, "one", &of(1, 5)), FileStanding::Known);
    assert_eq!(standing(&shelf, "three", &of(1, 5)), FileStanding::Taken);
    for old in [4, 5] {
        assert_eq!(standing(&shelf, "one", &of(9, old)), FileStanding::Old, "{old}");
        assert_eq!(standing(&shelf, "new here", &of(9, old)), FileStanding::Old, "{old}");
    }
    assert_eq!(standing(&shelf, "one", &of(9, 6)), FileStanding::Edited);
    let second = NewVersion { signed: Some(signature(6)), ..new(9, DiffClass::Same, 1) };
    let second = shelf.taking((second, "one"), &taken.versions[0], "o".into()).shelf;
    assert_eq!(standing(&second, "one", &of(1, 5)), FileStanding::Old, "put back");
    assert_eq!(standing(&second, "two", &of(1, 5)), FileStanding::Known, "merely behind");
    assert_eq!(standing(&second, "one", &of(1, 7)), FileStanding::Edited, "put back on purpose");
}

#[test]
fn what_has_ended_comes_into_force_no_more() {
    let (shelf, outgoing) = begun();
    let one = gate(0, Millis::ZERO);
    let put = shelf.proposing(new(2, DiffClass::Tightening, 1), &one, "n".into()).unwrap();
    for (what, word) in [(StepKind::Rejected, "rejected"), (StepKind::Withdrawn, "withdrawn")] {
        let over = put.shelf.ending(&put.versions[0], by_ann(what), "o".into()).unwrap();
        assert_eq!(state(&over).0, word);
        let asked = asked(&over.versions[0], &outgoing, &one, (&[], u64::MAX));
        let late = over.shelf.activating(asked, by_ann(StepKind::Activated), "p".into());
        assert_eq!(late, Err(ShelfRefusal::Stands(word)));
        assert!(over.shelf.ending(&over.versions[0], by_ann(what), "p".into()).is_err());
    }
    assert!(shelf.ending(&outgoing, by_ann(StepKind::Withdrawn), "o".into()).is_err());
}
