//! The tests inside a policy file: an imagined request, and what must come of it.

mod given;

use std::{borrow::Cow, collections::BTreeMap};

use countersign_core::{
    charge::{Charge, Overrun, Reading},
    fact::Facts,
    intent::Intent,
};

use crate::{
    decide::{Assumed, OTHERS, judge},
    decision::{Outcome, counter_verdicts},
    diagnostic::Place,
    judge::JUDGE,
    model::Model,
    policy::{Policies, Policy, TestOutcome},
    read::Reader,
    source::Node,
};

const CASES_MAX: usize = 1000;

/// One test.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) place: Place,
    given: Given,
    expect: Expect,
}

/// An imagined request.
#[derive(Debug)]
struct Given {
    intent: Intent,
    facts: Facts,
    assumed: Assumed,
    /// What the counters of these limits show.
    used: BTreeMap<String, u64>,
}

/// What must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expect {
    Allow,
    Deny { code: Option<String> },
    Park { code: Option<String>, gate: Option<String> },
}

/// Reads the `tests` of a file.
pub(crate) fn read(root: &Node, reader: &mut Reader<'_>) -> Vec<Case> {
    let Some(node) = root.get("tests").filter(|node| !node.is_null()) else { return Vec::new() };
    let Some(items) = node.list() else {
        reader.findings.error(node.place, "`tests` must be a list", "begin each entry with `-`");
        return Vec::new();
    };
    if items.len() > CASES_MAX {
        reader.findings.error(
            node.place,
            format!("{} tests are too many", items.len()),
            "at most 1000",
        );
    }
    let scope = root.get("for");
    items.iter().take(CASES_MAX).filter_map(|item| case(item, scope, reader)).collect()
}

fn case(node: &Node, scope: Option<&Node>, reader: &mut Reader<'_>) -> Option<Case> {
    reader.keys(node, "a test", &["name", "given", "expect"])?;
    let name = reader.required(node, "name").and_then(|name| reader.word(&name));
    let given = reader.required(node, "given").and_then(|g| given::read(&g, scope, reader));
    let expect = reader.required(node, "expect").and_then(|e| expect(&e, reader));
    Some(Case { name: name?, place: node.place, given: given?, expect: expect? })
}

fn expect(node: &Node, reader: &mut Reader<'_>) -> Option<Expect> {
    match node.text() {
        Some("allow") => return Some(Expect::Allow),
        Some("deny") => return Some(Expect::Deny { code: None }),
        Some("park" | "approve") => return Some(Expect::Park { code: None, gate: None }),
        Some(_) | None => {}
    }
    let Some(entries) = node.map().filter(|entries| !entries.is_empty()) else {
        reader.findings.error(
            node.place,
            "`expect` must be allow, deny, park, { deny: CODE }, { park: CODE } or { approve: GATE }",
            "",
        );
        return None;
    };
    if entries.iter().any(|entry| entry.key == "deny") {
        reader.keys(node, "`expect`", &["deny"])?;
        let code = node.get("deny").and_then(|code| reader.code(code))?;
        return Some(Expect::Deny { code: Some(code) });
    }
    reader.keys(node, "`expect`", &["park", "approve"])?;
    let code = node.get("park").and_then(|code| reader.code(code));
    let gate = node.get("approve").and_then(|gate| reader.gate_named(gate)).map(|gate| gate.id);
    Some(Expect::Park { code, gate })
}

/// Runs one test under the policies that it is for.
pub(crate) fn run(case: &Case, policies: &Policies) -> TestOutcome {
    let Given { intent, facts, assumed, used } = &case.given;
    let decision = judge(intent, &asked(facts, policies), policies, assumed);
    let outcome = match decision.outcome {
        Outcome::Deny(denial) => Outcome::Deny(denial),
        Outcome::Allow(permit) => match overruns(permit.charges(), used) {
            found if found.is_empty() => Outcome::Allow(permit),
            found => permit.overrun(&found),
        },
        Outcome::Park(hold) => match overruns(hold.charges(), used) {
            found if found.is_empty() => Outcome::Park(hold),
            found => hold.overrun(&found),
        },
    };
    TestOutcome {
        name: case.name.clone(),
        line: case.place.line,
        passed: case.expect.meets(&outcome),
        expected: case.expect.words(),
        got: words(&outcome),
    }
}

/// The facts with gates that are open to whatever asks them: a test says who has approved, not what was asked.
fn asked<'a>(facts: &'a Facts, policies: &Policies) -> Cow<'a, Facts> {
    if facts.approvals.is_empty() {
        return Cow::Borrowed(facts);
    }
    let policies = std::iter::once(&policies.grant).chain(&policies.guards);
    let models = policies.map(Policy::model);
    let ids = |model: &Model| {
        let rules = model.rules.iter().map(|rule| rule.id.clone());
        rules.chain(model.limits.iter().map(|limit| limit.id.clone())).collect::<Vec<_>>()
    };
    let mut asking: Vec<String> = models.flat_map(ids).collect();
    asking.extend([JUDGE, OTHERS].map(str::to_owned));
    let mut facts = facts.clone();
    for approval in &mut facts.approvals {
        approval.asked_by.clone_from(&asking);
    }
    Cow::Owned(facts)
}

fn overruns(charges: &[Charge], used: &BTreeMap<String, u64>) -> Vec<Overrun> {
    let reading = |charge: &Charge| Reading {
        settled: used.get(&charge.source.limit).copied().unwrap_or(0),
        ..Reading::default()
    };
    let readings: Vec<Reading> = charges.iter().map(reading).collect();
    counter_verdicts(charges, &readings).1
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Allow(_) => "allow".to_owned(),
        Outcome::Deny(denial) => format!("deny: {} ({})", denial.code, denial.reason),
        Outcome::Park(hold) => {
            let gates: Vec<&str> = hold.gates().iter().map(|gate| gate.id.as_str()).collect();
            format!("park: {} at {}", hold.code(), gates.join(", "))
        }
    }
}

impl Expect {
    fn meets(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Allow, Outcome::Allow(_)) => true,
            (Self::Deny { code }, Outcome::Deny(denial)) => {
                code.as_ref().is_none_or(|code| *code == denial.code)
            }
            (Self::Park { code, gate }, Outcome::Park(hold)) => {
                code.as_ref().is_none_or(|code| code == hold.code())
                    && gate.as_ref().is_none_or(|id| hold.gates().iter().any(|g| g.id == *id))
            }
            _ => false,
        }
    }

    fn words(&self) -> String {
        let shown =
            |code: &Option<String>| code.as_ref().map(|c| format!(": {c}")).unwrap_or_default();
        match self {
            Self::Allow => "allow".to_owned(),
            Self::Deny { code } => format!("deny{}", shown(code)),
            Self::Park { code, gate } => {
                let gate = gate.as_ref().map(|gate| format!(" at {gate}")).unwrap_or_default();
                format!("park{}{gate}", shown(code))
            }
        }
    }
}
