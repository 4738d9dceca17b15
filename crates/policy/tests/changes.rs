//! What `policy import` writes is read again as the same version; what `policy diff` calls a tightening narrows.
#![expect(clippy::panic, reason = "a test that cannot set its scene must fail")]

use std::{fs, path::Path};

use countersign_policy::{DiffClass, Format, Policy, diff, import};

#[test]
fn what_is_imported_is_the_same_version_with_the_same_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in ["tests/cases", "../../policies"] {
        for found in fs::read_dir(root.join(folder)).unwrap() {
            let path = found.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let source = fs::read_to_string(&path).unwrap();
            let policy = Policy::parse(&source, &name).unwrap_or_else(|errors| panic!("{errors}"));
            let Some(format) = [Format::Fields, Format::Pact, Format::JsonLogic, Format::Core]
                .into_iter()
                .find(|format| Policy::from_format(*format, policy.name(), &source, &name).is_ok())
            else {
                panic!("{name} is in no format");
            };
            let written = import(format, policy.name(), &source, &name).unwrap();
            let again = Policy::parse(&written, "written.yaml")
                .unwrap_or_else(|errors| panic!("{name}: {errors}\n{written}"));
            assert_eq!(again.id(), policy.id(), "{name}\n{written}");
            assert_eq!(again.run_tests().len(), policy.run_tests().len(), "{name}");
            assert_eq!(again.guidance(), policy.guidance(), "{name}");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} files were found");
}

#[test]
fn every_text_of_a_mandate_survives_the_way() {
    for text in [
        "be kind",
        "two\nlines",
        "ends\n",
        "ends twice\n\n",
        "  indented\nfirst",
        "# not a comment\n- nor a list: \"x\"",
        "tab\there\nand there",
        "quote \" and \\ and é\n… end",
        "trailing \nspace",
        "\nbegins empty",
        "cr\r\nlf",
    ] {
        let fields = serde_json::json!({ "guard_rules": text }).to_string();
        let written = import(Format::Fields, "bot", &fields, "bot.json").unwrap();
        let again = Policy::parse(&written, "w.yaml").unwrap_or_else(|e| panic!("{e}\n{written}"));
        assert_eq!(again.guidance(), Some(text), "{written}");
        assert_eq!(again.id(), Policy::from_fields("bot", &fields, "x").unwrap().id(), "{written}");
    }
}

const OLD: &str = r#"
policy: p
kind: grant
for: { agent: bot, chains: [1, 8453] }
expires: 2027-01-31T00:00:00Z
sets: { payees: ["0x1111111111111111111111111111111111111111", "0x2222222222222222222222222222222222222222"] }
gates: { desk: { need: [{ any: 1, of: [alice, bob] }], ttl: 2h, drift: { fee: 25% } } }
rules:
  - { id: pay, when: { kind: transfer, to: "@payees", usd: { lte: 500 } }, then: allow }
  - { id: trade, when: { kind: call, fn: "swap(address token,uint256 amount)" }, spend: { token: args.token, amount: args.amount }, then: allow }
  - { id: night, when: { kind: [transfer, call], not: { hours: { from: "08:00", to: "20:00" } } }, then: { approve: desk } }
  - { id: burn, when: { kind: transfer, to: "0x000000000000000000000000000000000000dEaD" }, then: deny }
limits:
  - { id: tx, sum: usd, per: tx, max: 500 }
  - { id: day, sum: usd, per: 24h, by: [to], max: 1000 }
  - { id: many, when: { kind: transfer }, count: tx, per: 1h, max: 5, over: { approve: desk } }
"#;

fn class(from: &str, to: &str) -> (DiffClass, String) {
    let parse =
        |text: &str| Policy::parse(text, "p.yaml").unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert!(OLD.contains(from), "{from}");
    let found = diff(&parse(OLD), &parse(&OLD.replace(from, to)));
    let words = found.changes.iter().map(|c| format!("{}: {}: {}", c.class, c.what, c.text));
    (found.class, words.collect::<Vec<_>>().join("\n"))
}

