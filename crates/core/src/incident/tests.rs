use alloy_primitives::B256;

use super::*;

const HOUR: u64 = 3_600_000;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000_000_u64.saturating_add(hours.saturating_mul(HOUR)))
}

fn trace(n: u64) -> TraceHash {
    TraceHash(B256::from(alloy_primitives::U256::from(n)))
}

fn occurrence(n: u64, at: Timestamp) -> Occurrence {
    Occurrence {
        id: format!("inc_{n}"),
        code: "attack_blocked".into(),
        cause: "unlimited_allowance".into(),
        severity: Severity::Medium,
        title: format!("title {n}"),
        description: String::new(),
        agent: Some(AgentId::parse("bot").unwrap()),
        session: None,
        traces: vec![trace(n)],
        count: 1,
        at,
    }
}

fn first() -> Incident {
    match Taken::of(&occurrence(1, at(0)), None) {
        Taken::New(incident) => *incident,
        other @ (Taken::Before | Taken::More(..)) => panic!("{other:?}"),
    }
}

fn more(incident: &Incident, occurrence: &Occurrence) -> Incident {
    match Taken::of(occurrence, Some(incident)) {
        Taken::More(incident, _) => *incident,
        other @ (Taken::Before | Taken::New(_)) => panic!("{other:?}"),
    }
}

fn by_ann(to: IncidentStatus, at: Timestamp) -> IncidentMove {
    IncidentMove { to: Some(to), by: "ann".into(), note: None, at, seen: None }
}

#[test]
fn the_same_cause_is_one_incident_that_counts() {
    let mut incident = first();
    assert_eq!((incident.version, incident.count, incident.trace_hash), (1, 1, Some(trace(1))));
    for n in 2..=100 {
        incident = more(&incident, &occurrence(n, at(1)));
    }
    assert_eq!((incident.count, incident.version), (100, 100));
    assert_eq!((incident.created_at, incident.last_seen_at), (at(0), at(1)));
    assert_eq!(incident.traces.len(), TRACES_MAX);
    assert_eq!((incident.traces[0], incident.traces[1]), (trace(1), trace(70)));
    assert_eq!(incident.occurrences.len(), OCCURRENCES_MAX);
    assert_eq!(incident.history.len(), 1, "counting is no step");
    assert_eq!(incident.title, "title 1");
}

#[test]
fn an_occurrence_counts_once() {
    let incident = first();
    assert_eq!(Taken::of(&occurrence(1, at(3)), Some(&incident)), Taken::Before);
    let incident = more(&incident, &occurrence(2, at(1)));
    assert_eq!(Taken::of(&occurrence(2, at(1)), Some(&incident)), Taken::Before);
}

#[test]
fn what_comes_a_day_after_the_last_is_another_incident() {
    let incident = more(&first(), &occurrence(2, at(20)));
    let incident = more(&incident, &occurrence(3, at(44)));
    let next = Taken::of(&occurrence(4, at(69)), Some(&incident));
    assert!(matches!(&next, Taken::New(next) if next.id == "inc_4" && next.count == 1), "{next:?}");
}

#[test]
fn what_happens_again_after_it_was_resolved_is_open_again() {
    let resolved = first().moved(&by_ann(IncidentStatus::Resolved, at(23))).unwrap();
    let again = more(&resolved, &occurrence(2, at(40)));
    assert_eq!((again.status, again.count, again.status_since), (IncidentStatus::Open, 2, at(40)));
    let step = again.last_step().unwrap();
    assert_eq!((step.what, step.by.as_deref()), (StepKind::Reopened, None));
    let late = Taken::of(&occurrence(2, at(48)), Some(&resolved));
    assert!(matches!(late, Taken::New(_)), "{late:?}");
}

#[test]
fn what_was_dismissed_stays_so_for_a_day_unless_it_gets_worse() {
    let dismissed = first().moved(&by_ann(IncidentStatus::Dismissed, at(1))).unwrap();
    let more_of_it = more(&dismissed, &occurrence(2, at(20)));
    assert_eq!((more_of_it.status, more_of_it.count), (IncidentStatus::Dismissed, 2));
    let next_day = Taken::of(&occurrence(3, at(26)), Some(&more_of_it));
    assert!(matches!(next_day, Taken::New(_)), "a trickle does not keep it quiet: {next_day:?}");
    let worse = Occurrence { severity: Severity::Critical, ..occurrence(3, at(20)) };
    let reopened = more(&more_of_it, &worse);
    assert_eq!((reopened.status, reopened.severity), (IncidentStatus::Open, Severity::Critical));
    assert_eq!(reopened.title, "title 3");
}

