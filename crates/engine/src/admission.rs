//! From a submission to what it is about: whose request, which wallet and chain, which repetition.

use std::sync::Arc;

use alloy_primitives::B256;
use countersign_core::{
    identity::{AgentId, Fingerprint, KeyHash},
    intent::Subject,
    pact::Pact,
    time::Millis,
};
use countersign_policy::Identity;
use sha2::{Digest, Sha256};

use crate::{
    lane::LaneId,
    port::ledger::Repeat,
    proposal::Proposal,
    reply::Caller,
    setup::{AgentSetup, ChainSetup, Setup, WalletSetup},
    submission::{Answer, Draft, Malformed, Submission, Unavailable},
    turn::Turn,
};

/// The longest that a call is held open, whoever asks for it.
const HOLD_MAX: Millis = Millis(60_000);

/// An agent's request for a wallet that it may use, on a chain that is served.
#[derive(Debug)]
pub(crate) struct Admitted {
    setup: Arc<Setup>,
    /// What was submitted.
    pub(crate) submission: Submission,
    /// What makes it the same payload.
    pub(crate) fingerprint: Fingerprint,
    /// What it may repeat.
    pub(crate) repeat: Repeat,
    /// How long a parked call is held open.
    pub(crate) hold: Millis,
    /// Whether anybody listens.
    pub(crate) caller: Caller,
    wallet: countersign_core::identity::WalletId,
    /// What is to be signed, read.
    pub(crate) proposal: Proposal,
    /// Its right to be judged now.
    pub(crate) turn: Turn,
}

impl Admitted {
    /// Resolves a submission against the snapshot in force.
    pub(crate) fn admit(
        setup: Arc<Setup>,
        submission: Submission,
        (caller, turn): (Caller, Turn),
    ) -> Result<Self, Answer> {
        let agent = setup.agents.get(&submission.agent).ok_or_else(gone)?;
        let unserved = || malformed("chainId", "this chain is not served");
        let chain = setup.chains.get(&submission.chain).ok_or_else(unserved)?;
        let wallet = wallet_for(&setup, agent, &submission)?;
        let subject = Subject {
            agent: &agent.id,
            wallet: &wallet.id,
            method: submission.method,
            chain: submission.chain,
        };
        let proposal = Proposal::read(&submission.draft, wallet.address, chain)?;
        let fingerprint = proposal.fingerprint(&subject);
        let repeat = Repeat {
            fingerprint,
            key: key_of(&submission),
            window: agent.duplicate_window,
            batch: submission.batch,
        };
        let hold = submission.wait.unwrap_or(agent.hold).min(HOLD_MAX);
        let wallet = wallet.id.clone();
        Ok(Self { setup, submission, fingerprint, repeat, hold, caller, wallet, proposal, turn })
    }

    /// The snapshot that the request began with.
    pub(crate) const fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// The agent, the wallet and the chain.
    pub(crate) fn parties(&self) -> Result<Parties<'_>, Answer> {
        let parties = || {
            Some(Parties {
                agent: self.setup.agents.get(&self.submission.agent)?,
                wallet: self.setup.wallets.get(&self.wallet)?,
                chain: self.setup.chains.get(&self.submission.chain)?,
            })
        };
        parties().ok_or_else(gone)
    }
}

/// Whom a request concerns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parties<'a> {
    /// Who asks.
    pub(crate) agent: &'a AgentSetup,
    /// Whose key.
    pub(crate) wallet: &'a WalletSetup,
    /// Where.
    pub(crate) chain: &'a ChainSetup,
}

impl<'a> Parties<'a> {
    /// Whom policies name.
    pub(crate) const fn identity(&self) -> Identity<'a> {
        Identity { agent: &self.agent.id, wallet: &self.wallet.id, chain: self.chain.id }
    }

    /// The lane of what it signs.
    pub(crate) fn lane(&self) -> LaneId {
        (self.chain.id, self.wallet.id.clone())
    }

    /// The agreement that the agent works under.
    pub(crate) fn pact(&self) -> Pact {
        Pact { agent: self.agent.id.clone(), grant: self.agent.grant.id() }
    }
}

fn wallet_for<'a>(
    setup: &'a Setup,
    agent: &'a AgentSetup,
    submission: &Submission,
) -> Result<&'a WalletSetup, Answer> {
    let Some(from) = submission.draft.from() else {
        return Err(malformed("from", "name the account that is to sign"));
    };
    setup.wallet_of(agent, from).ok_or(Answer::NotYours(from))
}

fn key_of(submission: &Submission) -> Option<KeyHash> {
    match chosen_id(submission) {
        Some(id) => Some(bundle_key(&submission.agent, id)),
        None => submission.key.as_deref().map(|key| key_hash(submission, key)),
    }
}

/// The id that the caller chose for its bundle of calls.
pub(crate) fn chosen_id(submission: &Submission) -> Option<&str> {
    match &submission.draft {
        Draft::Calls(bundle) => bundle.id.as_deref(),
        Draft::Transaction(_) | Draft::Raw(_) | Draft::Message { .. } => None,
    }
}

/// The id that a caller chose for a bundle is its key, and never that of anything else.
pub(crate) fn bundle_key(agent: &AgentId, id: &str) -> KeyHash {
    let mut hasher = Sha256::new();
    hasher.update(agent.as_str());
    // no text has this byte, so no idempotency key is this one
    hasher.update([0xff]);
    hasher.update(id);
    KeyHash(B256::from(<[u8; 32]>::from(hasher.finalize())))
}

/// One agent's keys never meet another's, and no agent's text becomes part of a store key.
fn key_hash(submission: &Submission, key: &str) -> KeyHash {
    let mut hasher = Sha256::new();
    hasher.update(submission.agent.as_str());
    hasher.update([0]);
    hasher.update(key);
    KeyHash(B256::from(<[u8; 32]>::from(hasher.finalize())))
}

pub(crate) fn malformed(field: &str, reason: &str) -> Answer {
    Malformed::new(field, reason).into()
}

/// The agent was removed from the configuration between its credential's check and now.
fn gone() -> Answer {
    Answer::Unavailable(Unavailable {
        code: "agent_removed",
        reason: "this agent is not configured any more".into(),
    })
}
