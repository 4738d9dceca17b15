//! A slow, obvious judge beside `decide`, written from the page of the language alone: ten thousand random policies and requests must
//! come out the same. It shares no code with the real one: it has its own facts, its own values and its own truth.

mod world;

use countersign_policy::{DiffClass, Policies, decide, decision::Outcome, diff};

use self::world::{
    Ask, Cond, Draw, Entry, Field, Limit, Matcher, Policy, Then, Truth, Value, World,
};
use crate::scene::intent;

/// From the least free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Deny,
    Park,
    Allow,
}

/// USD in thousandths, or nobody knows.
type Usd = Option<u64>;

impl World {
    /// POLICY §5: what an action is worth, under the allow rules of these indices.
    fn worth(&self, act: usize, rules: &[usize]) -> Usd {
        let act = &self.acts[act];
        let value = if act.value == 0 { Some(0) } else { self.native_priced.then_some(act.value) };
        let moved = match (act.token, act.amount) {
            (_, 0) => Some(0),
            ("native", amount) => self.native_priced.then_some(amount),
            ("dollar", amount) => Some(amount),
            _ => None,
        };
        let plus = |a: Usd, b: Usd| Some(a? + b?);
        let on_use = rules.iter().any(|rule| self.grant.rules[*rule].spend == "on_use");
        let vouched = rules.iter().any(|rule| self.grant.rules[*rule].spend == "none");
        match act.kind {
            "transfer" if act.token == "native" => moved,
            "approve" if on_use => value,
            "approve" if act.unlimited => None,
            "transfer" | "approve" => plus(value, moved),
            "revoke" | "deploy" | "text" => value,
            "call" if vouched && !act.unreadable => value,
            _ => None,
        }
    }

    fn fee(&self) -> Usd {
        if self.fee == 0 { Some(0) } else { self.native_priced.then_some(self.fee) }
    }

    fn fact(&self, field: Field, act: usize, usd: Usd, declared: bool) -> Option<Value> {
        let (all, act) = (self, &self.acts[act]);
        let number = |n: u64| Some(Value::Number(u128::from(n)));
        let text = |t: &str| Some(Value::Text(t.to_owned()));
        match field {
            Field::Chain => number(all.chain),
            Field::Agent => text("bot"),
            Field::Role => all.role.and_then(text),
            Field::Session => all.session.and_then(text),
            Field::ContextNumber => all.said.and_then(number),
            Field::ContextText => all.said.and_then(|_| text("inr")),
            Field::Token => text(act.token),
            Field::Amount if act.unlimited => Some(Value::Number(u128::MAX)),
            Field::Amount => Some(Value::Number(act.units())),
            Field::Usd => usd.and_then(number),
            Field::To | Field::Spender => text(act.who),
            Field::Target if act.everywhere => None,
            Field::Target => text(act.target()),
            Field::Selector => text(act.selector),
            Field::ValueWei => number(act.value_wei()),
            Field::Gas => number(all.gas),
            Field::FeeUsd => all.fee().and_then(number),
            Field::Nonce => all.nonce.and_then(number),
            Field::Action => text(all.declared.filter(|_| declared).unwrap_or(act.label)),
            Field::Unlimited => Some(Value::Bool(act.unlimited)),
            Field::Deadline => Some(Value::Number(act.deadline.map_or(u128::MAX, u128::from))),
            Field::Via => text(act.via),
            Field::Depth => number(act.depth),
            Field::Seen => all.seen_known.then(|| Value::Bool(act.counterparty() == "friend")),
        }
    }

    fn holds(&self, cond: &Cond, at: (usize, Usd, bool)) -> Truth {
        match cond {
            Cond::All(parts) => parts.iter().map(|c| self.holds(c, at)).min().unwrap_or(Truth::Yes),
            Cond::Any(parts) => parts.iter().map(|c| self.holds(c, at)).max().unwrap_or(Truth::No),
            Cond::Not(inner) => match self.holds(inner, at) {
                Truth::Yes => Truth::No,
                Truth::No => Truth::Yes,
                Truth::Unknown => Truth::Unknown,
            },
            Cond::Hours => Truth::of(self.day < 5 && (8..20).contains(&self.hour)),
            Cond::Field(field, matcher) => match self.fact(*field, at.0, at.1, at.2) {
                None => Truth::Unknown,
                Some(value) => Truth::of(matcher.holds(&value)),
            },
        }
    }

