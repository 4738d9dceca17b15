//! JsonLogic bundles: what the accepted operators come to, what is refused, and what a bundle does.
#![expect(clippy::panic, reason = "a test that cannot set its scene must fail")]

use countersign_policy::{Policy, TestOutcome};

/// The most that 256 bits hold, and one less.
const MOST: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
const LESS: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639934";

fn outcome(rules: &str, given: &str) -> TestOutcome {
    let source = format!(
        "policy: p\nrules: {rules}\ntests: [{{ name: t, given: {given}, expect: allow }}]\n"
    );
    let policy =
        Policy::parse_untested(&source, "p.yaml").unwrap_or_else(|e| panic!("{e}\n{source}"));
    policy.run_tests().remove(0)
}

/// True, false, or `None` for unknown: an allow needs truth, a denial only the possibility.
fn value(expression: &str, given: &str) -> Option<bool> {
    let allow = format!("[{{ rule_id: R, if: {expression}, then: {{ allow: true }} }}]");
    let deny = format!(
        "[{{ rule_id: A, then: {{ allow: true }} }}, {{ rule_id: R, if: {expression}, then: {{ allow: false }} }}]"
    );
    match (outcome(&allow, given).passed, outcome(&deny, given).passed) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
        (true, true) => panic!("{expression} is both true and false"),
    }
}