/// What is replaced by what, and a part of what is told.
const TIGHTENINGS: &[(&str, &str, &str)] = &[
    (
        "max: 500 }",
        "max: 400 }",
        "tightening: limit tx: at most 500 USD per transaction [per_tx_limit_exceeded] -> at most 400 USD",
    ),
    (
        "2027-01-31",
        "2027-01-30",
        "tightening: expires: 2027-01-31T00:00:00Z -> 2027-01-30T00:00:00Z",
    ),
    (
        "chains: [1, 8453]",
        "chains: [1]",
        "tightening: for: agent bot; any wallet; chain 1, 8453 -> agent bot; any wallet; chain 1",
    ),
    (
        "usd: { lte: 500 }",
        "usd: { lt: 500 }",
        "tightening: rule pay: now asks usd: {\"lt\":\"500\"}; no longer asks",
    ),
    (
        "usd: { lte: 500 }",
        "usd: { lte: 500 }, token: usdc@1",
        "rule pay: now asks token: \"usdc@1\"",
    ),
    (
        ", \"0x2222222222222222222222222222222222222222\"",
        "",
        "tightening: rule pay: matches otherwise, through a set that it names",
    ),
    (
        "kind: [transfer, call], not",
        "kind: [transfer, call, deploy], not",
        "tightening: rule night",
    ),
    (
        "{ approve: desk } }\n  - { id: burn",
        "deny }\n  - { id: burn",
        "tightening: rule night: it asks the gate `desk` (1 of alice/bob, 2h), and now it denies",
    ),
    ("any: 1, of: [alice, bob]", "any: 2, of: [alice, bob]", "tightening: rule night"),
    ("of: [alice, bob]", "of: [alice]", "tightening: limit many"),
    ("ttl: 2h", "ttl: 2h, delay: 5m", "tightening"),
    ("fee: 25%", "fee: 20%", "tightening"),
    ("per: 24h", "per: 7d", "tightening: limit day"),
    (", by: [to]", "", "tightening: limit day"),
    (
        "count: tx, per: 1h, max: 5, over: { approve: desk }",
        "count: tx, per: 1h, max: 5",
        "tightening: limit many",
    ),
    ("id: many, when: { kind: transfer }, ", "id: many, ", "tightening: limit many"),
    (
        "  - { id: burn",
        "  - { id: more, when: { kind: call }, then: deny }\n  - { id: burn",
        "tightening: rule more: is new: it denies",
    ),
    (
        "limits:",
        "limits:\n  - { id: month, sum: usd, per: month, max: 9 }",
        "tightening: limit month: is new",
    ),
    ("then: deny }", "then: deny, mode: destructive }", "tightening: rule burn"),
    ("sets:", "mandate: be careful\nsets:", "tightening: mandate"),
    // a new id of a denial: the old one lives on in it
    ("id: burn", "id: ashes", "same: rule burn: is gone: it denies"),
    ("sets:", "lasts: 1d\nsets:", "tightening: lasts: none -> 1d"),
];

const LOOSENINGS: &[(&str, &str, &str)] = &[
    ("max: 500 }", "max: 501 }", "loosening: limit tx"),
    ("2027-01-31", "2027-02-01", "loosening: expires"),
    ("expires: 2027-01-31T00:00:00Z\n", "", "loosening: expires: 2027-01-31T00:00:00Z -> none"),
    ("chains: [1, 8453]", "chains: [1, 8453, 10]", "loosening: for"),
    (", chains: [1, 8453]", "", "loosening: for"),
    ("usd: { lte: 500 }", "usd: { lte: 501 }", "loosening: rule pay"),
    (", usd: { lte: 500 }", "", "loosening: rule pay: no longer asks usd"),
    ("policy: p\n", "policy: q\n", "loosening: policy: p -> q"),
    (
        "\"0x2222222222222222222222222222222222222222\"",
        "\"0x3333333333333333333333333333333333333333\"",
        "same: set payees: +\"0x3333333333333333333333333333333333333333\" -\"0x2222222222222222222222222222222222222222\"",
    ),
    (
        "  - { id: burn, when: { kind: transfer, to: \"0x000000000000000000000000000000000000dEaD\" }, then: deny }\n",
        "",
        "loosening: rule burn: is gone: it denies",
    ),
    ("kind: [transfer, call], not", "kind: [transfer], not", "loosening: rule night"),
    ("from: \"08:00\"", "from: \"07:00\"", "loosening: rule night"),
    ("any: 1, of: [alice, bob]", "any: 1, of: [alice, bob, carol]", "loosening"),
    ("ttl: 2h", "ttl: 3h", "loosening"),
    ("fee: 25%", "fee: 30%", "loosening"),
    ("per: 24h", "per: 1h", "loosening: limit day"),
    ("per: 24h", "per: day", "loosening: limit day"),
    ("by: [to]", "by: [to, token]", "loosening: limit day"),
    (
        "id: many, when: { kind: transfer }, ",
        "id: many, when: { kind: transfer, to: \"@payees\" }, ",
        "loosening: limit many",
    ),
    ("id: day", "id: daily", "loosening: limit day: is gone"),
    (
        "  - { id: burn",
        "  - { id: more, when: { kind: approve }, then: allow }\n  - { id: burn",
        "loosening: rule more: is new: it allows",
    ),
    (
        "spend: { token: args.token, amount: args.amount }, ",
        "spend: none, ",
        "loosening: rule trade",
    ),
];

