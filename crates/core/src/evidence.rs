//! Evidence: a journal as a document that anybody can verify (docs/evidence.md).
//!
//! The document is one JSON object that is read from its beginning to its end with bounded memory. Every chain is in it
//! whole: what was not asked for is there without its words. White space outside texts means nothing; of everything
//! else each byte is verified.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    identity::{AgentId, AppId, PolicyId, TraceHash},
    journal::{About, ChainHead, Entry, Kind, Written, sha256, withheld_digest},
    time::Timestamp,
    trace::DecisionRecord,
};

mod stream;

use self::stream::Stream;

/// The form of the document.
pub const FORMAT: &str = "countersign-evidence/1";

/// The classes of what a store promises (LEDGER §3).
const DURABILITY: [&str; 3] = ["A", "B", "D"];

/// The longest value that a document may hold: an entry with the largest request in every form that it is shown in.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// What the document says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`]
    pub format: String,
    /// The tenant.
    pub app: AppId,
    /// When it was made, by the store's clock.
    pub exported_at: Timestamp,
    /// What the store promises (LEDGER §3).
    pub durability: String,
    /// What was asked for.
    pub filter: Filter,
}

/// Which decisions and incidents are shown with their words, with everything that came of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Only of this agent.
    pub agent: Option<AgentId>,
    /// Only of this session, by its name.
    pub session: Option<String>,
}

impl Filter {
    /// Whether everything is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it asks for a decision, an attestation or an incident.
    #[must_use]
    pub fn asks_for(&self, about: &About) -> bool {
        let session = self.session.as_deref().map(sha256);
        self.from.is_none_or(|from| about.at.is_some_and(|at| at >= from))
            && self.to.is_none_or(|to| about.at.is_some_and(|at| at < to))
            && (self.agent.is_none() || self.agent == about.agent)
            && (session.is_none() || session == about.session)
    }
}

/// An entry as the document shows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown<'a> {
    #[serde(borrow)]
    about: &'a RawValue,
    hash: B256,
    #[serde(borrow, default)]
    said: Option<&'a RawValue>,
    #[serde(default)]
    withheld: Option<B256>,
}

/// An entry for the document, with its words. `None` for what no journal writes.
#[must_use]
pub fn shown(text: &str, hash: B256) -> Option<String> {
    let written = Written::parse(text)?;
    Some(framed(written.about(), hash, "said", written.said()))
}

/// An entry for the document, without its words. `None` for what no journal writes.
#[must_use]
pub fn withheld(text: &str, hash: B256) -> Option<String> {
    let written = Written::parse(text)?;
    let digest = format!("\"{}\"", sha256(written.said()));
    Some(framed(written.about(), hash, "withheld", &digest))
}

fn framed(about: &str, hash: B256, word: &str, value: &str) -> String {
    format!(r#"{{"about":{about},"hash":"{hash}","{word}":{value}}}"#)
}

/// One entry with its words, verified.
#[derive(Debug)]
pub struct Verified<'a> {
    /// Whose chain.
    pub gateway: &'a str,
    /// The chain's head behind it.
    pub head: ChainHead,
    /// What it says.
    pub entry: Entry,
}

/// What a verified document holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What it says about itself.
    #[serde(flatten)]
    pub header: Header,
    /// Its chains.
    pub chains: Vec<ChainSummary>,
    /// How many entries of each kind it shows.
    pub entries: BTreeMap<&'static str, u64>,
    /// How many entries it has without their words.
    pub withheld: u64,
}

/// One chain of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainSummary {
    /// Whose.
    pub gateway: String,
    /// Where it ends.
    pub head: ChainHead,
    /// The head that the ledger's log had at the export.
    pub anchored: Option<ChainHead>,
}

/// Why a document proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// It cannot be read to its end.
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// It is no document of this form, or not any more.
    #[error("{at}: {what}")]
    Broken {
        /// Where.
        at: String,
        /// What is wrong there.
        what: String,
    },
    /// Whoever looks at the entries has seen enough.
    #[error("{0}")]
    Stopped(String),
}

fn broken(at: &str, what: &str) -> EvidenceError {
    EvidenceError::Broken { at: at.to_owned(), what: what.to_owned() }
}