/// Results as JsonLogic publishes them, where the types of the operands match.
const PUBLISHED: &[(&str, Option<bool>)] = &[
    // literals
    (r#"{"==": [1, 1]}"#, Some(true)),
    (r#"{"==": [1, 2]}"#, Some(false)),
    (r#"{"===": [1, 1]}"#, Some(true)),
    (r#"{"!=": [1, 2]}"#, Some(true)),
    (r#"{"!=": [1, 1]}"#, Some(false)),
    (r#"{"!==": ["a", "b"]}"#, Some(true)),
    (r#"{">": [2, 1]}"#, Some(true)),
    (r#"{">": [1, 1]}"#, Some(false)),
    (r#"{">": [1, 2]}"#, Some(false)),
    (r#"{">=": [2, 1]}"#, Some(true)),
    (r#"{">=": [1, 1]}"#, Some(true)),
    (r#"{"<": [2, 1]}"#, Some(false)),
    (r#"{"<": [1, 2]}"#, Some(true)),
    (r#"{"<=": [1, 1]}"#, Some(true)),
    (r#"{"<": [1, 2, 3]}"#, Some(true)),
    (r#"{"<": [1, 1, 3]}"#, Some(false)),
    (r#"{"<": [1, 4, 3]}"#, Some(false)),
    (r#"{"<=": [1, 2, 3]}"#, Some(true)),
    (r#"{"<=": [1, 1, 3]}"#, Some(true)),
    (r#"{"<=": [1, 4, 3]}"#, Some(false)),
    (r#"{"<": [0.1, 0.2]}"#, Some(true)),
    (r#"{"==": [0.30, 0.3]}"#, Some(true)),
    (r#"{"!": [false]}"#, Some(true)),
    (r#"{"!": true}"#, Some(false)),
    (r#"{"!!": [true]}"#, Some(true)),
    (r#"{"or": [true, true]}"#, Some(true)),
    (r#"{"or": [false, true]}"#, Some(true)),
    (r#"{"or": [false, false]}"#, Some(false)),
    (r#"{"and": [true, true]}"#, Some(true)),
    (r#"{"and": [true, false]}"#, Some(false)),
    (r#"{"and": [false]}"#, Some(false)),
    (r#"{"if": [true, true, false]}"#, Some(true)),
    (r#"{"if": [false, true, false]}"#, Some(false)),
    (r#"{"?:": [true, false, true]}"#, Some(false)),
    (r#"{"if": [false, true, true, false, true]}"#, Some(false)),
    (r#"{"if": [false, true]}"#, Some(false)),
    (r#"{"in": ["Bart", ["Bart", "Homer"]]}"#, Some(true)),
    (r#"{"in": ["Milhouse", ["Bart", "Homer"]]}"#, Some(false)),
    (r#"{"in": ["Spring", "Springfield"]}"#, Some(true)),
    (r#"{"in": ["i", "team"]}"#, Some(false)),
    // values
    (r#"{"==": [{"var": "user.role"}, "trader"]}"#, Some(true)),
    (r#"{"==": ["trader", {"var": "user.role"}]}"#, Some(true)),
    (r#"{"!=": [{"var": "user.role"}, "trader"]}"#, Some(false)),
    (r#"{"in": [{"var": ["user.role"]}, ["desk", "trader"]]}"#, Some(true)),
    (r#"{"in": ["rad", {"var": "user.role"}]}"#, Some(true)),
    (r#"{"in": ["r.d", {"var": "user.role"}]}"#, Some(false)),
    (r#"{"in": [{"var": "user.role"}, []]}"#, Some(false)),
    (r#"{">": [{"var": "request.context.a"}, 4]}"#, Some(true)),
    (r#"{">": [{"var": "request.context.a"}, 5]}"#, Some(false)),
    (r#"{"<": [5, {"var": "request.context.a"}]}"#, Some(false)),
    (r#"{"<=": [5, {"var": "request.context.a"}]}"#, Some(true)),
    (r#"{"<": [1, {"var": "request.context.a"}, 10]}"#, Some(true)),
    (r#"{"<": [5, {"var": "request.context.a"}, 10]}"#, Some(false)),
    (r#"{"<": [{"var": "request.context.n.d"}, 2.5]}"#, Some(true)),
    (r#"{"==": [{"var": "request.context.b"}, "x"]}"#, Some(true)),
    (r#"{"var": "request.context.t"}"#, Some(true)),
    (r#"{"!": [{"var": "request.context.f"}]}"#, Some(true)),
    (r#"{"!": {"!": [{"var": "request.context.t"}]}}"#, Some(true)),
    (
        r#"{"if": [{"==": [{"var": "user.role"}, "desk"]}, false, {">": [{"var": "request.context.a"}, 1]}]}"#,
        Some(true),
    ),
    (
        r#"{"and": [{">": [{"var": "request.context.a"}, 1]}, {"<": [{"var": "request.context.a"}, 3]}]}"#,
        Some(false),
    ),
    // what is missing, and what is said in another type, is unknown
    (r#"{"==": [{"var": "request.context.none"}, 1]}"#, None),
    (r#"{"!=": [{"var": "request.context.none"}, 1]}"#, None),
    (r#"{"!": [{"var": "request.context.none"}]}"#, None),
    (r#"{">": [{"var": "request.context.b"}, 1]}"#, None),
    (r#"{"==": [{"var": "request.context.b"}, 1]}"#, None),
    (r#"{"!=": [{"var": "request.context.a"}, "x"]}"#, None),
    (r#"{"var": "request.context.a"}"#, None),
    (r#"{"or": [{"var": "request.context.none"}, true]}"#, Some(true)),
    (r#"{"and": [{"var": "request.context.none"}, false]}"#, Some(false)),
    (r#"{"or": [{"var": "request.context.none"}, {"var": "request.context.f"}]}"#, None),
];

#[test]
fn accepted_operators_have_the_published_results() {
    let c = "{ context: { a: 5, b: \"x\", t: true, f: false, n: { d: 2 } }, role: trader }";
    let mut wrong = Vec::new();
    for (expression, expected) in PUBLISHED {
        let got = value(expression, c);
        if got != *expected {
            wrong.push(format!("{expression}: {got:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn amounts_that_a_double_cannot_hold_are_compared_exactly() {
    let more = |name: &str, than: &str, given: &str| {
        value(&format!("{{\">\": [{{\"var\": \"{name}\"}}, {than}]}}"), given)
    };
    for quote in ["", "\""] {
        let q = |number: &str| format!("{quote}{number}{quote}");
        let context = |number: &str| format!("{{ context: {{ n: {} }} }}", q(number));
        let amount = |number: &str| format!("{{ token: usdc@1, amount: {number}, usd: 0 }}");
        for (high, low) in [("9007199254740993", "9007199254740992"), (MOST, LESS)] {
            let name = "request.context.n";
            assert_eq!(more(name, &q(low), &context(high)), Some(true), "{high}");
            assert_eq!(more(name, &q(high), &context(high)), Some(false), "{high}");
            assert_eq!(more(name, &q(high), &context(low)), Some(false), "{high}");
            assert_eq!(more("amount", &q(low), &amount(high)), Some(true), "{high}");
            assert_eq!(more("amount", &q(high), &amount(high)), Some(false), "{high}");
            assert_eq!(more("request.amount", &q(high), &amount(low)), Some(false), "{high}");
        }
    }
    assert_eq!(more("usd", "0.30", "{ usd: \"0.300001\" }"), Some(true));
    assert_eq!(more("usd", "0.300001", "{ usd: \"0.300001\" }"), Some(false));
}

#[test]
fn what_is_not_in_the_whitelist_is_refused_where_it_stands() {
    let table = [
        (r#"{"+": [1, 2]}"#, "`+` calculates"),
        (r#"{">": [{"+": [{"var": "usd"}, 1]}, 2]}"#, "a value is expected here"),
        (r#"{"missing": ["a"]}"#, "what is missing is unknown"),
        (r#"{"cat": ["a", "b"]}"#, "the operator `cat` is not known; operators are var, =="),
        (r#"{"map": [1, 2]}"#, "the operator `map` is not known"),
        (r#"{"log": "x"}"#, "the operator `log` is not known"),
        (
            r#"{"==": [{"var": "usd"}, "many"]}"#,
            "values of different types are compared; here belongs an amount",
        ),
        (r#"{"===": [{"var": "gas"}, "5"]}"#, "values of different types are compared"),
        (r#"{"==": [{"var": "user.role"}, 5]}"#, "values of different types are compared"),
        (r#"{"==": [1, "1"]}"#, "values of different types are compared"),
        (r#"{"==": [1, true]}"#, "values of different types are compared"),
        (r#"{"==": [{"var": "usd"}, {"var": "fee_usd"}]}"#, "not known beforehand"),
        (r#"{"==": [{"var": "usd"}, null]}"#, "`null` is no value"),
        (r#"{">": [{"var": "usd"}, 1e3]}"#, "`1e3` is not a plain decimal number"),
        (r#"{">": [{"var": "usd"}, 1.25e3]}"#, "write it in digits: 1250"),
        (r#"{"in": [{"var": "usd"}, [5e-1]]}"#, "quote it: \"0.5\""),
        (r#"{">": [{"var": "usd"}, 9007199254740993]}"#, "is too large to count exactly"),
        (r#"{">": [{"var": "usd"}, 0.0000001]}"#, "has more than 6 decimals"),
        (r#"{">": [{"var": "amount"}, 0.5]}"#, "expected a whole number"),
        (r#"{">": [{"var": "amount"}, -1]}"#, "expected a whole number"),
        (r#"{">": [{"var": "user.role"}, "a"]}"#, "has no order"),
        (r#"{">": [1, 2, 3]}"#, "two values are expected here"),
        (r#"{"var": ["user.role", "desk"]}"#, "a default would make a missing value known"),
        (
            r#"{"==": [{"var": "user.name"}, "bob"]}"#,
            "there is no value `user.name`; an agent has user.role",
        ),
        (r#"{"==": [{"var": "request.amuont"}, 5]}"#, "there is no value `request.amuont`"),
        (r#"{"==": [{"var": "args.x"}, 5]}"#, "arguments need `fn`"),
        (r#"{"==": [{"var": "to"}, "@set"]}"#, "values of different types"),
        (r#"{"==": [{"var": "to"}, "0x11"]}"#, "is not an address"),
        (r#"{"var": "usd"}"#, "neither true nor false"),
        (r#"{"and": []}"#, "a list of conditions is expected"),
        (r#"{"and": [true], "or": [true]}"#, "a condition with one operator"),
        ("5", "a condition with one operator"),
    ];
    let mut wrong = Vec::new();
    for (expression, expected) in table {
        let source =
            format!("rules:\n- rule_id: R\n  if: {expression}\n  then: {{ allow: true }}\n");
        let told = match Policy::parse(&source, "p.yaml") {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        };
        if !told.contains(expected) || !told.starts_with("p.yaml:3:") {
            wrong.push(format!("{expression}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused() {
    let table = [
        ("rule_id: R\nthen: {}", "`then` says nothing"),
        ("rule_id: R\nthen: { allow: yes }", "`allow` must be true or false"),
        (
            "rule_id: R\nthen: { allow: true, approval_mode: root }",
            "`root` is not an approval mode",
        ),
        (
            "rule_id: R\nthen: { allow: false, requires_approval_gate: G }",
            "what is never allowed cannot be approved",
        ),
        (
            "rule_id: R\nthen: { allow: true, arg_constraints: { usd: {} } }",
            "nothing constrains `usd`",
        ),
        (
            "rule_id: R\nthen: { allow: true, arg_constraints: { a: { min: 1 } } }",
            "has no key `min`",
        ),
        ("rule_id: R\nunless: 1\nthen: { allow: true }", "a rule has no key `unless`"),
        (
            "rule_id: R\nthen: { allow: true, arg_constraints: { order_id: { enum: [a] } } }",
            "no fact is called `order_id`; name a fact (usd, units, currency, token, to, args.NAME with `fn` ..), or write `request.context.order_id` if",
        ),
        (
            "rule_id: R\nthen: { allow: true, arg_constraints: { context.amount: { max: 1 } } }",
            "no fact is called `context.amount`",
        ),
        (
            "rule_id: R\nif: { \">\": [{ var: amount_usd }, 5] }\nthen: { allow: true }",
            "there is no value `amount_usd`",
        ),
        (
            "rule_id: R\nthen: { allow: true, arg_constraints: { refund_amount: { max: 1e3 } } }",
            "`1e3` is a float, and floats are not exact; write it in digits: 1000",
        ),
        (
            "rule_id: R\nthen: { allow: true, arg_constraints: { request.context.x: { enum: [1e3] } } }",
            "`1e3` is a float, and floats are not exact; write it in digits: 1000",
        ),
        ("rule_id: R.1\nthen: { allow: true }", "the `rule_id` `R.1` is not a name"),
        (
            "rules: [{ rule_id: R, then: { allow: true } }]\nversion: 2",
            "a bundle has no key `version`",
        ),
        (
            "rules: [{ rule_id: R, then: { allow: true } }, { rule_id: R, then: { allow: true } }]",
            "the id `R` is used twice",
        ),
    ];
    for (source, expected) in table {
        let told = match Policy::parse(source, "p.yaml") {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        };
        assert!(told.contains(expected), "{source}: {told}");
    }
}

/// The rule of the seed, as it is printed there.
const SEED: &str = r#"{
  "rule_id": "R_HIGH_VALUE_REQUIRES_APPROVAL",
  "applies_to": { "intent": "support.refund" },
  "if": {
    "and": [
      { "==": [{ "var": "user.role" }, "support_agent"] },
      { ">": [{ "var": "request.context.refund_amount" }, 3000] }
    ]
  },
  "then": {
    "allow": true,
    "approval_mode": "destructive",
    "requires_approval_gate": "GATE_FINANCE_APPROVAL",
    "arg_constraints": {
      "refund_amount": { "max": 3000, "unless_approved": true },
      "currency": { "enum": ["INR"] }
    }
  },
  "decision_binding": "support.refund.execute"
}"#;

#[test]
fn the_rule_of_the_seed_asks_for_its_gate_and_binds_its_decision() {
    let alone = Policy::parse(SEED, "refunds.json").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(alone.name(), "refunds");
    assert_eq!(alone.gates()[0].id, "GATE_FINANCE_APPROVAL");
    let told: Vec<String> = alone.warnings().iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|text| text.contains("the gate `GATE_FINANCE_APPROVAL` is not defined")),
        "{told:?}"
    );
    assert!(told.iter().any(|text| text.contains("by what the agent says of itself")), "{told:?}");
    let listed = Policy::parse(&format!("[{SEED}]"), "refunds.json").unwrap();
    assert_eq!(listed.id(), alone.id());

    let given = |context: &str, more: &str| {
        format!(
            "{{ action: support.refund, token: inr@137, usd: 1, role: support_agent, context: {context}{more} }}"
        )
    };
    let said = "{ refund_amount: 3001, currency: INR }";
    let of = |token: &str, usd: u32, units: u32| {
        let amount = format!("{units}000000000000000000");
        format!(
            "{{ action: support.refund, token: {token}, usd: {usd}, amount: {amount}, role: support_agent, context: {said} }}"
        )
    };
    let table = [
        (given("{ refund_amount: 3001, currency: INR }", ""), "park: approval_required at GATE_FINANCE_APPROVAL"),
        (given("{ refund_amount: 3001, currency: INR }", ", approved: [GATE_FINANCE_APPROVAL]"), "allow"),
        // what an agent calls its currency is not what it sends
        (given("{ refund_amount: 3001, currency: EUR }", ", approved: [GATE_FINANCE_APPROVAL]"), "allow"),
        (of("inr@137", 35, 3000), "park: approval_required at GATE_FINANCE_APPROVAL"),
        (of("usdc@137", 35, 35), "deny: rule_denied"),
        ("{ kind: call, action: support.refund, usd: 1, role: support_agent, context: { refund_amount: 3001, currency: INR } }".into(), "deny: rule_denied"),
        (given("{ refund_amount: 3000, currency: INR }", ""), "deny: no_rule_allows"),
        (given("{ currency: INR }", ""), "deny: no_rule_allows"),
        ("{ action: support.refund, token: inr@137, usd: 1, context: { refund_amount: 3001, currency: INR } }".into(), "deny: no_rule_allows"),
        ("{ action: other, token: inr@137, usd: 1, role: support_agent, context: { refund_amount: 3001, currency: INR } }".into(), "deny: no_rule_allows"),
    ];
    for (given, expected) in table {
        let source =
            format!("{{ rules: [{SEED}], tests: [{{ name: t, given: {given}, expect: allow }}] }}");
        let policy = Policy::parse_untested(&source, "p.yaml").unwrap_or_else(|e| panic!("{e}"));
        let got = policy.run_tests().remove(0).got;
        assert!(got.starts_with(expected), "{given}: {got}");
    }
}

/// Whether a rule that bounds an argument lets a request through.
fn bounded(argument: &str, bound: &str, given: &str) -> String {
    let rules = format!(
        "[{{ rule_id: R, then: {{ allow: true, arg_constraints: {{ {argument}: {bound} }} }} }}]"
    );
    outcome(&rules, given).got
}

#[test]
fn a_bounded_argument_is_what_the_transaction_does_and_never_what_the_agent_says() {
    let lie = "context: { amount_usd: 1, refund_amount: 1, currency: USDC, units: 1, usd: 1 }";
    for (argument, bound, fits, breaks) in [
        ("amount_usd", "{ max: 500 }", "usd: 500", "usd: \"500.000001\""),
        ("refund_amount", "{ max: 500 }", "usd: 500", "usd: 501"),
        ("totalValue", "{ max: \"0.5\" }", "usd: \"0.5\"", "usd: 1"),
        ("usd", "{ max: 500 }", "usd: 500", "usd: unknown"),
        (
            "units",
            "{ max: \"1.5\" }",
            "amount: 1500000000000000000, usd: 0",
            "amount: 1500000000000000001, usd: 0",
        ),
        ("amount", "{ max: 500 }", "amount: 500, usd: 0", "amount: 501, usd: 0"),
        ("currency", "{ enum: [USDC] }", "usd: 1", "usd: 1, token: inr@1"),
        ("currency", "{ enum: [USDC] }", "usd: 1", "usd: 1, kind: call"),
        ("to", "{ enum: [self] }", "usd: 1, to: self", "usd: 1, kind: approve, unlimited: false"),
        ("request.context.order", "{ enum: [A-7] }", "usd: 1, context: { order: A-7 }", "usd: 1"),
    ] {
        let given = |of: &str| {
            let token =
                if of.contains("token:") || of.contains("call") { "" } else { ", token: usdc@1" };
            let said = if of.contains("context:") { String::new() } else { format!(", {lie}") };
            format!("{{ {of}{token}{said} }}")
        };
        assert_eq!(bounded(argument, bound, &given(fits)), "allow", "{argument} {fits}");
        let got = bounded(argument, bound, &given(breaks));
        assert!(got.starts_with("deny: rule_denied"), "{argument} {breaks}: {got}");
    }
}

#[test]
fn a_number_keeps_every_digit_that_a_double_would_lose() {
    let source = r#"[{
        "rule_id": "R",
        "if": {"<": [{"var": "amount"}, 9007199254740993]},
        "then": {"allow": true, "arg_constraints": {
            "units": {"max": 0.1000000000000000055},
            "request.context.x": {"enum": [12345678901234567890.125]}
        }}
    }]"#;
    let core = Policy::parse(source, "bundle.json").unwrap().canonical_json();
    for digits in ["9007199254740993", "0.1000000000000000055", "12345678901234567890.125"] {
        assert!(core.contains(&format!("\"{digits}\"")), "{digits}: {core}");
    }
}