const SAME: &[(&str, &str, &str)] = &[
    ("max: 500 }", "max: \"500.00\" }", ""),
    ("max: 500 }", "max: 500, code: too_much }", "same: limit tx"),
    (
        "then: deny }",
        "then: deny, code: no_burning }",
        "same: rule burn: its code was rule_denied and is no_burning",
    ),
    ("limits:\n  - { id: tx", "limits:\n  # a comment\n  - { id: tx", ""),
    (
        "  - { id: burn",
        "  - { id: pay-2, when: { kind: transfer, to: \"@payees\", usd: { lte: 9 } }, then: allow }\n  - { id: burn",
        "same: rule pay-2: is new",
    ),
];

#[test]
fn a_change_is_a_tightening_only_where_its_shape_proves_it() {
    let mut wrong = Vec::new();
    let tables = [
        (DiffClass::Tightening, TIGHTENINGS),
        (DiffClass::Loosening, LOOSENINGS),
        (DiffClass::Same, SAME),
    ];
    for (expected, table) in tables {
        for (from, to, told) in table {
            let (found, words) = class(from, to);
            if found != expected || !words.contains(told) {
                wrong.push(format!("{from} -> {to}: {found}, not {expected}\n{words}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn less_of_an_allow_that_counts_a_call_is_no_tightening_beside_one_that_counts_it_for_less() {
    let beside = OLD.replace(
        "  - { id: burn",
        "  - { id: free, when: { kind: call }, spend: none, then: allow }\n  - { id: burn",
    );
    let trade = "  - { id: trade, when: { kind: call, fn: \"swap(address token,uint256 amount)\" }, spend: { token: args.token, amount: args.amount }, then: allow }\n";
    let parse = |text: &str| Policy::parse(text, "p.yaml").unwrap_or_else(|e| panic!("{e}"));
    assert!(beside.contains(trade));
    let found = diff(&parse(&beside), &parse(&beside.replace(trade, "")));
    assert_eq!(found.class, DiffClass::Loosening, "{found:?}");
    let found = diff(&parse(OLD), &parse(&OLD.replace(trade, "")));
    assert_eq!(found.class, DiffClass::Tightening, "{found:?}");
}

#[test]
fn a_guard_narrows_where_it_covers_more() {
    let guard = |scope: &str| {
        let text = format!(
            "policy: g\nkind: guard\n{scope}rules: [{{ id: d, when: {{ kind: call }}, then: deny }}]"
        );
        Policy::parse(&text, "g.yaml").unwrap()
    };
    let (one, all) = (guard("for: { wallets: [ops-1] }\n"), guard(""));
    assert_eq!(diff(&one, &all).class, DiffClass::Tightening);
    assert_eq!(diff(&all, &one).class, DiffClass::Loosening);
    assert_eq!(diff(&all, &all).class, DiffClass::Same);
    assert!(diff(&all, &all).changes.is_empty());
}

/// A rule that names a function allows, of a registered contract, what no other rule can: narrower words, more allowed.
#[test]
fn to_name_a_function_is_no_tightening() {
    let named = OLD.replace("{ kind: call, fn: \"swap(address token,uint256 amount)\" }, spend: { token: args.token, amount: args.amount }", "{ kind: call, target: \"0x1111111111111111111111111111111111111111\" WHAT }, spend: none");
    let parse = |what: &str| Policy::parse(&named.replace(" WHAT", what), "p.yaml").unwrap();
    let (bare, selector) = (parse(""), parse(", selector: \"0xaaaaaaaa\""));
    let valued = parse(", value_wei: 0");
    assert_eq!(diff(&bare, &valued).class, DiffClass::Tightening);
    assert_eq!(diff(&bare, &selector).class, DiffClass::Loosening);
    assert_eq!(diff(&selector, &bare).class, DiffClass::Loosening);
}

#[test]
fn a_file_of_another_kind_is_called_what_it_is() {
    let fields = "spend_limit_per_day_usd: 5\n";
    let pact = "policies:\n- { name: p, type: transfer, rules: {} }\n";
    let bundle = "rule_id: R\nthen: { allow: true }\n";
    let core = "policy: p\nkind: guard\n";
    let configuration = "app: default\nchains: []\nwallets: []\nagents: []\n";
    for (format, source, expected) in [
        (Format::Pact, fields, "this is agent policy fields, not a pact; import it from fields"),
        (Format::Fields, pact, "this is a pact, not agent policy fields; import it from pact"),
        (Format::Pact, bundle, "this is a JsonLogic bundle, not a pact; import it from jsonlogic"),
        (Format::JsonLogic, core, "this is the core language, not a JsonLogic bundle"),
        (Format::Fields, configuration, "this is a gateway's configuration, not a policy"),
        (Format::Fields, "spend_limit_per_day: 5\n", "there is no field `spend_limit_per_day`"),
    ] {
        let told = import(format, "p", source, "p.yaml").unwrap_err().to_string();
        assert!(told.contains(expected), "{format} {source}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let told = Policy::parse(&"[".repeat(50), "p.yaml").unwrap_err().to_string();
    assert!(told.contains("the file is nested too deep; at most 24 levels"), "{told}");
}