/// A head of a chain that is known from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Whose chain.
    pub gateway: String,
    /// Where it stood.
    pub head: ChainHead,
}

/// Verifies a document, every byte of it, and shows each entry that has words. Each of the anchors must be a head of its
/// chain. What has been shown proves nothing until this returns.
pub fn verify(
    document: impl Read,
    anchors: &[Anchor],
    see: &mut dyn FnMut(Verified<'_>) -> Result<(), String>,
) -> Result<Summary, EvidenceError> {
    let mut stream = Stream::new(document);
    stream.expect(r#"{"evidence":"#)?;
    let text = stream.value()?;
    let header: Header = strict(&text, "the header")?;
    if header.format != FORMAT {
        return Err(broken("the header", "it is of another format than this program reads"));
    }
    if !DURABILITY.contains(&header.durability.as_str()) {
        return Err(broken("the header", "it names a class of durability that there is not"));
    }
    stream.expect(r#","chains":["#)?;
    let mut reading = Reading {
        filter: header.filter.clone(),
        anchors,
        see,
        asked: BTreeSet::new(),
        left_out: BTreeSet::new(),
        entries: BTreeMap::new(),
        withheld: 0,
    };
    let mut chains: Vec<ChainSummary> = Vec::new();
    while stream.item(chains.is_empty())? {
        let chain = reading.chain(&mut stream)?;
        if chains.last().is_some_and(|last| last.gateway >= chain.gateway) {
            return Err(broken(&chain.gateway, "chains are not in order of their names"));
        }
        chains.push(chain);
    }
    stream.end()?;
    reading.whole()?;
    for anchor in anchors {
        let chain = chains.iter().find(|chain| chain.gateway == anchor.gateway);
        if chain.is_none_or(|chain| chain.head.sequence < anchor.head.sequence) {
            let what = format!("it ends before its anchored entry {}", anchor.head.sequence);
            return Err(broken(&anchor.gateway, &what));
        }
    }
    let Reading { entries, withheld, .. } = reading;
    Ok(Summary { header, chains, entries, withheld })
}

/// Reads what was written by this program, and refuses every other text for it.
fn strict<T: Serialize + for<'de> Deserialize<'de>>(
    text: &str,
    at: &str,
) -> Result<T, EvidenceError> {
    let value: T = serde_json::from_str(text)
        .map_err(|error| broken(at, &format!("is unreadable: {error}")))?;
    let again = serde_json::to_string(&value).unwrap_or_default();
    if again == text { Ok(value) } else { Err(broken(at, "is not as it was written")) }
}

/// What is known of a document so far.
struct Reading<'a, 's> {
    filter: Filter,
    anchors: &'a [Anchor],
    see: &'s mut dyn FnMut(Verified<'_>) -> Result<(), String>,
    /// Decisions that the filter asks for; only where there is one.
    asked: BTreeSet<TraceHash>,
    /// Decisions that something without words came of.
    left_out: BTreeSet<TraceHash>,
    entries: BTreeMap<&'static str, u64>,
    withheld: u64,
}

impl Reading<'_, '_> {
    fn chain(&mut self, stream: &mut Stream<impl Read>) -> Result<ChainSummary, EvidenceError> {
        stream.expect(r#"{"gateway":"#)?;
        let gateway: String = strict(&stream.value()?, "the name of a gateway")?;
        stream.expect(r#","anchored":"#)?;
        let anchored: Option<ChainHead> = strict(&stream.value()?, &gateway)?;
        stream.expect(r#","entries":["#)?;
        let mut chain = Chain { gateway, head: ChainHead::START, pinned: BTreeSet::new() };
        self.anchored_as_known(&chain, anchored.as_ref(), &chain.gateway)?;
        while stream.item(chain.head == ChainHead::START)? {
            let text = stream.value()?;
            let at = format!("{}, entry {}", chain.gateway, chain.head.sequence.saturating_add(1));
            self.entry(&mut chain, &text, &at)?;
            self.anchored_as_known(&chain, anchored.as_ref(), &at)?;
        }
        let Chain { gateway, head, .. } = chain;
        let begins = |head: &ChainHead| head.sequence == 0;
        if begins(&head) || anchored.as_ref().is_some_and(begins) {
            return Err(broken(
                &gateway,
                "no journal is empty, and none is anchored before its first entry",
            ));
        }
        stream.expect(r#","head":"#)?;
        let said: ChainHead = strict(&stream.value()?, &gateway)?;
        stream.expect("}")?;
        if said != head {
            return Err(broken(&gateway, "its entries do not lead to its head"));
        }
        if anchored.is_some_and(|anchored| anchored.sequence > head.sequence) {
            return Err(broken(&gateway, "it ends before the head that is anchored"));
        }
        Ok(ChainSummary { gateway, head, anchored })
    }

    fn anchored_as_known(
        &self,
        chain: &Chain,
        anchored: Option<&ChainHead>,
        at: &str,
    ) -> Result<(), EvidenceError> {
        let of_chain = self.anchors.iter().filter(|anchor| anchor.gateway == chain.gateway);
        let mut known = of_chain.map(|anchor| &anchor.head).chain(anchored);
        if known.any(|known| known.sequence == chain.head.sequence && *known != chain.head) {
            return Err(broken(at, "another entry is anchored in its place"));
        }
        Ok(())
    }

    fn entry(&mut self, chain: &mut Chain, text: &str, at: &str) -> Result<(), EvidenceError> {
        let unreadable = |error| broken(at, &format!("is unreadable: {error}"));
        let shown: Shown<'_> = serde_json::from_str(text).map_err(unreadable)?;
        let about = shown.about.get();
        let (digest, same) = match (shown.said.map(RawValue::get), shown.withheld) {
            (Some(said), None) => {
                (withheld_digest(about, sha256(said)), framed(about, shown.hash, "said", said))
            }
            (None, Some(withheld)) => {
                let quoted = format!("\"{withheld}\"");
                (withheld_digest(about, withheld), framed(about, shown.hash, "withheld", &quoted))
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(broken(at, "has either its words or their digest"));
            }
        };
        if same != text {
            return Err(broken(at, "is not as it was written"));
        }
        chain.head = chain.head.then(digest);
        if chain.head.hash != shown.hash {
            return Err(broken(at, "does not follow from the entries before it"));
        }
        let about: About = strict(about, at)?;
        match shown.said {
            Some(said) => self.said(chain, &about, said.get(), at),
            None => self.left_out(&about, at),
        }
    }

    fn said(
        &mut self,
        chain: &mut Chain,
        about: &About,
        said: &str,
        at: &str,
    ) -> Result<(), EvidenceError> {
        let entry = chain.read(said, at)?;
        if entry.about() != *about {
            return Err(broken(at, "is about something else than it says"));
        }
        let count = self.entries.entry(about.kind.name()).or_default();
        *count = count.saturating_add(1);
        if !self.filter.is_empty() && self.filter.asks_for(about) {
            let is_decision = matches!(about.kind, Kind::Decision | Kind::Attestation);
            self.asked.extend(about.trace.filter(|_| is_decision));
        }
        (self.see)(Verified { gateway: &chain.gateway, head: chain.head, entry })
            .map_err(EvidenceError::Stopped)
    }

    /// An entry without its words must be one that nobody asked for.
    fn left_out(&mut self, about: &About, at: &str) -> Result<(), EvidenceError> {
        self.withheld = self.withheld.saturating_add(1);
        let asked = match about.kind {
            // they are shown whatever is asked for
            Kind::Policy => true,
            Kind::Decision | Kind::Attestation | Kind::Incident => self.filter.asks_for(about),
            Kind::Update => {
                self.left_out.extend(about.trace);
                self.filter.is_empty()
            }
        };
        if asked { Err(broken(at, "was asked for, and its words are missing")) } else { Ok(()) }
    }

    /// What came of a decision may stand in another chain, before it.
    fn whole(&self) -> Result<(), EvidenceError> {
        match self.left_out.iter().find(|trace| self.asked.contains(trace)) {
            Some(trace) => Err(broken(&trace.to_string(), "something that came of it is missing")),
            None => Ok(()),
        }
    }
}

/// One chain that is being read.
struct Chain {
    gateway: String,
    head: ChainHead,
    pinned: BTreeSet<PolicyId>,
}

impl Chain {
    fn read(&mut self, said: &str, at: &str) -> Result<Entry, EvidenceError> {
        let unreadable = |error| broken(at, &format!("is unreadable: {error}"));
        let entry: Entry = serde_json::from_str(said).map_err(unreadable)?;
        match &entry {
            Entry::Policy { policy, canonical } => {
                if policy.0 != sha256(canonical) {
                    return Err(broken(at, "the policy is not the one that it is called"));
                }
                self.pinned.insert(*policy);
            }
            Entry::Decision { trace_hash, decision, .. } => {
                self.is_decision(decision, *trace_hash, at)?;
            }
            Entry::Update { update, .. } => {
                if let Some(again) = &update.again {
                    self.is_decision(&again.decision, again.decision_hash, at)?;
                }
            }
            Entry::Attestation { trace_hash, .. } => {
                // a client's numbers may be any: only their own text is what was hashed
                return if attested(said) == Some(trace_hash.0) {
                    Ok(entry)
                } else {
                    Err(broken(at, "it is not what its trace hash names"))
                };
            }
            Entry::Incident(_) => {}
        }
        let again = serde_json::to_value(&entry).unwrap_or_default().to_string();
        if again == said { Ok(entry) } else { Err(broken(at, "says what no journal writes")) }
    }

    fn is_decision(
        &self,
        decision: &DecisionRecord,
        hash: TraceHash,
        at: &str,
    ) -> Result<(), EvidenceError> {
        if decision.hash() != hash {
            return Err(broken(at, "it is not what its trace hash names"));
        }
        if decision.policies().any(|policy| !self.pinned.contains(&policy)) {
            return Err(broken(at, "a policy that it was decided under is not in the chain"));
        }
        Ok(())
    }
}

/// The hash of an attestation's own text.
fn attested(said: &str) -> Option<B256> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        attestation: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        decision: &'a RawValue,
    }
    let outer: Outer<'_> = serde_json::from_str(said).ok()?;
    Some(sha256(outer.attestation.decision.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(header: &str, chains: &str) -> String {
        let filter = r#"{"from":null,"to":null,"agent":null,"session":null}"#;
        let front = format!(
            r#"{{"evidence":{{"format":"{FORMAT}","app":"default","exported_at":"2026-01-01T00:00:00Z","durability":"{header}","filter":{filter}}},"chains":[{chains}]"#
        );
        let document = format!(r#"{front},"digest":"{}"}}"#, sha256(&front));
        let verified = verify(document.as_bytes(), &[], &mut |_| Ok(()));
        verified.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_no_gateway_writes_is_refused() {
        assert_eq!(refused("B", ""), "");
        for header in ["", "C", "AAA", "A+", "a"] {
            assert!(refused(header, "").contains("durability"), "{header}");
        }
        let head = format!(r#"{{"hash":"{}","sequence":0}}"#, B256::ZERO);
        for anchored in ["null", &head] {
            let chain =
                format!(r#"{{"gateway":"a","anchored":{anchored},"entries":[],"head":{head}}}"#);
            assert!(refused("A", &chain).contains("no journal is empty"), "{anchored}");
        }
    }

    /// Documents that were made from docs/evidence.md by another program.
    #[test]
    fn what_the_description_says_is_what_is_read() {
        for (document, chains) in [
            (&include_bytes!("../../../fuzz/corpus/evidence/empty")[..], 0),
            (include_bytes!("../../../fuzz/corpus/evidence/policy"), 1),
            (include_bytes!("../../../fuzz/corpus/evidence/kinds"), 1),
            (include_bytes!("../../../fuzz/corpus/evidence/withheld"), 1),
        ] {
            let summary = verify(document, &[], &mut |_| Ok(()));
            assert_eq!(
                summary.map(|summary| summary.chains.len()).map_err(|e| e.to_string()),
                Ok(chains)
            );
        }
        for document in [
            &include_bytes!("../../../fuzz/corpus/evidence/broken")[..],
            include_bytes!("../../../fuzz/corpus/evidence/twice"),
        ] {
            assert!(verify(document, &[], &mut |_| Ok(())).is_err());
        }
    }
}
