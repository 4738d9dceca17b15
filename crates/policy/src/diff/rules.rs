//! Changes of rules. Ids are for people: what counts is whether every allow lies inside an old one, and every old
//! denial and question inside a new one.

use super::{Changes, DiffClass, gate_words, if_narrows, is_as_strict};
use crate::{
    implication,
    model::{Model, Rule, Spend, Then},
};

pub(super) fn compare(changes: &mut Changes, old: &Model, new: &Model) {
    for before in &old.rules {
        let after = new.rules.iter().find(|rule| rule.id == before.id);
        let what = format!("rule {}", before.id);
        match after {
            None => {
                let class = removed(before, old, new);
                changes.add(class, &what, format!("is gone: it {}", does(&before.then)));
            }
            Some(after) => {
                let class = changed(before, after, old, new);
                let text = words(before, after, class);
                if !text.is_empty() {
                    changes.add(class, &what, text);
                }
            }
        }
    }
    for after in &new.rules {
        if !old.rules.iter().any(|rule| rule.id == after.id) {
            let text = format!("is new: it {}", does(&after.then));
            changes.add(added(after, old), &format!("rule {}", after.id), text);
        }
    }
}

fn does(then: &Then) -> String {
    match then {
        Then::Allow => "allows".to_owned(),
        Then::Deny => "denies".to_owned(),
        Then::Approve(gate) => format!("asks the {}", gate_words(gate)),
    }
}

/// Wherever `a` matches, `b` does.
fn covers(a: &Rule, b: &Rule) -> bool {
    implication::implies((a.kinds, &a.when), (b.kinds, &b.when))
}

/// Wherever `a` allows, `b` does: a rule that names a function, or where a login leads, allows by it what no
/// other can.
fn allows_no_more(a: &Rule, b: &Rule) -> bool {
    covers(a, b) && a.names_no_more_than(b)
}

/// Whether a rule stops at least as hard as another.
fn stops_as_hard(new: &Then, old: &Then) -> bool {
    match (new, old) {
        (Then::Deny, _) => true,
        (Then::Approve(new), Then::Approve(old)) => is_as_strict(new, old),
        (Then::Approve(_), Then::Deny | Then::Allow) | (Then::Allow, _) => false,
    }
}

/// An allow must lie inside an old one that says the same of what is spent; a stop can only narrow.
fn added(after: &Rule, old: &Model) -> DiffClass {
    if after.then != Then::Allow {
        return DiffClass::Tightening;
    }
    let known = old.rules.iter().any(|before| {
        before.then == Then::Allow && allows_no_more(after, before) && before.spend == after.spend
    });
    if known { DiffClass::Same } else { DiffClass::Loosening }
}

/// An allow that goes narrows, unless another then counts the call for less; a stop that goes must live on.
fn removed(before: &Rule, old: &Model, new: &Model) -> DiffClass {
    if before.then == Then::Allow {
        return if_narrows(counts_as_much(before, new));
    }
    let lives_on = new.rules.iter().any(|after| {
        covers(before, after)
            && stops_as_hard(&after.then, &before.then)
            && after.mode >= before.mode
    });
    let was_twice = old.rules.iter().filter(|rule| rule.id != before.id);
    let was_idle = was_twice.clone().any(|other| {
        covers(before, other)
            && other.then == Then::Deny
            && new.rules.iter().any(|after| after.then == Then::Deny && covers(other, after))
    });
    if lives_on || was_idle { DiffClass::Same } else { DiffClass::Loosening }
}

/// What a call spends is the most that its allow rules say: without this one, a call that another rule allows too
/// may count for less.
fn counts_as_much(before: &Rule, new: &Model) -> bool {
    let said = matches!(before.spend, Spend::Moves(_));
    let others = new.rules.iter().filter(|rule| rule.id != before.id && rule.then == Then::Allow);
    !said || !others.clone().any(|other| other.kinds.meets(before.kinds))
}

fn changed(before: &Rule, after: &Rule, old: &Model, new: &Model) -> DiffClass {
    let equal = covers(before, after)
        && covers(after, before)
        && before.names_no_more_than(after)
        && after.names_no_more_than(before)
        && before.then == after.then
        && before.spend == after.spend;
    if equal {
        return match after.mode.cmp(&before.mode) {
            std::cmp::Ordering::Less => DiffClass::Loosening,
            std::cmp::Ordering::Equal => DiffClass::Same,
            std::cmp::Ordering::Greater => DiffClass::Tightening,
        };
    }
    let (gone, come) = (removed(before, old, new), added(after, old));
    let mode = if_narrows(after.mode >= before.mode);
    let loosest = gone.max(come).max(mode);
    loosest.max(DiffClass::Tightening)
}

fn words(before: &Rule, after: &Rule, class: DiffClass) -> String {
    let mut parts = Vec::new();
    if before.then != after.then {
        parts.push(format!("it {}, and now it {}", does(&before.then), does(&after.then)));
    }
    let asks = after.clauses.difference(&before.clauses).map(|clause| format!("now asks {clause}"));
    let left = before.clauses.difference(&after.clauses);
    parts.extend(asks.chain(left.map(|clause| format!("no longer asks {clause}"))));
    if before.spend != after.spend {
        parts.push("counts differently what a call spends".to_owned());
    }
    if before.mode != after.mode {
        parts.push(format!("its approval mode was {} and is {}", before.mode, after.mode));
    }
    if before.code != after.code && before.then == after.then {
        parts.push(format!("its code was {} and is {}", before.code, after.code));
    }
    if parts.is_empty() && class != DiffClass::Same {
        parts.push("matches otherwise, through a set that it names".to_owned());
    }
    parts.join("; ")
}