    fn entry_holds(&self, entry: &Entry, at: (usize, Usd, bool)) -> Truth {
        if entry.kinds.contains(&self.acts[at.0].kind) {
            self.holds(&entry.cond, at)
        } else {
            Truth::No
        }
    }

    /// POLICY §1.2: deny beats approve beats allow; nothing allows = deny; every action needs an allow.
    fn expected(&self) -> Verdict {
        let acts = 0..self.acts.len();
        let in_force = !self.expired && self.covered;
        let allowing = |act: usize| -> Vec<usize> {
            let matches = |rule: &usize| {
                let known = &self.grant.rules[*rule];
                known.then == Then::Allow
                    && (!self.acts[act].unlisted || names_selector(&known.cond))
                    && self.entry_holds(known, (act, self.worth(act, &[*rule]), false))
                        == Truth::Yes
            };
            (0..self.grant.rules.len()).filter(matches).collect()
        };
        let allows: Vec<Vec<usize>> = acts.clone().map(allowing).collect();
        let usd: Vec<Usd> = acts.clone().map(|act| self.worth(act, &allows[act])).collect();
        let mut denied = !in_force
            || allows.iter().any(Vec::is_empty)
            || self.acts.iter().any(|act| act.unreadable || act.everywhere)
            || (self.frozen && !self.acts.iter().all(|act| act.kind == "revoke" && act.value == 0));
        let mut asked = false;
        for policy in [&self.grant, &self.guard] {
            let mut stop = |index: usize, then: Then| match then {
                Then::Allow => {}
                Then::Deny => denied = true,
                Then::Approve(gate) => asked |= !policy.is_open(self, gate, index),
            };
            for (index, rule) in
                policy.rules.iter().enumerate().filter(|(_, rule)| rule.then != Then::Allow)
            {
                // what the agent calls its action may make a rule match, never unmatch
                let possible = acts.clone().any(|act| {
                    [false, true]
                        .iter()
                        .any(|d| self.entry_holds(rule, (act, usd[act], *d)) != Truth::No)
                });
                if possible {
                    stop(index, rule.then);
                }
            }
            for (index, limit) in policy.limits.iter().enumerate() {
                if self.exceeds(limit, &usd) {
                    stop(index, limit.over);
                }
            }
        }
        match (denied, asked) {
            (true, _) => Verdict::Deny,
            (false, true) => Verdict::Park,
            (false, false) => Verdict::Allow,
        }
    }

    /// An action counts unless it is certain that the limit does not speak of it; an unknown sum is too much.
    fn exceeds(&self, limit: &Limit, usd: &[Usd]) -> bool {
        let speaks = |act: &usize| {
            [false, true]
                .iter()
                .any(|d| self.entry_holds(&limit.entry, (*act, usd[*act], *d)) != Truth::No)
        };
        let counted: Vec<usize> = (0..self.acts.len()).filter(speaks).collect();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for act in counted {
            let same = |group: &&mut Vec<usize>| {
                !limit.by_counterparty
                    || self.acts[group[0]].counterparty() == self.acts[act].counterparty()
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(act),
                None => groups.push(vec![act]),
            }
        }
        groups.iter().any(|group| {
            let sum = group.iter().try_fold(0, |sum: u64, act| Some(sum + usd[*act]?));
            let amount = match limit.measure {
                "tx" => Some(1),
                "action" => u64::try_from(group.len()).ok(),
                "fee_usd" => self.fee(),
                // a window counts the fee too
                _ if limit.window => sum.and_then(|sum| Some(sum + self.fee()?)),
                _ => sum,
            };
            amount.is_none_or(|amount| amount > limit.max)
        })
    }
}

impl Policy {
    /// Whether people have opened a gate to the rule or limit of this number; nobody has opened those of the guard.
    fn is_open(&self, world: &World, gate: &str, index: usize) -> bool {
        self.kind == "grant" && world.open.contains(&gate) && world.answered[index % 2]
    }
}

