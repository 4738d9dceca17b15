//! A slow, obvious judge beside `decide`: random policies and requests must come out the same.

use std::fmt::Write;

use countersign_policy::{Policy, decide, decision::Outcome};
use proptest::prelude::*;

use crate::scene::*;

/// What a rule asks.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Anything,
    AtMost(u64),
    Above(u64),
    Friend,
    Stranger,
}

/// What a rule or limit leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Allow,
    Deny,
    Approve,
}

#[derive(Debug, Clone)]
struct Case {
    rules: Vec<(Ask, Ask, bool, Then)>,
    limits: Vec<(bool, u64, Then)>,
    /// Recipient (0 is the friend) and USD.
    request: Vec<(u8, u64)>,
    open: bool,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Allow,
    Park,
    Deny,
}

impl Ask {
    fn text(self) -> String {
        match self {
            Self::Anything => "{ kind: transfer }".to_owned(),
            Self::AtMost(usd) => format!("{{ usd: {{ lte: {usd} }} }}"),
            Self::Above(usd) => format!("{{ usd: {{ gt: {usd} }} }}"),
            Self::Friend => format!("{{ to: \"{FRIEND}\" }}"),
            Self::Stranger => format!("{{ to: {{ ne: \"{FRIEND}\" }} }}"),
        }
    }

    fn holds(self, (who, usd): (u8, u64)) -> bool {
        match self {
            Self::Anything => true,
            Self::AtMost(max) => usd <= max,
            Self::Above(max) => usd > max,
            Self::Friend => who == 0,
            Self::Stranger => who != 0,
        }
    }
}

impl Then {
    const fn text(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Approve => "{ approve: desk }",
        }
    }
}

impl Case {
    fn source(&self) -> String {
        let mut text =
            "policy: p\nkind: grant\ngates: { desk: { need: [{ any: 1, of: [alice] }] } }\n"
                .to_owned();
        text.push_str("rules:\n");
        for (index, (a, b, both, then)) in self.rules.iter().enumerate() {
            let join = if *both { "all" } else { "any" };
            let (a, b, then) = (a.text(), b.text(), then.text());
            writeln!(text, "  - {{ id: r{index}, when: {{ {join}: [{a}, {b}] }}, then: {then} }}")
                .unwrap();
        }
        text.push_str("limits:\n");
        for (index, (window, max, over)) in self.limits.iter().enumerate() {
            let (per, over) = (if *window { "24h" } else { "tx" }, over.text());
            writeln!(
                text,
                "  - {{ id: l{index}, sum: usd, per: {per}, max: {max}, over: {over} }}"
            )
            .unwrap();
        }
        text
    }

    fn expected(&self) -> Expected {
        let says = |then: Then, action: (u8, u64)| {
            self.rules.iter().any(|(a, b, both, rule)| {
                let (a, b) = (a.holds(action), b.holds(action));
                *rule == then && (if *both { a && b } else { a || b })
            })
        };
        let total: u64 = self.request.iter().map(|(_, usd)| usd).sum();
        let exceeds =
            |then: Then| self.limits.iter().any(|(_, max, over)| *over == then && total > *max);
        let denied = exceeds(Then::Deny) || self.request.iter().any(|a| says(Then::Deny, *a));
        let asked = exceeds(Then::Approve) || self.request.iter().any(|a| says(Then::Approve, *a));
        if denied || !self.request.iter().all(|action| says(Then::Allow, *action)) {
            Expected::Deny
        } else if asked && !self.open {
            Expected::Park
        } else {
            Expected::Allow
        }
    }

    fn decided(&self) -> Expected {
        let policy = Policy::parse(&self.source(), "p.yaml").unwrap_or_else(|e| panic!("{e}"));
        let to = |who: u8| if who == 0 { FRIEND } else { STRANGER };
        let mut facts =
            facts(self.request.iter().map(|(who, usd)| pay(to(*who), usd * 1000)).collect());
        if self.open {
            facts.approvals = vec![approval(&policy.gates()[0], &["alice"])];
        }
        match decide(&intent(), &facts, &alone(policy)).outcome {
            Outcome::Allow(_) => Expected::Allow,
            Outcome::Park(_) => Expected::Park,
            Outcome::Deny(_) => Expected::Deny,
        }
    }
}

fn case() -> impl Strategy<Value = Case> {
    let ask = || {
        prop_oneof![
            Just(Ask::Anything),
            (0..20_u64).prop_map(Ask::AtMost),
            (0..20_u64).prop_map(Ask::Above),
            Just(Ask::Friend),
            Just(Ask::Stranger),
        ]
    };
    let then = prop_oneof![3 => Just(Then::Allow), 1 => Just(Then::Deny), 1 => Just(Then::Approve)];
    let over = prop_oneof![Just(Then::Deny), Just(Then::Approve)];
    let rules = prop::collection::vec((ask(), ask(), any::<bool>(), then), 1..6);
    let limits = prop::collection::vec((any::<bool>(), 10..40_u64, over), 0..3);
    let request = prop::collection::vec((0..2_u8, 0..25_u64), 1..4);
    (rules, limits, request, any::<bool>()).prop_map(|(rules, limits, request, open)| Case {
        rules,
        limits,
        request,
        open,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_slow_judge_agrees(case in case()) {
        prop_assert_eq!(case.decided(), case.expected(), "{}", case.source());
    }
}
