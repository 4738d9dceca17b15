//! Every example keeps to the schema of its format, and what the reader refuses the schema mostly refuses too.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set its scene must fail"
)]

use std::{fs, path::Path};

use countersign_policy::{Format, Policy, schema};
use serde_json::Value as Json;

/// A slow, obvious validator of the words that our schemas use; another word is a failure of the test.
struct Schema<'a> {
    root: &'a Json,
}

impl Schema<'_> {
    fn accepts(&self, schema: &Json, value: &Json) -> bool {
        let words = schema.as_object().unwrap();
        words.iter().all(|(word, said)| match word.as_str() {
            "$ref" => {
                let name = said.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                self.accepts(&self.root["$defs"][name], value)
            }
            "type" => {
                let types = said.as_array().cloned().unwrap_or_else(|| vec![said.clone()]);
                types.iter().any(|kind| is(kind.as_str().unwrap(), value))
            }
            "enum" => said.as_array().unwrap().contains(value),
            "const" => said == value,
            "pattern" => value.as_str().is_none_or(|text| {
                regex::Regex::new(said.as_str().unwrap()).unwrap().is_match(text)
            }),
            "minimum" => value.as_i64().is_none_or(|number| number >= said.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= said.as_i64().unwrap()),
            "minItems" => value.as_array().is_none_or(|v| size(v.len()) >= said.as_u64()),
            "maxItems" => value.as_array().is_none_or(|v| size(v.len()) <= said.as_u64()),
            "minProperties" => value.as_object().is_none_or(|v| size(v.len()) >= said.as_u64()),
            "maxProperties" => value.as_object().is_none_or(|v| size(v.len()) <= said.as_u64()),
            "items" => {
                value.as_array().is_none_or(|v| v.iter().all(|item| self.accepts(said, item)))
            }
            "anyOf" => said.as_array().unwrap().iter().any(|one| self.accepts(one, value)),
            "oneOf" => {
                said.as_array().unwrap().iter().filter(|one| self.accepts(one, value)).count() == 1
            }
            "required" => value.as_object().is_none_or(|v| {
                said.as_array().unwrap().iter().all(|key| v.contains_key(key.as_str().unwrap()))
            }),
            "propertyNames" => value
                .as_object()
                .is_none_or(|v| v.keys().all(|key| self.accepts(said, &Json::from(key.as_str())))),
            // the members are looked at below
            "$schema"
            | "$defs"
            | "title"
            | "description"
            | "examples"
            | "properties"
            | "patternProperties"
            | "additionalProperties" => true,
            _ => panic!("the schema has the word `{word}`"),
        }) && self.members(schema, value)
    }

    fn members(&self, schema: &Json, value: &Json) -> bool {
        let Some(object) = value.as_object() else { return true };
        object.iter().all(|(key, value)| {
            let named = schema.get("properties").and_then(|p| p.get(key));
            let patterns = schema.get("patternProperties").and_then(Json::as_object);
            let matched = patterns
                .into_iter()
                .flatten()
                .find(|(pattern, _)| regex::Regex::new(pattern).unwrap().is_match(key));
            match (named.or(matched.map(|(_, schema)| schema)), schema.get("additionalProperties"))
            {
                (Some(own), _) => self.accepts(own, value),
                (None, Some(Json::Bool(more))) => *more,
                (None, Some(more)) => self.accepts(more, value),
                (None, None) => true,
            }
        })
    }
}

fn size(len: usize) -> Option<u64> {
    u64::try_from(len).ok()
}

fn is(kind: &str, value: &Json) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => panic!("the schema has the type `{kind}`"),
    }
}

/// YAML as an editor reads it.
fn yaml(text: &str) -> Json {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn accepts(format: Format, text: &str) -> bool {
    let root = schema(format);
    Schema { root: &root }.accepts(&root, &yaml(text))
}

#[test]
fn every_example_and_case_keeps_to_the_schema_of_its_format_alone() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in ["../../policies", "tests/cases"] {
        for entry in fs::read_dir(here.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let source = fs::read_to_string(&path).unwrap();
            let formats = Format::ALL.map(|(_, format)| format);
            let read = |format: &Format| Policy::from_format(*format, "p", &source, "p").is_ok();
            let format = formats.into_iter().find(read).unwrap();
            assert!(accepts(format, &source), "{} is not {}", path.display(), format.title());
            for other in formats.into_iter().filter(|other| *other != format) {
                assert!(!accepts(other, &source), "{} is {} too", path.display(), other.title());
            }
            count += 1;
        }
    }
    assert!(count > 12, "only {count} files were found");
}

#[test]
fn an_editor_underlines_what_the_reader_refuses() {
    let core = "policy: p\nkind: grant\n";
    let table = [
        (Format::Core, "kind: grant".to_owned()),
        (Format::Core, format!("{core}ruels: []")),
        (Format::Core, "policy: p\nkind: both".to_owned()),
        (Format::Core, format!("{core}rules: [{{ id: r, when: {{ recipient: x }}, then: allow }}]")),
        (Format::Core, format!("{core}rules: [{{ id: r, then: permit }}]")),
        (Format::Core, format!("{core}rules: [{{ id: r, then: allow, mode: root }}]")),
        (Format::Core, format!("{core}limits: [{{ id: l, per: tx, max: 1 }}]")),
        (Format::Core, format!("{core}limits: [{{ id: l, sum: usd, count: tx, per: tx, max: 1 }}]")),
        (Format::Core, format!("{core}limits: [{{ id: l, sum: usd, per: week, max: 1 }}]")),
        (Format::Core, format!("{core}gates: {{ g: {{ ttl: 2h }} }}")),
        (Format::Fields, "spend_limit_per_tx: 100".to_owned()),
        (Format::Fields, "blocked_selectors: [\"0x12\"]".to_owned()),
        (Format::Fields, "schedule: { days: [0], hours: [1] }".to_owned()),
        (Format::Pact, "policies: []".to_owned()),
        (Format::Pact, "policies: [{ name: p, type: swap, rules: {} }]".to_owned()),
        (Format::Pact, "policies: [{ name: p, type: transfer, rules: { deny_if: { usage_limits: { rolling_2h: {} } } } }]".to_owned()),
        (Format::JsonLogic, "rules: [{ rule_id: R, if: { cat: [1] }, then: { allow: true } }]".to_owned()),
        (Format::JsonLogic, "rules: [{ rule_id: R, then: { allow: yes please } }]".to_owned()),
    ];
    for (format, source) in table {
        assert!(
            Policy::from_format(format, "p", &source, "p").is_err(),
            "the reader takes {source}"
        );
        assert!(!accepts(format, &source), "the schema takes {source}");
    }
    let fields = [
        (
            Format::Core,
            format!(
                "{core}rules: [{{ id: r, when: {{ context.a.b: {{ gt: 1 }}, usd: {{ lte: 5 }} }}, then: allow }}]"
            ),
        ),
        (Format::Fields, "{}".to_owned()),
    ];
    for (format, source) in fields {
        assert!(accepts(format, &source), "{source}");
    }
}
