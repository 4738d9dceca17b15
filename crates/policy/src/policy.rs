//! A policy: parsed, linted, compiled, immutable.

use std::{collections::BTreeSet, fmt, sync::Arc};

use alloy_primitives::Address;
use countersign_core::{
    abi::AbiFunction,
    approval::{Gate, Quorum},
    identity::{AgentId, ChainId, PolicyId, WalletId},
    time::{Millis, Timestamp},
};

use crate::{
    diagnostic::{Diagnostic, Findings, PolicyErrors},
    front_end::{Format, is_configuration},
    inline_test,
    model::{Model, Per, Then},
    read,
    scope::{Kind, Scope},
    source::{self, Node},
};

/// A policy as it was read: immutable, and cheap to clone.
#[derive(Clone)]
pub struct Policy(Arc<Model>);

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {})", self.0.name, self.0.id)
    }
}

impl Policy {
    /// Reads a policy, in the core language or through any front end, and runs the tests in it.
    ///
    /// Strict: whatever is not understood is an error, and all errors are told at once. A file whose own tests
    /// fail is refused.
    pub fn parse(source: &str, file_name: &str) -> Result<Self, PolicyErrors> {
        Self::parse_untested(source, file_name)?.tested(file_name)
    }

    /// As [`Policy::parse`], but tests are only read, not run; see [`Policy::run_tests`].
    pub fn parse_untested(source: &str, file_name: &str) -> Result<Self, PolicyErrors> {
        Self::read(None, &stem(file_name), source, file_name)
    }

    /// Reads a policy of this format and no other; its name is `name` where it states none. Runs its tests.
    pub fn from_format(
        format: Format,
        name: &str,
        source: &str,
        file_name: &str,
    ) -> Result<Self, PolicyErrors> {
        Self::read(Some(format), name, source, file_name)?.tested(file_name)
    }

    /// As [`Policy::from_format`], but tests are only read, not run.
    pub fn untested_from_format(
        format: Format,
        name: &str,
        source: &str,
        file_name: &str,
    ) -> Result<Self, PolicyErrors> {
        Self::read(Some(format), name, source, file_name)
    }

