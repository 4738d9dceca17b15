//! `decide` and what follows it: charges, refusals of the store, approvals, freezes, budgets, words.

use crate::scene::*;
use countersign_core::{
    action::Effect,
    charge::{Over, Overrun, Reading, Unit, Window},
    fact::{Fact, Freeze},
    identity::ChainId,
    token::Asset,
};
use countersign_policy::{
    Identity, Policies, budget, counter_verdicts, decide,
    decision::{Denial, Ground, Hold, Outcome, Permit, Register, Says},
};

const DEV: &str = "
sets: { friends: [\"0x1111111111111111111111111111111111111111\"] }
gates: { owner: { need: [{ any: 1, of: [\"*\"] }], drift: { fee: 25% } } }
rules:
  - { id: pay, when: { kind: transfer, to: { in: \"@friends\" } }, then: allow }
  - { id: clean, when: { kind: revoke }, then: allow }
limits:
  - { id: ask, sum: usd, per: tx, max: 100, over: { approve: owner }, code: amount_above_threshold }
  - { id: cap, sum: usd, per: tx, max: 500 }
  - { id: day, sum: usd, per: 24h, max: 1000 }
  - { id: soft, sum: usd, per: 1h, max: 300, over: { approve: owner } }
";

fn permit(outcome: Outcome) -> Permit {
    match outcome {
        Outcome::Allow(permit) => permit,
        Outcome::Park(_) | Outcome::Deny(_) => panic!("expected a permit, got {outcome:?}"),
    }
}

fn hold(outcome: Outcome) -> Hold {
    match outcome {
        Outcome::Park(hold) => hold,
        Outcome::Allow(_) | Outcome::Deny(_) => panic!("expected a hold, got {outcome:?}"),
    }
}

fn denial(outcome: Outcome) -> Denial {
    match outcome {
        Outcome::Deny(denial) => denial,
        Outcome::Allow(_) | Outcome::Park(_) => panic!("expected a denial, got {outcome:?}"),
    }
}

#[test]
fn a_permit_covers_the_intent_and_charges_every_window() {
    let policies = alone(grant(DEV));
    let mut facts = facts(vec![pay(FRIEND, 60_000)]);
    facts.fee_wei_max = wei(1_500);
    let decision = decide(&intent(), &facts, &policies);
    assert_eq!(decision.usd[0].unwrap().to_string(), "60");
    assert_eq!(decision.fee_usd.unwrap().to_string(), "1.5");
    assert_eq!(decision.policy, policies.grant.id());
    let says: Vec<(String, Says)> =
        decision.verdicts.iter().map(|v| (v.rule.clone(), v.says)).collect();
    let expected = [
        ("pay", Says::Allow),
        ("clean", Says::Pass),
        ("ask", Says::Within),
        ("cap", Says::Within),
        ("day", Says::Within),
        ("soft", Says::Within),
    ];
    assert_eq!(says, expected.map(|(rule, says)| (rule.to_owned(), says)));
    let permit = permit(decision.outcome);
    assert_eq!((permit.intent(), permit.policy()), (&intent(), policies.grant.id()));
    let [day, soft] = permit.charges() else { panic!("{:?}", permit.charges()) };
    assert_eq!((day.value, day.fee, day.limit), (60_000_000, 1_500_000, 1_000_000_000));
    assert_eq!((day.unit, &day.over), (Unit::Usd, &Over::Deny));
    assert_eq!(day.window, Window::Rolling("24h".parse().unwrap()));
    assert_eq!((day.source.limit.as_str(), day.source.per.as_str()), ("day", "24h"));
    assert_eq!(day.source.code, "rolling_limit_exceeded");
    assert!(matches!(soft.over, Over::Park { waived: false, .. }));
    assert_ne!(day.counter, soft.counter);
}

#[test]
fn a_refusal_of_the_store_has_the_shape_of_a_decision() {
    let policies = alone(grant(DEV));
    let decide =
        || permit(decide(&intent(), &facts(vec![pay(FRIEND, 100_000)]), &policies).outcome);
    let reading = Reading {
        reserved: 50_000_000,
        committed: 400_000_000,
        settled: 500_000_000,
        frees_at: Some("2026-01-06T00:00:00Z".parse().unwrap()),
    };
    let refused = denial(decide().overrun(&[Overrun { index: 0, reading }]));
    assert_eq!(refused.code, "rolling_limit_exceeded");
    assert_eq!(refused.reason, "100 USD asked, 50 of 1000 USD left, frees 2026-01-06T00:00:00Z");
    assert_eq!((refused.register, refused.ground), (Register::Constructive, Ground::Policy));
    assert_eq!(
        serde_json::to_value(&refused.violations).unwrap(),
        serde_json::json!([{
            "rule": "day", "code": "rolling_limit_exceeded", "limit": "1000", "current": "950",
            "requested": "100", "frees_at": "2026-01-06T00:00:00Z",
        }])
    );

    let parked = hold(decide().overrun(&[Overrun { index: 1, reading }]));
    assert_eq!(parked.gates(), policies.grant.gates());
    assert_eq!((parked.code(), parked.triggers().len()), ("rolling_limit_exceeded", 1));
    assert_eq!(parked.charges().len(), 2);
    assert_eq!(parked.ttl(), "24h".parse().unwrap());

    let both = [Overrun { index: 1, reading }, Overrun { index: 0, reading }];
    assert_eq!(denial(decide().overrun(&both)).violations.len(), 1);
    let lost = denial(decide().overrun(&[Overrun { index: 7, reading }]));
    assert_eq!((lost.code.as_str(), lost.ground), ("store_unavailable", Ground::Unavailable));
}

#[test]
fn a_parked_request_keeps_its_question_when_the_store_asks_another() {
    let policies = alone(grant(DEV));
    let parked = hold(decide(&intent(), &facts(vec![pay(FRIEND, 200_000)]), &policies).outcome);
    assert_eq!(parked.code(), "amount_above_threshold");
    assert_eq!(parked.reason(), "200 USD asked, at most 100 USD per transaction");
    let full = Reading { settled: 300_000_000, ..Reading::default() };
    let parked = hold(parked.overrun(&[Overrun { index: 1, reading: full }]));
    assert_eq!((parked.code(), parked.gates().len()), ("amount_above_threshold", 1));
    assert_eq!(parked.triggers().len(), 2);
    let refused = denial(parked.overrun(&[Overrun { index: 0, reading: full }]));
    assert_eq!(refused.code, "rolling_limit_exceeded");
}

#[test]
fn an_open_gate_lets_a_request_through_and_waives_its_own_limits() {
    let policies = alone(grant(DEV));
    let gate = policies.grant.gates()[0].clone();
    let mut facts = facts(vec![pay(FRIEND, 350_000)]);
    assert_eq!(hold(decide(&intent(), &facts, &policies).outcome).triggers().len(), 2);
    facts.approvals = vec![approval(&gate, &["ask", "soft"], &["alice"])];
    let permit = permit(decide(&intent(), &facts, &policies).outcome);
    assert!(matches!(permit.charges()[1].over, Over::Park { waived: true, .. }));
    assert_eq!(permit.charges()[0].over, Over::Deny);
    assert_eq!(permit.charges()[1].value, 350_000_000);
}

#[test]
fn an_approval_counts_only_for_the_same_gate_the_right_people_and_the_fee_they_saw() {
    let policies = alone(grant(DEV));
    let gate = policies.grant.gates()[0].clone();
    let stricter = countersign_core::approval::Gate { ttl: "1h".parse().unwrap(), ..gate.clone() };
    let table = [
        (approval(&gate, &["ask"], &["alice"]), None, 0, true),
        (approval(&gate, &["ask"], &[]), None, 0, false),
        (approval(&stricter, &["ask"], &["alice"]), None, 0, false),
        (approval(&gate, &["ask"], &["alice"]), Some("alice"), 0, false),
        (approval(&gate, &["ask"], &["alice", "bob"]), Some("alice"), 0, true),
        (approval(&gate, &["ask"], &["alice"]), None, 125, true),
        (approval(&gate, &["ask"], &["alice"]), None, 126, false),
    ];
    for (mut given, owner, fee, opens) in table {
        let mut facts = facts(vec![pay(FRIEND, 200_000)]);
        given.fee_wei_max = wei(100);
        facts.fee_wei_max = wei(fee);
        facts.owner = owner.map(str::to_owned);
        facts.approvals = vec![given.clone()];
        let outcome = decide(&intent(), &facts, &policies).outcome;
        assert_eq!(matches!(outcome, Outcome::Allow(_)), opens, "{given:?} {owner:?} {fee}");
    }
}

#[test]
fn an_approval_answers_the_rules_that_asked_and_no_others_at_the_same_gate() {
    let policies = alone(grant(DEV));
    let gate = policies.grant.gates()[0].clone();
    let asking = |asked_by: &[&str]| {
        let mut facts = facts(vec![pay(FRIEND, 350_000)]);
        facts.approvals = vec![approval(&gate, asked_by, &["alice"])];
        match decide(&intent(), &facts, &policies).outcome {
            Outcome::Allow(_) => Vec::new(),
            Outcome::Park(hold) => {
                assert!(hold.asks().iter().all(|ask| ask.is_at(&gate)));
                hold.asks().iter().map(|ask| ask.rule.clone()).collect()
            }
            Outcome::Deny(denial) => panic!("{denial:?}"),
        }
    };
    for (asked_by, asks) in [
        (&[][..], &["ask", "soft"][..]),
        (&["ask"], &["soft"]),
        (&["soft"], &["ask"]),
        (&["cap", "pay", "owner"], &["ask", "soft"]),
        (&["ask", "soft"], &[]),
    ] {
        assert_eq!(asking(asked_by), asks, "{asked_by:?}");
    }
}

#[test]
fn a_window_that_fills_later_asks_the_same_gate_anew() {
    let policies = alone(grant(DEV));
    let gate = policies.grant.gates()[0].clone();
    let mut facts = facts(vec![pay(FRIEND, 150_000)]);
    facts.approvals = vec![approval(&gate, &["ask"], &["alice"])];
    let permit = permit(decide(&intent(), &facts, &policies).outcome);
    assert!(matches!(permit.charges()[1].over, Over::Park { waived: false, .. }));
    let full = Reading { settled: 300_000_000, ..Reading::default() };
    let asked = hold(permit.overrun(&[Overrun { index: 1, reading: full }]));
    let rules: Vec<&str> = asked.asks().iter().map(|ask| ask.rule.as_str()).collect();
    assert_eq!((rules, asked.gates()), (vec!["soft"], &[gate][..]));
}

#[test]
fn an_approval_counts_only_while_the_worth_is_near_what_people_saw() {
    let source = DEV.replace("drift: { fee: 25% }", "drift: { fee: 25%, usd: 2% }");
    assert_ne!(source, DEV, "the gate of these tests is written otherwise now");
    let policies = alone(grant(&source));
    let gate = policies.grant.gates()[0].clone();
    for (saw, opens) in
        [(Some("200"), true), (Some("197"), true), (Some("196"), false), (None, true)]
    {
        let mut facts = facts(vec![pay(FRIEND, 200_000)]);
        let mut given = approval(&gate, &["ask"], &["alice"]);
        given.usd = saw.map(|usd| usd.parse().unwrap());
        facts.approvals = vec![given];
        let outcome = decide(&intent(), &facts, &policies).outcome;
        assert_eq!(matches!(outcome, Outcome::Allow(_)), opens, "{saw:?}");
    }
}

#[test]
fn a_freeze_stops_everything_but_what_only_shrinks() {
    let policies = alone(grant(DEV));
    let agent = intent().agent;
    let wallet = intent().wallet;
    let other = countersign_core::identity::AgentId::parse("other").unwrap();
    let money = {
        let mut action = revoke();
        action.value_wei = wei(1);
        action
    };
    let table = [
        (Freeze::Global, vec![pay(FRIEND, 1)], true),
        (Freeze::Global, vec![revoke()], false),
        (Freeze::Global, vec![revoke(), pay(FRIEND, 1)], true),
        (Freeze::Global, vec![money], true),
        (Freeze::All, vec![revoke()], true),
        (Freeze::Agent(agent), vec![pay(FRIEND, 1)], true),
        (Freeze::Agent(other), vec![pay(FRIEND, 1)], false),
        (Freeze::Wallet(wallet), vec![pay(FRIEND, 1)], true),
        (Freeze::Chain(ChainId(31337)), vec![pay(FRIEND, 1)], true),
        (Freeze::Chain(ChainId(1)), vec![pay(FRIEND, 1)], false),
    ];
    for (freeze, actions, stops) in table {
        let mut facts = facts(actions);
        facts.freezes = vec![freeze.clone()];
        match decide(&intent(), &facts, &policies).outcome {
            Outcome::Deny(denial) => {
                assert!(stops, "{freeze:?}");
                assert_eq!((denial.code.as_str(), denial.register), ("frozen", Register::Halt));
            }
            Outcome::Allow(_) | Outcome::Park(_) => assert!(!stops, "{freeze:?}"),
        }
    }
}

#[test]
fn calldata_that_a_function_claims_and_does_not_read_may_be_that_function() {
    let source = "rules: [{ id: all, then: allow }, { id: no, when: { fn: \"ping(uint256 x)\", args.x: { gt: 3 } }, then: deny, code: pinged }]";
    let ping = countersign_core::abi::AbiFunction::parse("ping(uint256 x)").unwrap();
    let table = [
        (Effect::Undecodable { reason: "dirty padding".into() }, Some(ping.selector()), 2),
        (Effect::Undecodable { reason: "dirty padding".into() }, None, 1),
        (Effect::Call, Some(ping.selector()), 1),
        (Effect::Call, None, 0),
    ];
    for (effect, selector, grounds) in table {
        let mut action = action(effect, Some(STRANGER));
        action.selector = selector;
        let outcome =
            decide(&intent(), &facts(vec![action.clone()]), &alone(grant(source))).outcome;
        match outcome {
            Outcome::Deny(denial) => assert_eq!(denial.violations.len(), grounds, "{action:?}"),
            Outcome::Allow(_) | Outcome::Park(_) => assert_eq!(grounds, 0, "{action:?}"),
        }
    }
}

#[test]
fn what_stands_above_every_rule_denies_whatever_the_rules_say() {
    let all = || alone(grant("rules: [{ id: all, then: allow }]"));
    let unreadable = Effect::Undecodable { reason: "trailing bytes".into() };
    let mut deployment = intent();
    let countersign_core::intent::Payload::Transaction(plan) = &mut deployment.payload else {
        panic!()
    };
    plan.to = None;
    let init_code_hash = alloy_primitives::B256::ZERO;
    let ended = "expires: 2026-01-05T12:00:00Z\nrules: [{ id: all, then: allow }]";
    let elsewhere = "for: { wallets: [other] }\nrules: [{ id: all, then: allow }]";
    let table = [
        (intent(), vec![action(unreadable, Some(STRANGER))], all(), "undecodable_calldata"),
        (intent(), vec![], all(), "no_rule_allows"),
        (
            deployment,
            vec![action(Effect::Deploy { init_code_hash }, None)],
            all(),
            "empty_init_code",
        ),
        (intent(), vec![pay(FRIEND, 1)], alone(grant(ended)), "grant_expired"),
        (intent(), vec![pay(FRIEND, 1)], alone(grant(elsewhere)), "no_rule_allows"),
        (intent(), vec![pay(FRIEND, 1)], alone(guard("rules: []")), "no_rule_allows"),
    ];
    for (intent, actions, policies, code) in table {
        let denial = denial(decide(&intent, &facts(actions), &policies).outcome);
        assert_eq!((denial.code.as_str(), denial.register), (code, Register::Halt));
        assert_eq!(denial.violations.len(), 1, "{code}: {:?}", denial.violations);
    }
}

#[test]
fn a_stranger_is_told_to_drop_the_instruction_even_where_the_amount_is_wrong_too() {
    let denied =
        denial(decide(&intent(), &facts(vec![pay(STRANGER, 600_000)]), &alone(grant(DEV))).outcome);
    assert_eq!((denied.code.as_str(), denied.register), ("no_rule_allows", Register::Halt));
    let codes: Vec<&str> = denied.violations.iter().map(|v| v.code.as_str()).collect();
    assert_eq!(codes, ["no_rule_allows", "per_tx_limit_exceeded"]);
    assert!(denied.reason.contains(&STRANGER.to_string()), "{}", denied.reason);
}

#[test]
fn a_price_that_a_source_owes_is_unavailable_and_one_that_nobody_has_is_the_limits_matter() {
    let table = [
        (false, FRIEND, "price_unavailable", Ground::Unavailable),
        (true, FRIEND, "per_tx_limit_exceeded", Ground::Policy),
        // not the only ground
        (false, STRANGER, "no_rule_allows", Ground::Policy),
    ];
    for (never_priced, to, code, ground) in table {
        let mut facts = facts(vec![pay(to, 1)]);
        facts.tokens[0].price = Fact::Unknown("the source is down".into());
        facts.tokens[0].never_priced = never_priced;
        let denied = denial(decide(&intent(), &facts, &alone(grant(DEV))).outcome);
        assert_eq!((denied.code.as_str(), denied.ground), (code, ground), "{never_priced} {to}");
    }
}

#[test]
fn guards_come_first_and_only_those_that_cover_the_request() {
    let strict = guard(
        "rules: [{ id: no, when: { usd: { gte: 1 } }, then: deny, code: guarded }]\nlimits: [{ id: org, sum: usd, per: 24h, max: 5000 }]",
    );
    let foreign = guard("for: { chains: [1] }\nrules: [{ id: no, then: deny }]");
    let policies = Policies { grant: grant(DEV), guards: vec![foreign, strict.clone()] };
    let denied = decide(&intent(), &facts(vec![pay(FRIEND, 600_000)]), &policies);
    assert_eq!(denied.guards, [strict.id()]);
    assert_eq!(denied.verdicts[0].policy, "guard");
    assert_eq!(denial(denied.outcome).code, "guarded");
    let small = permit(decide(&intent(), &facts(vec![pay(FRIEND, 1)]), &policies).outcome);
    assert_eq!(small.charges()[0].source.policy, "guard");
}

#[test]
fn a_counter_is_the_grants_own_and_the_guards_together() {
    let counters = |agent: &str, policies: &Policies| {
        let mut intent = intent();
        intent.agent = countersign_core::identity::AgentId::parse(agent).unwrap();
        let permit = permit(decide(&intent, &facts(vec![pay(FRIEND, 1)]), policies).outcome);
        permit.charges().iter().map(|charge| charge.counter).collect::<Vec<_>>()
    };
    let org = guard(
        "limits: [{ id: org, sum: usd, per: 24h, max: 5000 }, { id: each, sum: usd, per: 24h, by: [agent], max: 50 }]",
    );
    let policies = Policies { grant: grant(DEV), guards: vec![org] };
    let (one, two) = (counters("one", &policies), counters("two", &policies));
    assert_eq!(one[0], two[0]);
    assert!(one.iter().zip(&two).skip(1).all(|(a, b)| a != b));
    let changed =
        Policies { grant: grant(&DEV.replace("per: 24h", "per: 25h")), ..policies.clone() };
    assert_ne!(counters("one", &changed)[2], one[2]);
    let raised = Policies { grant: grant(&DEV.replace("max: 1000", "max: 2000")), ..policies };
    assert_eq!(counters("one", &raised)[2], one[2]);
}

#[test]
fn calendar_windows_carry_their_bounds_in_their_zone() {
    let source = "rules: [{ id: all, then: allow }]\nlimits: [{ id: d, sum: usd, per: day, tz: Asia/Tokyo, max: 9 }, { id: m, sum: usd, per: month, max: 9 }, { id: g, count: tx, per: grant, max: 9 }]";
    let permit =
        permit(decide(&intent(), &facts(vec![pay(FRIEND, 1)]), &alone(grant(source))).outcome);
    let shown: Vec<String> = permit
        .charges()
        .iter()
        .map(|charge| match charge.window {
            Window::Calendar(period) => format!("{} {}", period.start, period.end),
            Window::Rolling(length) => length.to_string(),
            Window::Grant => "grant".to_owned(),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2026-01-04T15:00:00Z 2026-01-05T15:00:00Z",
            "2026-01-01T00:00:00Z 2026-02-01T00:00:00Z",
            "grant"
        ]
    );
}

#[test]
fn readings_are_judged_as_the_store_would() {
    let policies = alone(grant(DEV));
    let permit = permit(decide(&intent(), &facts(vec![pay(FRIEND, 100_000)]), &policies).outcome);
    let used = |micros| Reading { settled: micros, ..Reading::default() };
    let table = [
        ([900_000_000, 200_000_000], vec![], [Says::Within, Says::Within]),
        ([900_000_001, 200_000_000], vec![0], [Says::Deny, Says::Within]),
        ([0, 200_000_001], vec![1], [Says::Within, Says::Approve]),
    ];
    for (settled, over, says) in table {
        let (verdicts, overruns) = counter_verdicts(permit.charges(), &settled.map(used));
        assert_eq!(overruns.iter().map(|o| o.index).collect::<Vec<_>>(), over);
        assert_eq!(verdicts.iter().map(|v| v.says).collect::<Vec<_>>(), says);
    }
    assert_eq!(counter_verdicts(permit.charges(), &[]).1.len(), 2);
}

#[test]
fn a_budget_shows_the_counters_that_a_request_would_charge() {
    let org = guard(
        "limits: [{ id: each, sum: usd, per: 24h, by: [agent], max: 50 }, { id: to, sum: usd, per: 24h, by: [to], max: 50 }]",
    );
    let policies = Policies { grant: grant(DEV), guards: vec![org] };
    let intent = intent();
    let facts = facts(vec![pay(FRIEND, 1)]);
    let identity = Identity { agent: &intent.agent, wallet: &intent.wallet, chain: intent.chain() };
    let lines = budget(&policies, identity, facts.at);
    let shown: Vec<String> =
        lines.iter().map(|l| format!("{} {} {} {}", l.policy, l.limit, l.per, l.max)).collect();
    assert_eq!(shown, ["guard each 24h 50", "grant day 24h 1000", "grant soft 1h 300"]);
    let permit = permit(decide(&intent, &facts, &policies).outcome);
    for line in &lines {
        assert_eq!(line.charge.amount(), Some(0));
        assert!(permit.charges().iter().any(|charge| charge.counter == line.charge.counter));
    }
}

#[test]
fn no_sentence_of_ours_is_mistaken_by_a_client() {
    const MISTAKEN: [&str; 13] = [
        "user denied",
        "request limit",
        "rate limit",
        "rate exceeded",
        "too many requests",
        "credits limited",
        "insufficient funds",
        "nonce too low",
        "replacement",
        "underpriced",
        "execution reverted",
        "the method",
        "does not exist",
    ];
    let mut sentences = Vec::new();
    let unlimited = Effect::Approve {
        asset: Asset::Token(DOLLAR),
        owner: WALLET,
        spender: STRANGER,
        amount: alloy_primitives::U256::MAX,
        unlimited: true,
        deadline: None,
    };
    let unreadable = Effect::Undecodable { reason: "x".into() };
    let actions = [
        pay(FRIEND, 200_000),
        pay(FRIEND, 2_000_000),
        pay(STRANGER, 1),
        action(unlimited, Some(DOLLAR)),
        action(unreadable, Some(STRANGER)),
        action(Effect::Call, Some(STRANGER)),
    ];
    for one in actions {
        for priced in [true, false] {
            let mut facts = facts(vec![one.clone()]);
            facts.freezes = vec![Freeze::Chain(ChainId(1)), Freeze::Agent(intent().agent)];
            if !priced {
                facts.freezes.clear();
                facts.tokens[0].price = Fact::Unknown("down".into());
            }
            let decision = decide(&intent(), &facts, &alone(grant(DEV)));
            sentences.extend(decision.verdicts.into_iter().map(|verdict| verdict.detail));
            match decision.outcome {
                Outcome::Deny(denial) => sentences.push(denial.reason),
                Outcome::Park(hold) => sentences.push(hold.reason().to_owned()),
                Outcome::Allow(_) => {}
            }
        }
    }
    assert!(sentences.len() > 50);
    for sentence in sentences {
        let lower = sentence.to_lowercase();
        assert!(!MISTAKEN.iter().any(|words| lower.contains(words)), "{sentence}");
        assert!(!sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    let policies = alone(grant(DEV));
    let facts = facts(vec![pay(FRIEND, 200_000), pay(STRANGER, 1)]);
    let once = format!("{:?}", decide(&intent(), &facts, &policies));
    assert_eq!(once, format!("{:?}", decide(&intent(), &facts, &policies)));
}

#[test]
fn the_risk_score_is_the_sum_of_its_signs() {
    let unlimited = Effect::Approve {
        asset: Asset::Token(DOLLAR),
        owner: WALLET,
        spender: STRANGER,
        amount: alloy_primitives::U256::MAX,
        unlimited: true,
        deadline: None,
    };
    let foreign = Effect::Transfer {
        asset: Asset::Token(DOLLAR),
        from: STRANGER,
        to: FRIEND,
        amount: alloy_primitives::U256::from(1),
    };
    let table = [
        (pay(FRIEND, 1), 0),
        (pay(STRANGER, 1), 15),
        (pay(DOLLAR, 1), 75),
        (pay(alloy_primitives::Address::ZERO, 1), 75),
        (action(foreign, Some(DOLLAR)), 60),
        (action(unlimited, Some(DOLLAR)), 85),
        (action(Effect::Call, Some(STRANGER)), 55),
        (revoke(), 0),
    ];
    for (action, score) in table {
        let decision = decide(&intent(), &facts(vec![action.clone()]), &alone(grant(DEV)));
        assert_eq!(decision.risk_score, score, "{action:?}");
    }
    let mut drained = facts(vec![pay(FRIEND, 95)]);
    drained.balance_wei = Fact::Known(wei(100));
    assert_eq!(decide(&intent(), &drained, &alone(grant(DEV))).risk_score, 30);
}
