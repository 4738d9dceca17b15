//! What a policy file must not say, with the place and the advice.

use countersign_policy::Policy;

const HEAD: &str = "policy: p\nkind: grant\n";

fn errors(source: &str) -> String {
    match Policy::parse(source, "p.yaml") {
        Ok(_) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

/// One line of a rule's `when`, in a file that is otherwise right.
fn when(condition: &str) -> String {
    format!("{HEAD}rules:\n  - {{ id: r, when: {condition}, then: allow }}\n")
}

/// A `when`, and what is told about it.
const CONDITIONS: &[(&str, &str)] = &[
    ("{ kind: transfer, recipient: self }", "p.yaml:4:38: there is no field `recipient`"),
    ("{ kind: transfer, sim.x: 1 }", "p.yaml:4:38: there is no field `sim.x`"),
    ("{ kind: transfers }", "`transfers` is not what belongs here; expected a kind"),
    ("{ kind: call, to: self }", "call has no field `to`; it is a field of transfer"),
    ("{ kind: [transfer, call], to: self }", "call has no field `to`"),
    ("{ kind: deploy, target: self }", "deploy has no field `target`"),
    ("{ kind: transfer, unlimited: true }", "transfer has no field `unlimited`"),
    ("{ not: { kind: transfer }, amount: 1 }", "has no field `amount`"),
    ("{ to: self, spender: self }", "no kind has all of these fields"),
    (
        "{ usd: { lt: 0.5 } }",
        "p.yaml:4:33: `0.5` is a float, and floats are not exact; quote it: \"0.5\"",
    ),
    (
        "{ usd: { lt: 1e3 } }",
        "`1e3` is a float, and floats are not exact; write it in digits: 1000",
    ),
    ("{ usd: { lt: -2.50E-1 } }", "quote it: \"-0.25\""),
    ("{ amount: { lt: 1e+21 } }", "write it in digits: 1000000000000000000000"),
    ("{ amount: { lt: 5.0 } }", "write it in digits: 5"),
    ("{ amount: { lt: 1e99 } }", "`1e99` is a float, and floats are not exact; write it in digits"),
    ("{ usd: { lt: .inf } }", "`.inf` is a float"),
    ("{ usd: { lt: \"1e3\" } }", "`1e3` is not a decimal amount"),
    ("{ usd: { lt: \"0.0000001\" } }", "has more than 6 decimals"),
    ("{ usd: { lt: -1 } }", "`-1` is not a decimal amount"),
    ("{ amount: { lt: -1 } }", "expected a whole number"),
    ("{ amount: { lt: 0x } }", "expected a whole number"),
    ("{ amount: 1_000 }", "expected a whole number"),
    (
        "{ amount: 115792089237316195423570985008687907853269984665640564039457584007913129639936 }",
        "expected a whole number",
    ),
    ("{ to: 0x1111111111111111111111111111111111111111 }", "is not quoted"),
    ("{ to: \"0x111111111111111111111111111111111111111\" }", "is not an address"),
    ("{ to: \"1111111111111111111111111111111111111111\" }", "must be quoted and begin with 0x"),
    ("{ to: \"0x2626664c2603336E57B271c5C0b26F421741e48f\" }", "wrong checksum"),
    ("{ to: vitalik.eth }", "is not an address"),
    ("{ to: \"@nobody\" }", "there is no set `@nobody`; define it under `sets:`"),
    ("{ to: { in: [\"@nobody\"] } }", "there is no set `@nobody`"),
    ("{ token: usdc }", "expected a token as token@chain"),
    ("{ token: usdc@base }", "expected a token as token@chain"),
    ("{ selector: \"0x095ea7\" }", "expected a selector"),
    ("{ gas: { matches: \"^1\" } }", "`matches` cannot be asked of a whole number"),
    ("{ to: { gt: self } }", "`gt` cannot be asked of an address"),
    ("{ usd: { below: 3 } }", "`below` cannot be asked of an amount of USD"),
    ("{ usd: {} }", "nothing is asked here"),
    ("{ usd: { between: [3, 2] } }", "the first bound lies above the second"),
    ("{ usd: { between: [3] } }", "`between` takes two bounds"),
    ("{ session: { matches: \"(\" } }", "is not a pattern that can be used"),
    ("{ session: { matches: \"a{1000}{1000}\" } }", "is not a pattern that can be used"),
    ("{ session: { matches: \"(?=a)\" } }", "without look-around"),
    ("{ unlimited: \"maybe\" }", "expected true or false"),
    ("{ args.x: 1 }", "`args.x` needs `fn`"),
    ("{ fn: \"f(uint256 y)\", args.x: 1 }", "`f(uint256)` has no argument `x`"),
    ("{ fn: \"f(uint256 y\" }", "is not a function signature"),
    ("{ fn: [\"f(uint256 y)\", \"g(address y)\"], args.y: 1 }", "do not agree about `args.y`"),
    ("{ fn: \"f(address[] y)\", args.y: self }", "expected a list matcher"),
    (
        "{ fn: \"f(address[] y)\", args.y: { first: self } }",
        "here one may ask any, every, none, count",
    ),
    ("{ fn: \"f(uint256 y)\", args.y: { any: 1 } }", "`any` cannot be asked of"),
    ("{ now: { lt: tomorrow } }", "expected an instant"),
    ("{ balance_share: { lt: 50 } }", "expected a percentage"),
    ("{ hours: { tz: Mars/Olympus } }", "`Mars/Olympus` is not a time zone"),
    ("{ hours: { days: monday } }", "`monday` is not a day"),
    ("{ hours: { days: [8] } }", "`8` is not an ISO day"),
    ("{ hours: { from: \"8:00\", to: \"20:00\" } }", "`8:00` is not a time of day"),
    ("{ hours: { from: \"08:00\" } }", "belong together"),
    ("{ hours: { from: \"08:00\", to: \"24:30\" } }", "`24:30` is not a time of day"),
    ("{ any: [] }", "a list of conditions is expected"),
    ("[1]", "a condition must be a mapping"),
    ("{ to: null }", "expected an address"),
];

#[test]
fn a_condition_that_cannot_be_meant_is_refused_where_it_stands() {
    let mut wrong = Vec::new();
    for (condition, expected) in CONDITIONS {
        let told = errors(&when(condition));
        if !told.contains(*expected) || !told.starts_with("p.yaml:4:") {
            wrong.push(format!("{condition}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file, and what is told about it.
const FILES: &[(&str, &str)] = &[
    ("kind: grant", "p.yaml:1:1: `policy` is missing"),
    ("policy: p", "`kind` is missing"),
    ("policy: p\nkind: both", "p.yaml:2:7: `kind` must be `grant` or `guard`"),
    ("policy: p q\nkind: grant", "`p q` is not a name"),
    ("policy: p\nkind: grant\nruels: []", "p.yaml:3:1: a policy has no key `ruels`"),
    ("policy: p\nkind: grant\nrules: {}", "`rules` must be a list"),
    ("policy: p\nkind: grant\nfor: { agents: [a] }", "`for` has no key `agents`"),
    ("policy: p\nkind: grant\nfor: { agent: Bot }", "`Bot` is not a name"),
    ("policy: p\nkind: grant\nexpires: never", "`never` is not an instant"),
    ("policy: p\nkind: grant\nsets: { s: 1 }", "set `s` is not a list"),
    ("policy: p\nkind: grant\ngates: { g: {} }", "`need` is missing"),
    ("policy: p\nkind: grant\ngates: { g: { need: [] } }", "gate `g` needs nobody"),
    (
        "policy: p\nkind: grant\ngates: { g: { need: [{ any: 0, of: [a] }] } }",
        "gate `g` would open by itself",
    ),
    (
        "policy: p\nkind: grant\ngates: { g: { need: [{ any: 1, of: [] }] } }",
        "gate `g` would open by itself",
    ),
    (
        "policy: p\nkind: grant\ngates: { g: { need: [{ any: 2, of: [a, a] }] } }",
        "`a` is named twice",
    ),
    (
        "policy: p\nkind: grant\ngates: { g: { need: [{ any: 1, of: [a] }], ttl: 5m, delay: 10m } }",
        "can never be passed in time",
    ),
    (
        "policy: p\nkind: grant\ngates: { g: { need: [{ any: 1, of: [a] }], drift: { fee: 0.25 } } }",
        "`0.25` is a float",
    ),
    ("policy: p\nkind: grant\nrules: [{ id: r, then: maybe }]", "`then` must be allow, deny or"),
    ("policy: p\nkind: grant\nrules: [{ id: r, then: { approve: g } }]", "there is no gate `g`"),
    ("policy: p\nkind: grant\nrules: [{ then: allow }]", "`id` is missing"),
    (
        "policy: p\nkind: grant\nrules: [{ id: r, then: allow }, { id: r, then: deny }]",
        "the id `r` is used twice",
    ),
    (
        "policy: p\nkind: grant\nrules: [{ id: r, then: allow, spend: none }]",
        "this `spend` is for rules about `call` or `typed_data` only",
    ),
    (
        "policy: p\nkind: grant\nrules: [{ id: r, when: { kind: call, fn: \"f(uint256 a)\" }, then: allow, spend: { token: args.a, amount: args.a } }]",
        "`args.a` is not an argument of the rule's `fn` of this type",
    ),
    ("policy: p\nkind: grant\nrules: [{ id: r, then: allow, code: x }]", "an allow has no code"),
    ("policy: p\nkind: guard\nrules: [{ id: r, then: allow }]", "a guard may only deny"),
    ("policy: p\nkind: guard\nexpires: 2030-01-01T00:00:00Z", "remove `expires`"),
    ("policy: p\nkind: grant\nlimits: [{ id: l, per: tx, max: 1 }]", "a limit counts one thing"),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: eth, per: tx, max: 1 }]",
        "a limit counts one thing",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: usd, per: week, max: 1 }]",
        "`week` is not a window",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: usd, per: 0s, max: 1 }]",
        "`0s` is not a window",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: usd, per: 24h, tz: UTC, max: 1 }]",
        "`tz` means nothing for `per: 24h`",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: usd, per: day, max: 10000000000 }]",
        "too large to count exactly",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: usd, per: tx, by: [to], max: 1 }]",
        "`by` splits a window",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, sum: usd, per: day, by: [colour], max: 1 }]",
        "cannot be split by `colour`",
    ),
    (
        "policy: p\nkind: grant\nlimits: [{ id: l, count: tx, per: day, max: 1, over: warn }]",
        "`over` must be deny or",
    ),
    ("policy: p\nkind: grant\norder: [limits]", "`order` must be"),
    (
        "policy: p\nkind: grant\ntests: [{ name: t, given: { colour: red }, expect: allow }]",
        "`given` has no key `colour`",
    ),
    ("policy: p\nkind: grant\ntests: [{ name: t, given: {}, expect: yes }]", "`expect` must be"),
    (
        "policy: p\nkind: grant\ntests: [{ name: t, given: {}, expect: allow }]",
        "p.yaml:3:9: test `t` fails: it expects allow, and the policy says deny: no_rule_allows",
    ),
];

