//! What a journal says, entry by entry, and the chain that holds its entries together.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    canonical::canonical,
    identity::{AgentId, PolicyId, TraceHash},
    incident::Incident,
    time::Timestamp,
    trace::{DecisionRecord, Posted, TraceRecord, TraceStatus, TraceUpdate},
};

/// What one entry of a journal says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A policy, before the first decision under it.
    #[serde(rename_all = "camelCase")]
    Policy {
        /// The SHA-256 of the text.
        policy: PolicyId,
        /// Its canonical JSON.
        canonical: String,
    },
    /// A decision, before its effect.
    #[serde(rename_all = "camelCase")]
    Decision {
        /// The SHA-256 of the decision's canonical JSON.
        trace_hash: TraceHash,
        /// The decision.
        decision: Box<DecisionRecord>,
        /// Where it stood at once.
        status: TraceStatus,
    },
    /// What a client posted as a decision of its own: it proves only that the client said so.
    #[serde(rename_all = "camelCase")]
    Attestation {
        /// The SHA-256 of the canonical JSON of what it says.
        trace_hash: TraceHash,
        /// What it says.
        decision: Box<DecisionRecord>,
        /// Where it stands, as it says.
        status: TraceStatus,
        /// Who posted it, and what else they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        posted: Option<Box<Posted>>,
    },
    /// What came of a decision.
    #[serde(rename_all = "camelCase")]
    Update {
        /// Of which.
        trace_hash: TraceHash,
        /// What changed.
        update: TraceUpdate,
    },
    /// Something that a person must know: a version of it, as it was from then on.
    Incident(Box<Incident>),
}

/// What an entry is, and whom it concerns: that much of it is known where its words are withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// When it was decided, or seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// The policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// The SHA-256 of the session's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<B256>,
    /// The decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceHash>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Entry::Policy`]
    Policy,
    /// [`Entry::Decision`]
    Decision,
    /// [`Entry::Attestation`]
    Attestation,
    /// [`Entry::Update`]
    Update,
    /// [`Entry::Incident`]
    Incident,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Decision => "decision",
            Self::Attestation => "attestation",
            Self::Update => "update",
            Self::Incident => "incident",
        }
    }

    const fn alone(self) -> About {
        let (agent, at, id, policy, session, trace) = (None, None, None, None, None, None);
        About { agent, at, id, kind: self, policy, session, trace }
    }
}

impl Entry {
    /// What it is, and whom it concerns.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Self::Policy { policy, .. } => About { policy: Some(*policy), ..Kind::Policy.alone() },
            Self::Decision { trace_hash, decision, .. } => {
                of_decision(Kind::Decision, *trace_hash, decision)
            }
            Self::Attestation { trace_hash, decision, .. } => {
                of_decision(Kind::Attestation, *trace_hash, decision)
            }
            Self::Update { trace_hash, .. } => {
                About { trace: Some(*trace_hash), ..Kind::Update.alone() }
            }
            Self::Incident(incident) => About {
                agent: incident.agent.clone(),
                at: Some(incident.created_at),
                id: Some(incident.id.clone()),
                session: incident.session.as_deref().map(sha256),
                trace: incident.trace_hash,
                ..Kind::Incident.alone()
            },
        }
    }

    /// Its text, written once, hashed as it stands and never made anew: `{"about":..,"said":..}` with sorted keys and no
    /// spaces.
    #[must_use]
    pub fn text(&self) -> String {
        self.line().text
    }

    /// Its text with its digest.
    #[must_use]
    pub fn line(&self) -> Line {
        Line::of(&self.about(), &canonical(self))
    }
}

/// An entry as it stands in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    text: String,
    digest: B256,
}

impl Line {
    fn of(about: &About, said: &str) -> Self {
        let about = canonical(about);
        Self { digest: withheld_digest(&about, sha256(said)), text: framed(&about, said) }
    }