/// What the registered layout of a contract does not have is allowed by name only.
fn names_selector(cond: &Cond) -> bool {
    match cond {
        Cond::All(parts) => parts.iter().any(names_selector),
        Cond::Any(parts) => parts.iter().all(names_selector),
        Cond::Field(Field::Selector, matcher) => {
            matcher.0.iter().any(|ask| matches!(ask, Ask::In(_)))
        }
        Cond::Field(..) | Cond::Not(_) | Cond::Hours => false,
    }
}

impl Matcher {
    fn holds(&self, value: &Value) -> bool {
        let among = |values: &[Value]| values.contains(value);
        let compare = |other: &Value| match (value, other) {
            (Value::Number(a), Value::Number(b)) => a.cmp(b),
            _ => panic!("only numbers are ordered"),
        };
        self.0.iter().all(|ask| match ask {
            Ask::In(values) => among(values),
            Ask::NotIn(values) => !among(values),
            Ask::Below(other) => compare(other).is_lt(),
            Ask::AtMost(other) => compare(other).is_le(),
            Ask::Above(other) => compare(other).is_gt(),
            Ask::AtLeast(other) => compare(other).is_ge(),
            Ask::Between(low, high) => compare(low).is_ge() && compare(high).is_le(),
        })
    }
}

fn decided(world: &World) -> Verdict {
    judged(world, &world.policies())
}

/// What policies say to the request of a world.
fn judged(world: &World, policies: &Policies) -> Verdict {
    let mut asked = intent();
    asked.declared = world.declared_to_core();
    match decide(&asked, &world.facts(policies), policies).outcome {
        Outcome::Allow(_) => Verdict::Allow,
        Outcome::Park(_) => Verdict::Park,
        Outcome::Deny(_) => Verdict::Deny,
    }
}

#[test]
fn the_slow_judge_agrees_in_ten_thousand_worlds() {
    let (mut wrong, mut seen) = (Vec::new(), [0; 3]);
    for seed in 0..10_000 {
        let world = World::draw(&mut Draw::new(seed));
        let (expected, got) = (world.expected(), decided(&world));
        let index = match got {
            Verdict::Allow => 0,
            Verdict::Park => 1,
            Verdict::Deny => 2,
        };
        seen[index] += 1;
        if expected != got && wrong.len() < 3 {
            wrong.push(format!(
                "seed {seed}: {got:?}, not {expected:?}\n{}\n{world:#?}",
                world.source()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // each outcome is common enough to mean something
    assert!(seen.iter().all(|count| *count > 500), "{seen:?}");
}

#[test]
fn a_guard_never_frees_anything_and_the_order_of_rules_is_nothing() {
    // a rule that is turned has another name, and what people said to it was said to that name
    let drawn = |seed| World { answered: [true; 2], ..World::draw(&mut Draw::new(seed)) };
    for seed in 0..2_000 {
        let world = drawn(seed);
        let both = world.policies();
        let alone = Policies { grant: both.grant.clone(), guards: Vec::new() };
        let (with, without) = (judged(&world, &both), judged(&world, &alone));
        assert!(with <= without, "seed {seed}: {with:?} with the guard, {without:?} without");
        let mut turned = drawn(seed);
        turned.grant.rules.reverse();
        turned.guard.rules.reverse();
        assert_eq!(judged(&world, &turned.policies()), with, "seed {seed}");
    }
}

#[test]
fn what_diff_calls_a_tightening_frees_nothing() {
    let (mut tightenings, mut same, mut bites) = (0, 0, 0);
    for seed in 0..4_000 {
        let old = World::draw(&mut Draw::new(seed));
        let mut new = World::draw(&mut Draw::new(seed));
        new.change(&mut Draw::new(seed + 1_000_000));
        let (before, after) = (old.policies(), new.policies());
        let found = diff(&before.grant, &after.grant);
        match found.class {
            DiffClass::Loosening => continue,
            DiffClass::Tightening => tightenings += 1,
            DiffClass::Same => same += 1,
        }
        let (was, is) = (judged(&old, &before), judged(&old, &after));
        bites += usize::from(is < was);
        assert!(
            is <= was,
            "seed {seed}: {was:?} -> {is:?}\n{found:#?}\n{}\n{}",
            old.source(),
            new.source()
        );
        assert!(
            found.class == DiffClass::Tightening || is == was,
            "seed {seed}: the same, and not the same"
        );
    }
    assert!(tightenings > 500 && same > 20 && bites > 20, "{tightenings} {same} {bites}");
}
