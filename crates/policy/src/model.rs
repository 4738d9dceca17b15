//! A policy after reading: what the judgement works on. Everything is resolved and typed.

use std::collections::BTreeSet;

use countersign_core::{
    abi::AbiFunction,
    action::Action,
    approval::Gate,
    identity::PolicyId,
    pact::{PactStanding, PactVerb},
    time::{Millis, Timestamp, Zone},
};

use crate::{
    condition::Condition,
    diagnostic::{Diagnostic, Place},
    field::{Kinds, Path},
    inline_test::Case,
    login,
    matcher::Operand,
    mode::ApprovalMode,
    scope::{Kind, Scope},
};

/// A policy, resolved.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) scope: Scope,
    pub(crate) expires: Option<Timestamp>,
    /// When a grant begins, where the file says so.
    pub(crate) starts: Option<Timestamp>,
    /// It begins when people say yes to it.
    pub(crate) asks: bool,
    /// How long after its beginning a grant is completed.
    pub(crate) lasts: Option<Millis>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) limits: Vec<Limit>,
    /// `rules` stand before `limits` in the file.
    pub(crate) rules_first: bool,
    pub(crate) tests: Vec<Case>,
    pub(crate) tokens: Vec<String>,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) canonical: String,
    pub(crate) id: PolicyId,
    pub(crate) source: String,
    pub(crate) guidance: Option<String>,
}

impl Model {
    /// Whether a grant is in force at an instant, after what people said to it. What ended it first stands.
    pub(crate) fn standing(&self, at: Timestamp, pact: Option<&PactStanding>) -> Standing {
        let spoken = pact.map(PactStanding::last);
        if let Some((PactVerb::Reject, _)) = spoken {
            return Standing::Rejected;
        }
        let begun = self.starts.or_else(|| pact.and_then(PactStanding::begun));
        let completed = begun.zip(self.lasts).map(|(begun, lasts)| begun.after(lasts));
        let passed = |end: Option<Timestamp>| end.filter(|end| *end <= at);
        // whatever clock this instant was read from, what people said is said
        let revoked = spoken.filter(|(verb, _)| *verb == PactVerb::Revoke).map(|(_, word)| word.at);
        let ends = [
            (passed(completed), Standing::Completed),
            (passed(self.expires), Standing::Expired),
            (revoked, Standing::Revoked),
        ];
        let ends = ends.into_iter().filter_map(|(end, standing)| Some((end?, standing)));
        if let Some((_, first)) = ends.min_by_key(|(end, _)| *end) {
            return first;
        }
        if self.asks && begun.is_none() {
            return Standing::Pending;
        }
        let later = self.starts.is_some_and(|starts| starts > at);
        if later { Standing::NotBegun } else { Standing::InForce }
    }

    /// A grant that allows nothing.
    pub(crate) fn nothing(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Grant,
            scope: Scope::default(),
            expires: None,
            starts: None,
            asks: false,
            lasts: None,
            gates: Vec::new(),
            rules: Vec::new(),
            limits: Vec::new(),
            rules_first: true,
            tests: Vec::new(),
            tokens: Vec::new(),
            warnings: Vec::new(),
            canonical: String::new(),
            id: PolicyId(alloy_primitives::B256::ZERO),
            source: String::new(),
            guidance: None,
        }
    }
}

/// Whether a grant is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    InForce,
    /// It begins later.
    NotBegun,
    /// Nobody has said yes to it, and it asks for that.
    Pending,
    Rejected,
    Revoked,
    Expired,
    Completed,
}

/// `when` → `then`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) place: Place,
    /// The kinds that it speaks of: those that it names, or those that have every field it names.
    pub(crate) kinds: Kinds,
    pub(crate) when: Condition,
    /// The entries of the condition's mapping as canonical JSON: all of them must hold.
    pub(crate) clauses: BTreeSet<String>,
    pub(crate) then: Then,
    /// What a denial or a park by it is called.
    pub(crate) code: String,
    /// What it raises the approval mode to, where it matches.
    pub(crate) mode: ApprovalMode,
    /// The decision elsewhere that it is bound to, for the record.
    pub(crate) binding: Option<String>,
    pub(crate) spend: Spend,
    /// The functions that it reads, with the target where it names just one.
    pub(crate) functions: Vec<(Option<alloy_primitives::Address>, AbiFunction)>,
}

