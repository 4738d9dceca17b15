//! Pacts: what is refused, what their life comes to, and when they begin.
#![expect(clippy::panic, reason = "a test that cannot set its scene must fail")]

use std::collections::BTreeMap;

use countersign_core::{
    identity::OperatorId,
    pact::{PactStanding, PactVerb, Word},
    time::{Millis, Timestamp},
};
use countersign_policy::{PactLife, PactState, Policy, pact_state};

const PACT: &str = r#"{
  "name": "dca",
  "intent": "Buy ether for 100 USD a week",
  "policies": [{ "name": "pay", "type": "transfer", "rules": { "when": { "chain_in": ["BASE_ETH"] } } }],
  "completion_conditions": [
    { "type": "tx_count", "threshold": "3" },
    { "type": "amount_spent_usd", "threshold": "500" },
    { "type": "time_elapsed", "threshold": "3600" }
  ],
  "expires_at": "2026-01-01T02:00:00Z"
}"#;

fn parse(text: &str) -> Policy {
    Policy::parse(text, "pact.json").unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_pact_that_lasts_asks_for_a_yes_unless_it_says_when_it_begins() {
    let pact = parse(PACT);
    assert_eq!((pact.name(), pact.starts(), pact.lasts()), ("dca", None, Some(Millis(3_600_000))));
    assert_eq!(pact.guidance(), Some("Buy ether for 100 USD a week"));
    assert!(pact.asks());
    let dated = PACT.replacen('{', r#"{ "starts": "2026-01-01T00:00:00Z","#, 1);
    assert!(!parse(&dated).asks());
    assert_eq!(parse(&dated).starts(), Some(at("2026-01-01T00:00:00Z")));
    let endless = PACT.replace(r#"{ "type": "time_elapsed", "threshold": "3600" }"#, "");
    let endless = endless.replace("\"500\" },", "\"500\" }");
    assert!(!parse(&endless).asks());
    let asking = parse(&endless.replacen('{', r#"{ "starts": "approved","#, 1));
    assert!(asking.asks());
    assert_eq!(asking.starts(), None);
    assert_eq!(parse(&asking.canonical_json()).id(), asking.id());
    assert_ne!(parse(&endless).id(), asking.id());
    let limits: Vec<String> =
        pact.limits().map(|l| format!("{} {} {} {}", l.id, l.per, l.max, l.code)).collect();
    assert_eq!(
        limits,
        [
            "completion-tx_count grant 3 grant_completed",
            "completion-amount_spent_usd grant 500 grant_completed"
        ]
    );
}

#[test]
fn a_guard_asks_for_no_yes() {
    let guard = "{ policy: g, kind: guard, starts: approved, rules: [{ id: a, when: { kind: deploy }, then: deny }] }";
    let told = Policy::parse(guard, "g.yaml").map(drop).unwrap_err().to_string();
    assert!(told.contains("has `starts`, and a guard always holds"), "{told}");
}

fn word(text: &str) -> Word {
    let by = OperatorId::parse("alice").unwrap_or_else(|error| panic!("{error}"));
    Word { by, at: at(text), note: None }
}

fn yes(text: &str) -> PactStanding {
    PactStanding::Approved { approved: word(text) }
}

fn no(text: &str) -> PactStanding {
    PactStanding::Rejected { rejected: word(text) }
}

fn over(approved: Option<&str>, revoked: &str) -> PactStanding {
    PactStanding::Revoked { approved: approved.map(word), revoked: word(revoked) }
}

type Life = (Option<PactStanding>, &'static str, u64, &'static str, PactState);

const BEGUN: &str = "2026-01-01T00:00:00Z";

/// What was said, what is settled on a limit, an instant, and the state that follows.
fn lives_before_an_end() -> Vec<Life> {
    let (count, amount) = ("completion-tx_count", "completion-amount_spent_usd");
    vec![
        (None, "", 0, "2026-01-01T00:10:00Z", PactState::PendingApproval),
        (None, "", 0, "2026-01-01T02:00:00Z", PactState::Expired),
        (Some(yes(BEGUN)), "", 0, "2026-01-01T00:59:59Z", PactState::Active),
        // the clocks of facts and of the word may differ by what it takes to read them
        (Some(yes(BEGUN)), "", 0, "2025-12-31T23:59:59Z", PactState::Active),
        (Some(yes(BEGUN)), count, 2, "2026-01-01T00:10:00Z", PactState::Active),
        (Some(yes(BEGUN)), count, 3, "2026-01-01T00:10:00Z", PactState::Completed),
        (Some(yes(BEGUN)), amount, 499_999_999, "2026-01-01T00:10:00Z", PactState::Active),
        (Some(yes(BEGUN)), amount, 500_000_000, "2026-01-01T00:10:00Z", PactState::Completed),
        (Some(yes(BEGUN)), "", 0, "2026-01-01T01:00:00Z", PactState::Completed),
        (Some(yes(BEGUN)), "", 0, "2026-01-01T03:00:00Z", PactState::Completed),
    ]
}

fn lives_after_one() -> Vec<Life> {
    let unborn = over(None, "2026-01-01T00:05:00Z");
    let ended = |at| Some(over(Some(BEGUN), at));
    let (early, late) = ("2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z");
    vec![
        (Some(unborn), "", 0, "2026-01-01T00:10:00Z", PactState::Revoked),
        (Some(no(BEGUN)), "", 0, "2026-01-01T00:10:00Z", PactState::Rejected),
        (Some(no(BEGUN)), "", 0, "2026-01-01T05:00:00Z", PactState::Rejected),
        (ended(early), "", 0, early, PactState::Revoked),
        (ended(early), "", 0, "2026-01-01T00:29:00Z", PactState::Revoked),
        (ended(early), "", 0, "2026-01-01T05:30:00Z", PactState::Revoked),
        (ended(late), "", 0, "2026-01-01T02:30:00Z", PactState::Completed),
        (ended(early), "completion-tx_count", 3, "2026-01-01T02:30:00Z", PactState::Completed),
    ]
}

#[test]
fn the_state_follows_from_what_was_said_the_counters_and_the_time() {
    let pact = parse(PACT);
    for (standing, limit, used, now, expected) in
        [lives_before_an_end(), lives_after_one()].concat()
    {
        let life = PactLife { standing, settled: BTreeMap::from([(limit.to_owned(), used)]) };
        assert_eq!(pact_state(&pact, &life, at(now)), expected, "{life:?} {now}");
    }
}

#[test]
fn what_ends_a_pact_first_stands() {
    let life = PactLife { standing: Some(yes(BEGUN)), ..PactLife::default() };
    let short = parse(&PACT.replace("02:00:00", "00:30:00"));
    let state = |now| pact_state(&short, &life, at(now));
    assert_eq!(state("2026-01-01T00:30:00Z"), PactState::Expired);
    assert_eq!(state("2026-01-01T05:00:00Z"), PactState::Expired);
    assert_eq!(PactState::PendingApproval.to_string(), "pending_approval");
}

#[test]
fn no_word_follows_a_no_or_an_end() {
    let at = "2026-01-01T00:00:00Z";
    let over = [over(None, at), over(Some(at), at)].map(Some);
    let spoken = [vec![None, Some(yes(at)), Some(no(at))], over.to_vec()].concat();
    let mut led = Vec::new();
    for (n, before) in spoken.iter().enumerate() {
        for verb in [PactVerb::Approve, PactVerb::Reject, PactVerb::Revoke] {
            if let Some(after) = verb.applied(before.as_ref(), word(at)) {
                assert_eq!(after.last().0, verb);
                led.push((n, verb.name()));
            }
        }
    }
    assert_eq!(led, [(0, "approve"), (0, "reject"), (0, "revoke"), (1, "revoke")]);
}

type Refused = Vec<(String, &'static str)>;

fn rules(rules: &str) -> String {
    format!("policies:\n- {{ name: p, type: transfer, rules: {rules} }}\n")
}

fn ends(ends: &str) -> String {
    format!(
        "policies: [{{ name: p, type: transfer, rules: {{}} }}]\ncompletion_conditions:\n- {ends}\n"
    )
}

fn refused_scopes() -> Refused {
    vec![
        ("completion_conditions: []".to_owned(), "`policies` is missing"),
        ("policies: []".to_owned(), "`policies` is missing"),
        (
            "policies: [{ name: p }]".to_owned(),
            "needs a `type`; it is transfer, contract_call or message_sign",
        ),
        ("policies: [{ name: p, type: swap, rules: {} }]".to_owned(), "needs a `type`"),
        (rules("{ deny: {} }"), "`rules` has no key `deny`"),
        (
            rules("{ effect: deny, review_if: {} }"),
            "`review_if` means nothing beside `effect: deny`",
        ),
        (
            rules("{ when: { chain_in: [MARS] } }"),
            "p.json:2:58: `MARS` is not a chain; write its chain id",
        ),
        (rules("{ when: { chain_in: [] } }"), "a list is expected here"),
        (
            rules("{ when: { target_in: [\"0x1111111111111111111111111111111111111111\"] } }"),
            "`target_in` does not belong to a policy of type transfer",
        ),
        (rules("{ when: { destination_address_in: [{ chain_id: 1 }] } }"), "`address` is missing"),
        (rules("{ when: { destination_address_in: [\"0x11\"] } }"), "is not an address"),
        (rules("{ when: { recipient: x } }"), "there is no field `recipient`"),
    ]
}

fn refused_terms() -> Refused {
    vec![
        (rules("{ deny_if: { amount_gt: 5 } }"), "whose decimals a pact does not say"),
        (rules("{ deny_if: { amount_usd_gt: many } }"), "is not a decimal amount"),
        (
            rules("{ deny_if: { usage_limits: { rolling_2h: {} } } }"),
            "`usage_limits` has no key `rolling_2h`",
        ),
        (
            rules("{ deny_if: { usage_limits: { rolling_1h: { tx_gt: 1 } } } }"),
            "`rolling_1h` has no key `tx_gt`",
        ),
        (rules("{ always_review: sometimes }"), "`always_review` must be true or false"),
        (ends("{ type: tx_count }"), "needs a type and a threshold"),
        (ends("{ type: blocks, threshold: 5 }"), "there is no completion condition `blocks`"),
        (
            ends("{ type: amount_spent, threshold: 5 }"),
            "there is no completion condition `amount_spent`",
        ),
        (ends("{ type: tx_count, threshold: 0 }"), "a threshold of nothing"),
        (ends("{ type: tx_count, threshold: 1 }\n- { tx_count: 2 }"), "`tx_count` is said twice"),
        (ends("{ type: tx_count, threshold: \"1.5\" }"), "expected a whole number"),
        (ends("{ type: tx_count, threshold: 1e1 }"), "write it in digits: 10"),
        (ends("{ type: amount_spent_usd, threshold: 2.5e-1 }"), "quote it: \"0.25\""),
        (ends("{ type: time_elapsed, threshold: 3600.0 }"), "is no whole number of seconds"),
        (ends("{ type: time_elapsed, threshold: 1e5 }"), "is no whole number of seconds"),
        (rules("{ deny_if: { amount_usd_gt: 1e3 } }"), "write it in digits: 1000"),
        (rules("{ deny_if: { amount: { gt: 1e18 } } }"), "write it in digits: 1000000000000000000"),
        (
            rules("{ review_if: { usage_limits: { rolling_24h: { tx_count_gt: 1e2 } } } }"),
            "write it in digits: 100",
        ),
    ]
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    let table = [refused_scopes(), refused_terms()].concat();
    let mut wrong = Vec::new();
    for (source, expected) in table {
        let told = match Policy::parse(&source, "p.json") {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        };
        if !told.contains(expected) {
            wrong.push(format!("{source}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a pact for messages says of one.
fn of_message(rules: &str, given: &str) -> String {
    let source = format!(
        "policies: [{{ name: sign, type: message_sign, rules: {rules} }}]\ntests: [{{ name: t, given: {given}, expect: allow }}]\n"
    );
    let pact =
        Policy::parse_untested(&source, "p.yaml").unwrap_or_else(|e| panic!("{e}\n{source}"));
    pact.run_tests().remove(0).got
}

#[test]
fn a_pact_for_messages_denies_and_asks_by_what_the_message_is() {
    let order = "{ kind: typed_data, via: signature, primary_type: Order, usd: 0 }";
    let mail = "{ kind: typed_data, via: signature, primary_type: Mail, domain: { name: Post }, message: { size: 9 }, usd: 0 }";
    let text = "{ kind: text, via: signature, text: hello, usd: 0 }";
    for (rules, given, expected) in [
        ("{ deny_if: { primary_type_in: [Order] } }", order, "deny: rule_denied"),
        ("{ deny_if: { primary_type_in: [Order] } }", mail, "allow"),
        ("{ deny_if: { primary_type_in: [Order] } }", text, "allow"),
        (
            "{ review_if: { domain_match: [{ param_name: name, op: eq, value: Post }] } }",
            mail,
            "park: approval_required",
        ),
        (
            "{ deny_if: { message_match: [{ param_name: size, op: gt, value: 8 }] } }",
            mail,
            "deny: rule_denied",
        ),
        ("{ deny_if: { text: { matches: \"^hello$\" } } }", text, "deny: rule_denied"),
        ("{ deny_if: { text: { matches: \"^hello$\" } } }", mail, "allow"),
        ("{ when: { primary_type_in: [Mail] } }", mail, "allow"),
        ("{ when: { primary_type_in: [Mail] } }", order, "deny: no_rule_allows"),
        ("{ when: { primary_type_in: [Mail] } }", text, "deny: no_rule_allows"),
    ] {
        let got = of_message(rules, given);
        assert!(got.starts_with(expected), "{rules} {given}: {got}");
    }
}