    /// A decision's entry, where its canonical JSON is at hand: the same as [`Entry::line`] says, without writing it
    /// twice.
    #[must_use]
    pub fn of_decision(
        (decision, canonical_json): (&DecisionRecord, &str),
        trace_hash: TraceHash,
        status: TraceStatus,
    ) -> Self {
        let (word, status) = (Kind::Decision.name(), status.name());
        let said = format!(
            r#"{{"{word}":{{"decision":{canonical_json},"status":"{status}","traceHash":"{trace_hash}"}}}}"#
        );
        Self::of(&of_decision(Kind::Decision, trace_hash, decision), &said)
    }

    /// What is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the chain takes of it; see [`Written::digest`].
    #[must_use]
    pub const fn digest(&self) -> B256 {
        self.digest
    }
}

fn of_decision(kind: Kind, trace: TraceHash, decision: &DecisionRecord) -> About {
    About {
        agent: decision.agent_id.clone(),
        at: Some(decision.created_at),
        session: decision.session_key_hash,
        trace: Some(trace),
        ..kind.alone()
    }
}

fn framed(about: &str, said: &str) -> String {
    format!(r#"{{"about":{about},"said":{said}}}"#)
}

/// The SHA-256 of a text.
#[must_use]
pub fn sha256(text: &str) -> B256 {
    B256::from(<[u8; 32]>::from(Sha256::digest(text)))
}

/// An entry's text in its two parts, each as it stands.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written<'a> {
    #[serde(borrow)]
    about: &'a RawValue,
    #[serde(borrow)]
    said: &'a RawValue,
}

impl<'a> Written<'a> {
    /// Takes the text of an entry apart; `None` for what no journal writes.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let written: Self = serde_json::from_str(text).ok()?;
        Some(written).filter(|written| framed(written.about(), written.said()) == text)
    }

    /// What it is about, as JSON.
    #[must_use]
    pub fn about(&self) -> &'a str {
        self.about.get()
    }

    /// What it says, as JSON.
    #[must_use]
    pub fn said(&self) -> &'a str {
        self.said.get()
    }

    /// SHA-256(SHA-256(about) ‖ SHA-256(said)): so an entry can be shown without what it says.
    #[must_use]
    pub fn digest(&self) -> B256 {
        withheld_digest(self.about(), sha256(self.said()))
    }
}

/// The digest of an entry whose words are withheld.
#[must_use]
pub fn withheld_digest(about: &str, said: B256) -> B256 {
    let hasher = Sha256::new().chain_update(sha256(about)).chain_update(said);
    B256::from(<[u8; 32]>::from(hasher.finalize()))
}

/// Where a chain stands: how many entries it has, and the hash over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainHead {
    /// Zero before the first.
    pub hash: B256,
    /// The number of its last entry; the first is 1.
    pub sequence: u64,
}

impl ChainHead {
    /// Before the first entry.
    pub const START: Self = Self { sequence: 0, hash: B256::ZERO };

    /// Behind an entry of this digest: SHA-256(hash ‖ digest).
    #[must_use]
    pub fn then(self, digest: B256) -> Self {
        let hasher = Sha256::new().chain_update(self.hash).chain_update(digest);
        let hash = B256::from(<[u8; 32]>::from(hasher.finalize()));
        Self { sequence: self.sequence.saturating_add(1), hash }
    }

    /// Behind an entry of this text; `None` for what no journal writes.
    #[must_use]
    pub fn behind(self, text: &str) -> Option<Self> {
        Some(self.then(Written::parse(text)?.digest()))
    }
}

impl DecisionRecord {
    /// Its JSON with sorted keys and no spaces: what is hashed, and what a repetition must equal.
    #[must_use]
    pub fn canonical_json(&self) -> String {
        canonical(self)
    }

    /// Every policy that it was made under.
    pub fn policies(&self) -> impl Iterator<Item = PolicyId> {
        self.policy.into_iter().chain(self.guards.iter().copied())
    }