impl Rule {
    /// Whether it may allow this action at all: a call that the registered layout of its contract does not have
    /// is allowed by name only, and a login to elsewhere too.
    pub(crate) fn may_allow(&self, action: &Action) -> bool {
        (!action.unlisted || self.when.names_function())
            && (!login::lies_elsewhere(action) || self.when.names_uri())
    }

    /// Whether this rule names whatever the other one does that needs a name.
    pub(crate) fn names_no_more_than(&self, other: &Self) -> bool {
        self.when.names_function() <= other.when.names_function()
            && self.when.names_uri() <= other.when.names_uri()
            && self.when.names_others() <= other.when.names_others()
    }
}

/// What a rule leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    Allow,
    Deny,
    Approve(Gate),
}

/// What a rule says about the USD of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spend {
    /// Nothing: a call's movements are unknown.
    Unsaid,
    /// The operator vouches that the function moves nothing but the value.
    Nothing,
    /// An approval that is counted when it is used.
    OnUse,
    /// These tokens move, besides the value.
    Moves(Vec<Move>),
}

/// One movement that a call's arguments name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) token: MoveToken,
    pub(crate) amount: Part,
}

/// Where a rule finds a value in what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// In the call's arguments.
    Argument(Path),
    /// In the fields of typed data.
    Message(Path),
}

/// Which token a movement is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MoveToken {
    /// The address there.
    Part(Part),
    /// This one.
    Named(Operand),
}

/// A named counter under a condition.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) kinds: Kinds,
    pub(crate) when: Condition,
    /// The condition as canonical JSON: part of the counter's identity.
    pub(crate) when_key: String,
    pub(crate) measure: Measure,
    pub(crate) per: Per,
    pub(crate) by: Vec<By>,
    /// Micro-USD or a count.
    pub(crate) max: u64,
    pub(crate) over: OverLimit,
    pub(crate) code: String,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// USD that moves; in windows also the fee.
    Usd,
    /// The fee in USD.
    Fee,
    /// Requests.
    Requests,
    /// Actions.
    Actions,
}

impl Measure {
    /// The word in the file.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Fee => "fee_usd",
            Self::Requests => "tx",
            Self::Actions => "action",
        }
    }

    pub(crate) const fn is_money(self) -> bool {
        matches!(self, Self::Usd | Self::Fee)
    }
}

/// How long a limit remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Per {
    Transaction,
    /// The length, and how the file writes it.
    Rolling(Millis, String),
    Day(Zone),
    Month(Zone),
    Grant,
}

impl Per {
    /// As the file writes it, without the zone.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Transaction => "tx".to_owned(),
            Self::Rolling(_, written) => written.clone(),
            Self::Day(_) => "day".to_owned(),
            Self::Month(_) => "month".to_owned(),
            Self::Grant => "grant".to_owned(),
        }
    }

    /// With the zone, and equal for equal windows: part of the counter's identity.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Day(zone) | Self::Month(zone) => format!("{}@{}", self.word(), zone.name()),
            Self::Rolling(length, _) => length.to_string(),
            Self::Transaction | Self::Grant => self.word(),
        }
    }
}

/// What splits a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The counterparty: recipient, spender, or the contract that is called.
    To,
    Token,
    Chain,
    Agent,
    Wallet,
    Session,
    Target,
    Selector,
    Action,
    Kind,
}

impl By {
    pub(crate) const ALL: [(&'static str, Self); 10] = [
        ("to", Self::To),
        ("token", Self::Token),
        ("chain", Self::Chain),
        ("agent", Self::Agent),
        ("wallet", Self::Wallet),
        ("session", Self::Session),
        ("target", Self::Target),
        ("selector", Self::Selector),
        ("action", Self::Action),
        ("kind", Self::Kind),
    ];

    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, by)| *by == self).map_or("to", |(word, _)| word)
    }
}

/// What happens above a maximum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OverLimit {
    Deny,
    Approve(Gate),
}