    fn read(
        format: Option<Format>,
        name: &str,
        source: &str,
        file_name: &str,
    ) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(file_name);
        let Some(root) = source::read(source, &mut findings) else {
            return Err(findings.into_errors());
        };
        if is_configuration(&root) {
            let hint = "name one of the files that it lists under `agents` and `guards`";
            findings.error(root.place, "this is a gateway's configuration, not a policy", hint);
            return Err(findings.into_errors());
        }
        let format = format.unwrap_or_else(|| Format::of(&root));
        match format.compile(&root, name, &mut findings) {
            Some(core) => Self::built(&core, source, findings),
            None => Err(findings.into_errors()),
        }
    }

    /// Reads agent policy fields as the policy of a name. Runs the tests beside them, if there are any.
    pub fn from_fields(name: &str, fields: &str, file_name: &str) -> Result<Self, PolicyErrors> {
        Self::from_format(Format::Fields, name, fields, file_name)
    }

    /// The policy of a new agent: 100 USD per transaction, 1000 USD per day, risk scan, any address.
    #[must_use]
    pub fn default_fields(agent: &str) -> Self {
        let name = if read::is_id(agent) { agent } else { "default-fields" };
        // INVARIANT: the defaults are a valid policy under every valid name; a test loads them. Were they not, the
        // agent would have a policy that allows nothing.
        Self::from_fields(name, "fields: {}", "default").unwrap_or_else(|_| Self::nothing(name))
    }

    fn nothing(name: &str) -> Self {
        Self(Arc::new(Model::nothing(name)))
    }

    fn built(root: &Node, source: &str, mut findings: Findings) -> Result<Self, PolicyErrors> {
        match read::policy(root, source, &mut findings) {
            Some(model) => {
                let warnings = findings.take_warnings();
                Ok(Self(Arc::new(Model { warnings, ..model })))
            }
            None => Err(findings.into_errors()),
        }
    }

    fn tested(self, file_name: &str) -> Result<Self, PolicyErrors> {
        let mut findings = Findings::new(file_name);
        for (case, outcome) in self.0.tests.iter().zip(self.run_tests()) {
            if !outcome.passed {
                findings.error(
                    case.place,
                    format!(
                        "test `{}` fails: it expects {}, and the policy says {}",
                        outcome.name, outcome.expected, outcome.got
                    ),
                    "change the rule or the test",
                );
            }
        }
        if findings.has_errors() { Err(findings.into_errors()) } else { Ok(self) }
    }

    pub(crate) fn model(&self) -> &Model {
        &self.0
    }

    /// Its name: stays the same from version to version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its version: the SHA-256 of [`Policy::canonical_json`].
    #[must_use]
    pub fn id(&self) -> PolicyId {
        self.0.id
    }

    /// Grant or guard.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whom it is for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// When a grant ends; from then on it denies everything.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.expires
    }

    /// When a grant begins, where that is said.
    #[must_use]
    pub fn starts(&self) -> Option<Timestamp> {
        self.0.starts
    }

    /// How long after its beginning a grant is completed.
    #[must_use]
    pub fn lasts(&self) -> Option<Millis> {
        self.0.lasts
    }

    /// Whether a grant allows nothing before people say yes to it.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.0.asks
    }

    /// Its gates, in the order of the file.
    #[must_use]
    pub fn gates(&self) -> &[Gate] {
        &self.0.gates
    }

    /// The gate that front ends ask where nothing else is said: any one operator who may approve.
    #[must_use]
    pub fn default_gate(policy: &str) -> Gate {
        Gate {
            policy: policy.to_owned(),
            id: "owner".to_owned(),
            need: vec![Quorum { any: 1, of: vec![Quorum::ANYONE.to_owned()] }],
            in_order: false,
            sign: Vec::new(),
            ttl: read::TTL,
            delay: Millis::ZERO,
            drift_fee_bps: Some(read::DRIFT_FEE_BPS),
            drift_usd_bps: None,
        }
    }

    /// Its rules, in the order of the file.
    pub fn rules(&self) -> impl Iterator<Item = RuleView<'_>> {
        self.0.rules.iter().map(|rule| RuleView {
            id: &rule.id,
            line: rule.place.line,
            code: &rule.code,
            then: match &rule.then {
                Then::Allow => "allow".to_owned(),
                Then::Deny => "deny".to_owned(),
                Then::Approve(gate) => format!("approve: {}", gate.id),
            },
        })
    }

    /// Its limits, in the order of the file.
    pub fn limits(&self) -> impl Iterator<Item = LimitView<'_>> {
        self.0.limits.iter().map(|limit| LimitView {
            id: &limit.id,
            code: &limit.code,
            per: limit.per.word(),
            max: crate::overrun::shown(crate::sentence::unit(limit.measure), limit.max),
            is_window: limit.per != Per::Transaction,
        })
    }

    /// The functions that its rules read, each with the one contract that its rule insists on: what the
    /// decoder must know so that the rules can match.
    #[must_use]
    pub fn functions(&self) -> Vec<(Option<Address>, AbiFunction)> {
        let mut functions: Vec<(Option<Address>, AbiFunction)> = Vec::new();
        for named in self.0.rules.iter().flat_map(|rule| &rule.functions) {
            if !functions.contains(named) {
                functions.push(named.clone());
            }
        }
        functions
    }

    /// The tokens that it names (`usdc@8453`, in lower case): all must be in the configuration.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.0.tokens.clone()
    }

    /// The operators and groups that its gates name, without [`Quorum::ANYONE`].
    #[must_use]
    pub fn operators(&self) -> Vec<String> {
        let clauses = self.0.gates.iter().flat_map(|gate| &gate.need);
        let people = clauses.flat_map(|quorum| &quorum.of).filter(|name| *name != Quorum::ANYONE);
        people.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What the linter would like to be otherwise.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.0.warnings
    }

    /// The policy in the core language as JSON with sorted keys and without tests: all that can change a
    /// judgement, and nothing else. It can be parsed again, and is then the same version.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        self.0.canonical.clone()
    }

    /// The text that it was read from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Free text for approvers and for the judge that may read it (`mandate`, `guard_rules`). No rule depends on it.
    #[must_use]
    pub fn guidance(&self) -> Option<&str> {
        self.0.guidance.as_deref()
    }

    /// Runs the tests in the file, in their order. A grant is tested alone, a guard beside a grant that allows
    /// everything.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestOutcome> {
        let policies = match self.kind() {
            Kind::Grant => Policies { grant: self.clone(), guards: Vec::new() },
            Kind::Guard => Policies { grant: everything(), guards: vec![self.clone()] },
        };
        self.0.tests.iter().map(|case| inline_test::run(case, &policies)).collect()
    }
}

/// A grant that allows everything: what guards are tested against.
fn everything() -> Policy {
    const SOURCE: &str = "{ policy: everything, kind: grant, rules: [{ id: all, then: allow }, \
        { id: of-others, when: { from: { ne: self } }, then: allow }] }";
    Policy::parse_untested(SOURCE, "everything").unwrap_or_else(|_| Policy::nothing("everything"))
}

/// The name of a policy that has none of its own: that of its file.
fn stem(file_name: &str) -> String {
    let file = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let stem = file.split('.').next().unwrap_or(file);
    if read::is_id(stem) { stem.to_owned() } else { "policy".to_owned() }
}

/// A rule, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleView<'a> {
    /// Its id.
    pub id: &'a str,
    /// Where it stands in the file.
    pub line: u32,
    /// What a denial or a park by it is called; empty for an allow.
    pub code: &'a str,
    /// `allow`, `deny` or `approve: GATE`.
    pub then: String,
}

/// A limit, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView<'a> {
    /// Its id.
    pub id: &'a str,
    /// What a refusal by it is called.
    pub code: &'a str,
    /// `tx`, `24h`, `day` ...
    pub per: String,
    /// In USD or as a count.
    pub max: String,
    /// Whether it remembers: `false` for `per: tx`.
    pub is_window: bool,
}

/// What became of one test in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// Where it stands in the file.
    pub line: u32,
    /// Whether it passed.
    pub passed: bool,
    /// What the file expects.
    pub expected: String,
    /// What was decided.
    pub got: String,
}

/// The grant and the guards that a request is judged by.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The agent's grant.
    pub grant: Policy,
    /// Guards, from the broadest; those whose scope does not cover the request are skipped.
    pub guards: Vec<Policy>,
}

/// Whose budget.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Who asks.
    pub agent: &'a AgentId,
    /// Whose key.
    pub wallet: &'a WalletId,
    /// On which chain.
    pub chain: ChainId,
}