    /// What the decision is called: the SHA-256 of its canonical JSON.
    #[must_use]
    pub fn hash(&self) -> TraceHash {
        TraceHash(sha256(&self.canonical_json()))
    }
}

impl TraceRecord {
    /// The row of a decision that nothing has come of yet.
    #[must_use]
    pub fn begun(
        trace_hash: TraceHash,
        decision: DecisionRecord,
        status: TraceStatus,
        posted: Option<Posted>,
    ) -> Self {
        let mut row = Self {
            trace_hash,
            decision,
            tx_hash: None,
            status,
            signatures: Vec::new(),
            approvals: Vec::new(),
            duration_ms: None,
            previous_hash: None,
            attestation: false,
            attested_by: None,
        };
        if let Some(Posted { by, tx_hash, signatures, duration_ms }) = posted {
            (row.attestation, row.attested_by) = (true, Some(by));
            (row.tx_hash, row.signatures, row.duration_ms) = (tx_hash, signatures, duration_ms);
        }
        row
    }

    /// What came of it; what the update does not name stays.
    pub fn take(&mut self, update: TraceUpdate) {
        let TraceUpdate { status, tx_hash, signature, approval, duration_ms, blocked_by, again: _ } =
            update;
        self.status = status.unwrap_or(self.status);
        self.tx_hash = tx_hash.or(self.tx_hash);
        self.signatures.extend(signature);
        self.approvals.extend(approval);
        self.duration_ms = duration_ms.or(self.duration_ms);
        self.decision.blocked_by = blocked_by.or(self.decision.blocked_by.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let update = TraceUpdate { duration_ms: Some(7), ..TraceUpdate::default() };
        vec![
            Entry::Policy { policy: PolicyId(B256::repeat_byte(1)), canonical: "{}".into() },
            Entry::Update { trace_hash: TraceHash(B256::ZERO), update: TraceUpdate::default() },
            Entry::Update { trace_hash: TraceHash(B256::ZERO), update },
        ]
    }

    fn head_of(texts: &[String]) -> Option<ChainHead> {
        texts.iter().try_fold(ChainHead::START, |head, text| head.behind(text))
    }

    #[test]
    fn a_head_stands_for_every_byte_of_every_entry_before_it() {
        let texts: Vec<String> = entries().iter().map(Entry::text).collect();
        let whole = head_of(&texts).unwrap();
        assert_eq!(whole.sequence, 3);
        for (place, text) in texts.iter().enumerate() {
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    let Ok(changed) = String::from_utf8(bytes) else { continue };
                    let mut other = texts.clone();
                    other[place] = changed;
                    assert_ne!(head_of(&other), Some(whole), "{other:?}");
                }
            }
        }
        let swapped = [texts[1].clone(), texts[0].clone(), texts[2].clone()];
        assert_ne!(head_of(&swapped), Some(whole));
        assert_ne!(head_of(&texts[..2]), Some(whole));
        assert_ne!(head_of(&texts[1..]), Some(whole));
    }

    #[test]
    fn an_entry_can_be_shown_without_its_words() {
        let text = entries()[0].text();
        let written = Written::parse(&text).unwrap();
        let withheld = withheld_digest(written.about(), sha256(written.said()));
        assert_eq!(Some(ChainHead::START.then(withheld)), ChainHead::START.behind(&text));
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for entry in entries() {
            let text = entry.text();
            let written = Written::parse(&text).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(written.said()).unwrap(), entry, "{text}");
            assert_eq!(serde_json::from_str::<About>(written.about()).unwrap(), entry.about());
        }
    }

    #[test]
    fn white_space_beside_its_parts_is_no_entry() {
        let text = entries()[0].text();
        for other in [format!(" {text}"), text.replacen(':', ": ", 1), text.replace("},", "} ,")] {
            assert_eq!(ChainHead::START.behind(&other), None, "{other}");
        }
    }
}