#[test]
fn what_gets_worse_while_it_is_open_is_escalated() {
    let worse = Occurrence { severity: Severity::High, ..occurrence(2, at(0)) };
    let incident = more(&first(), &worse);
    assert_eq!(incident.last_step().unwrap().what, StepKind::Escalated);
    let milder = Occurrence { severity: Severity::Low, ..occurrence(3, at(0)) };
    let incident = more(&incident, &milder);
    assert_eq!((incident.severity, incident.history.len()), (Severity::High, 2));
}

#[test]
fn an_incident_has_these_steps_and_no_others() {
    use IncidentStatus::{Dismissed, Investigating, Open, Resolved};
    let legal = [
        (Open, Investigating),
        (Open, Resolved),
        (Open, Dismissed),
        (Investigating, Open),
        (Investigating, Resolved),
        (Investigating, Dismissed),
        (Resolved, Open),
        (Dismissed, Open),
    ];
    for from in IncidentStatus::ALL {
        for to in IncidentStatus::ALL {
            let incident = Incident { status: from, ..first() };
            let moved = incident.moved(&by_ann(to, at(1)));
            match moved {
                Ok(same) if from == to => assert_eq!(same, incident),
                Ok(moved) => {
                    assert!(legal.contains(&(from, to)), "{from:?} {to:?}");
                    let step = moved.last_step().unwrap();
                    assert_eq!((step.by.as_deref(), step.status), (Some("ann"), to));
                    assert_eq!((moved.status, moved.version), (to, 2));
                }
                Err(refusal) => {
                    assert_eq!(refusal, MoveRefusal::Illegal { from, to });
                    assert!(!legal.contains(&(from, to)), "{from:?} {to:?}");
                }
            }
        }
    }
}

#[test]
fn a_move_binds_the_version_that_was_seen() {
    let incident = first();
    let seen = |seen| IncidentMove { seen: Some(seen), ..by_ann(IncidentStatus::Resolved, at(1)) };
    for other in [vec![2], vec![2, 3], vec![]] {
        assert_eq!(incident.moved(&seen(other)), Err(MoveRefusal::Version(1)));
    }
    let moved = incident.moved(&seen(vec![2, 1])).unwrap();
    assert_eq!(
        moved.moved(&seen(vec![1])),
        Err(MoveRefusal::Version(2)),
        "also what it is already"
    );
}

#[test]
fn a_note_alone_is_a_step_and_history_is_bounded() {
    let note = IncidentMove {
        to: None,
        note: Some("looks odd".into()),
        ..by_ann(IncidentStatus::Open, at(1))
    };
    let mut incident = first();
    for _ in 0..100 {
        incident = incident.moved(&note).unwrap();
    }
    assert_eq!((incident.history.len(), incident.version), (HISTORY_MAX, 101));
    assert_eq!(incident.last_step().unwrap().what, StepKind::Noted);
}

#[test]
fn occurrences_that_are_told_in_one_count_as_many() {
    let mut one = occurrence(1, at(0));
    for n in 2..=50 {
        one.join(&occurrence(n, at(1)));
    }
    assert_eq!((one.count, one.at, one.traces.len()), (50, at(1), TRACES_MAX));
    let Taken::New(incident) = Taken::of(&one, None) else { panic!() };
    assert_eq!((incident.count, incident.trace_hash), (50, Some(trace(1))));
}

/// Talk hides nothing that happened: not how it began, and not who moved it.
#[test]
fn notes_push_out_notes_before_anything_else() {
    let mut incident = first();
    let note = |n: usize| IncidentMove {
        to: None,
        by: "ann".into(),
        note: Some(format!("note {n}")),
        at: at(1),
        seen: None,
    };
    incident = incident.moved(&by_ann(IncidentStatus::Investigating, at(1))).unwrap();
    for n in 0..200 {
        incident = incident.moved(&note(n)).unwrap();
    }
    let kinds: Vec<StepKind> = incident.history.iter().map(|step| step.what).collect();
    assert_eq!((kinds.len(), kinds[0], kinds[1]), (HISTORY_MAX, StepKind::Opened, StepKind::Moved));
    assert_eq!(incident.last_step().unwrap().note.as_deref(), Some("note 199"));
    assert_eq!(incident.history[2].note.as_deref(), Some("note 138"));
    for _ in 0..100 {
        incident = incident.moved(&by_ann(IncidentStatus::Open, at(2))).unwrap();
        incident = incident.moved(&by_ann(IncidentStatus::Investigating, at(2))).unwrap();
    }
    assert_eq!((incident.history.len(), incident.history[0].what), (HISTORY_MAX, StepKind::Opened));
    assert!(incident.history.iter().skip(1).all(|step| step.what == StepKind::Moved));
}