#[test]
fn a_file_that_cannot_be_meant_is_refused_where_it_stands() {
    for (source, expected) in FILES {
        let told = errors(source);
        assert!(told.contains(*expected), "{source}: {told}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let source = "policy: p\nkind: grand\nsets: { s: [\"0x1\"] }\nrules:\n  - { id: a, when: { to: \"@s\" }, then: allow }\n  - { id: b, when: { colour: red }, then: deny }\nlimits:\n  - { id: c, sum: usd, per: tx, max: 0.5 }\n";
    let told = errors(source);
    let lines: Vec<&str> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["p.yaml:2:7", "p.yaml:3:13", "p.yaml:6:22", "p.yaml:8:38"], "{told}");
}

#[test]
fn what_is_only_suspicious_is_a_warning() {
    let table = [
        (
            "rules: [{ id: a, when: { kind: transfer }, then: allow }, { id: b, when: { kind: transfer }, then: deny }]",
            "rule `a` has no effect: `b` denies all of it",
        ),
        (
            "rules: [{ id: a, then: allow }, { id: b, when: { chain: 1 }, then: allow }]",
            "rule `b` adds nothing: `a` allows all of it",
        ),
        (
            "rules: [{ id: a, when: { to: { in: [] } }, then: allow }]",
            "rule `a` never matches: a list in it is empty",
        ),
        (
            "rules: [{ id: a, then: allow }, { id: b, when: { to: { not_in: [self] } }, then: deny }]",
            "rule `b` says nothing about approve, revoke, call, deploy",
        ),
        (
            "rules: [{ id: a, when: { session: { matches: x } }, then: allow }]",
            "matches anywhere in the text",
        ),
        (
            "rules: [{ id: a, when: { kind: transfer }, then: allow }]\nlimits: [{ id: l, when: { kind: deploy }, count: tx, per: 1h, max: 1 }]",
            "limit `l` never counts",
        ),
        (
            "rules: [{ id: a, then: allow }]\nlimits: [{ id: l, sum: usd, per: 1h, by: [session], max: 1 }]",
            "split by what the agent calls its session",
        ),
        (
            "rules: [{ id: a, then: allow }]\ngates: { g: { need: [{ any: 1, of: [a] }] } }",
            "nothing asks the gate `g`",
        ),
        ("rules: [{ id: a, then: allow }]\nsets: { s: [1] }", "nothing uses the set `s`"),
        (
            "rules: [{ id: a, then: allow }]\ngates: { g: { need: [{ any: 3, of: [a, b] }] } }",
            "needs 3 persons of 2 names",
        ),
        ("rules: []", "the grant `p` allows nothing"),
        (
            "rules: [{ id: a, then: allow }]\ngates: { g: { need: [{ any: 1, of: [a] }] } }\nlimits: [{ id: l, sum: usd, per: tx, max: 9, over: { approve: g } }, { id: h, sum: usd, per: tx, max: 9 }]",
            "limit `l` is never asked: `h` denies first",
        ),
    ];
    for (rest, expected) in table {
        let policy = Policy::parse(&format!("{HEAD}{rest}"), "p.yaml").unwrap();
        let told: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|line| line.contains(expected)), "{rest}: {told:?}");
    }
}

#[test]
fn fields_are_as_strict_as_the_language() {
    let table = [
        ("{\"spend_limit_per_day\": 1000}", "a policy has no key `spend_limit_per_day`"),
        (
            "{\"fields\": {\"spend_limit_per_day\": 1000}}",
            "there is no field `spend_limit_per_day`",
        ),
        ("{\"spend_limit_per_tx_usd\": -1}", "`-1` is not a decimal amount"),
        ("{\"spend_limit_per_tx_usd\": 1e2}", "best in quotes"),
        ("{\"spend_limit_per_tx_usd\": 1e2}", "write it in digits: 100"),
        ("{\"spend_limit_per_tx_usd\": 1.5e-1}", "quote it: \"0.15\""),
        ("{\"spend_limit_per_tx_usd\": 9007199254740993.5}", "is too large to count exactly"),
        ("{\"max_value_wei\": 1e18}", "write it in digits: 1000000000000000000"),
        ("{\"max_gas_limit\": 21000.0}", "write it in digits: 21000"),
        ("{\"schedule\": {\"days\": [1], \"hours\": [\"+9\"]}}", "a list of numbers from 0 to 23"),
        ("{\"schedule\": {\"days\": [1.0], \"hours\": [9]}}", "a list of numbers from 1 to 7"),
        ("{\"spend_limit_per_tx_usd\": 0.0000001}", "more than 6 decimals"),
        ("{\"spend_limit_per_tx_usd\": true}", "is not a decimal amount"),
        (
            "{\"allowed_addresses\": [\"0x2626664c2603336E57B271c5C0b26F421741e48f\"]}",
            "right checksum",
        ),
        ("{\"allowed_addresses\": \"all\"}", "`allowed_addresses` is not a list"),
        ("{\"blocked_selectors\": [\"095ea7b3\"]}", "is not a list of selectors"),
        ("{\"max_gas_limit\": \"1.5\"}", "`max_gas_limit` is not a whole number"),
        ("{\"max_value_wei\": \"0xzz\"}", "`max_value_wei` is not a whole number"),
        ("{\"schedule\": {\"days\": [1]}}", "`schedule` needs days and hours"),
        ("{\"schedule\": {\"days\": [0], \"hours\": [1]}}", "a list of numbers from 1 to 7"),
        ("{\"schedule\": {\"days\": [1], \"hours\": [24]}}", "a list of numbers from 0 to 23"),
        ("{\"risk_scan_enabled\": \"no\"}", "is not true or false"),
        ("{\"fields\": {}, \"rules\": []}", "there is no key `rules` beside `fields`"),
        ("{\"spend_limit_per_tx_usd\": 1, \"spend_limit_per_tx_usd\": 2}", "appears twice"),
    ];
    for (source, expected) in table {
        let told = errors(source);
        assert!(told.contains(expected), "{source}: {told}");
    }
}

#[test]
fn fields_keep_every_digit_and_the_defaults_of_a_new_agent() {
    let maxima = |source: &str| -> Vec<String> {
        let policy = Policy::from_fields("bot", source, "bot.json").unwrap();
        policy.limits().map(|limit| format!("{} {} {}", limit.code, limit.per, limit.max)).collect()
    };
    let defaults = ["per_tx_limit_exceeded tx 100", "daily_quota_exceeded day 1000"];
    assert_eq!(maxima("{}"), defaults);
    assert_eq!(
        maxima("{\"spend_limit_per_tx_usd\": 100.5, \"spend_limit_per_month_usd\": \"0.000001\"}"),
        [
            "per_tx_limit_exceeded tx 100.5",
            "daily_quota_exceeded day 1000",
            "monthly_quota_exceeded month 0.000001",
        ]
    );
    assert_eq!(
        maxima("{\"spend_limit_per_tx_usd\": null, \"spend_limit_per_day_usd\": null}"),
        [""; 0]
    );
    let standard = Policy::default_fields("bot");
    assert_eq!(standard.name(), "bot");
    assert_eq!(standard.id(), Policy::from_fields("bot", "{}", "x").unwrap().id());
    assert_eq!(
        Policy::parse("{\"risk_scan_enabled\": true}", "a/bot.json").unwrap().id(),
        standard.id()
    );
    assert_eq!(standard.gates(), [Policy::default_gate("bot")]);
    let again = Policy::parse(&standard.canonical_json(), "canonical.json").unwrap();
    assert_eq!(again.id(), standard.id());
    assert_eq!(again.limits().collect::<Vec<_>>(), standard.limits().collect::<Vec<_>>());
}

#[test]
fn free_text_is_kept_and_is_part_of_the_version_because_a_judge_may_read_it() {
    let with = Policy::from_fields("bot", "{\"guard_rules\": \"be kind\"}", "x").unwrap();
    assert_eq!(with.guidance(), Some("be kind"));
    assert_ne!(with.id(), Policy::default_fields("bot").id());
    let again = Policy::parse(&with.canonical_json(), "again.json").unwrap();
    assert_eq!((again.guidance(), again.id()), (with.guidance(), with.id()));
}
