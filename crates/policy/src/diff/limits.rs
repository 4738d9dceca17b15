//! Changes of limits. A limit is the same from version to version by its id: its counter goes on.

use super::{Changes, DiffClass, gate_words, if_narrows, is_as_strict};
use crate::{
    implication,
    model::{Limit, Model, OverLimit, Per},
    sentence,
};

pub(super) fn compare(changes: &mut Changes, old: &Model, new: &Model) {
    for before in &old.limits {
        let what = format!("limit {}", before.id);
        match new.limits.iter().find(|limit| limit.id == before.id) {
            None => {
                // what one transaction may do needs no counter, so that any limit may go on for it
                let heir = new
                    .limits
                    .iter()
                    .any(|limit| before.per == Per::Transaction && is_as_tight(limit, before));
                let class = if heir { DiffClass::Same } else { DiffClass::Loosening };
                changes.add(class, &what, format!("is gone: {}", words(before)));
            }
            Some(after) => {
                let (was, is) = (words(before), words(after));
                let text = if was == is {
                    "counts other requests than before".to_owned()
                } else {
                    format!("{was} -> {is}")
                };
                match (is_as_tight(after, before), is_as_tight(before, after)) {
                    (true, true) if was == is => {}
                    (true, true) => changes.add(DiffClass::Same, &what, text),
                    (tight, _) => changes.add(if_narrows(tight), &what, text),
                }
            }
        }
    }
    for after in &new.limits {
        if !old.limits.iter().any(|limit| limit.id == after.id) {
            let text = format!("is new: {}", words(after));
            changes.add(DiffClass::Tightening, &format!("limit {}", after.id), text);
        }
    }
}

/// Whether whatever the old limit stops, the new one stops at least as hard.
fn is_as_tight(new: &Limit, old: &Limit) -> bool {
    let per = match (&new.per, &old.per) {
        (Per::Rolling(new, _), Per::Rolling(old, _)) => new >= old,
        (new, old) => new == old,
    };
    let over = match (&new.over, &old.over) {
        (OverLimit::Deny, _) => true,
        (OverLimit::Approve(new), OverLimit::Approve(old)) => is_as_strict(new, old),
        (OverLimit::Approve(_), OverLimit::Deny) => false,
    };
    per && over
        && new.measure == old.measure
        && new.max <= old.max
        && new.by.iter().all(|by| old.by.contains(by))
        && implication::implies((old.kinds, &old.when), (new.kinds, &new.when))
}

fn words(limit: &Limit) -> String {
    let by: Vec<&str> = limit.by.iter().map(|by| by.word()).collect();
    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
    let over = match &limit.over {
        OverLimit::Deny => String::new(),
        OverLimit::Approve(gate) => format!(", above it the {}", gate_words(gate)),
    };
    format!("at most {}{by}{over} [{}]", sentence::maximum(limit), limit.code)
}
