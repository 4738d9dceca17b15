//! Journals as evidence: a page at a time, whatever they hold.

use std::{collections::VecDeque, fmt::Write as _, sync::Arc};

use alloy_primitives::B256;
use countersign_core::{
    evidence::{Header, shown, withheld},
    identity::TraceHash,
    journal::{About, ChainHead, Entry, Kind, Written},
};
use sha2::{Digest, Sha256};

use crate::port::{
    Journal,
    journal::{Chain, Chained, JournalError},
};

pub mod sheet;

/// How many entries are read at once.
const PAGE: u32 = 256;

/// How many answers are remembered about whether a decision is asked for.
const KNOWN_MAX: usize = 1024;

/// Entries of all chains in their order, up to where each stood at the beginning.
#[derive(Debug)]
pub struct Walk {
    journal: Arc<dyn Journal>,
    header: Header,
    chains: VecDeque<Chain>,
    read: u64,
    known: Vec<(TraceHash, bool)>,
}

/// What comes next on a walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// A chain begins.
    Chain(Chain),
    /// Its next entries, each with whether it was asked for.
    Entries(Vec<(Chained, bool)>),
    /// It is over.
    End(Chain),
}

impl Walk {
    /// Notes where each chain stands.
    pub async fn begin(journal: Arc<dyn Journal>, header: Header) -> Result<Self, JournalError> {
        let chains = journal.chains().await?.into();
        Ok(Self { journal, header, chains, read: 0, known: Vec::new() })
    }

    /// The next piece; `None` behind the last chain.
    async fn step(&mut self, is_begun: bool) -> Result<Option<Step>, JournalError> {
        let Some(chain) = self.chains.front().cloned() else { return Ok(None) };
        if !is_begun {
            self.read = 0;
            return Ok(Some(Step::Chain(chain)));
        }
        let left = chain.head.sequence.saturating_sub(self.read);
        let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        if limit == 0 {
            self.chains.pop_front();
            return Ok(Some(Step::End(chain)));
        }
        let entries = self.journal.entries(&chain.gateway, self.read, limit).await?;
        if entries.is_empty() {
            let why = format!("the chain of {} ends before its head", chain.gateway);
            return Err(JournalError::Unavailable(why));
        }
        for entry in &entries {
            self.read = self.read.saturating_add(1);
            // what a store misnumbers would be asked for again for ever
            if entry.head.sequence != self.read {
                let why =
                    format!("entry {} of the chain of {} is missing", self.read, chain.gateway);
                return Err(JournalError::Unavailable(why));
            }
        }
        let mut seen = Vec::with_capacity(entries.len());
        for entry in entries {
            let asked = self.is_asked(&entry.text).await?;
            seen.push((entry, asked));
        }
        Ok(Some(Step::Entries(seen)))
    }

    async fn is_asked(&mut self, text: &str) -> Result<bool, JournalError> {
        if self.header.filter.is_empty() {
            return Ok(true);
        }
        let about: Option<About> =
            Written::parse(text).and_then(|written| serde_json::from_str(written.about()).ok());
        let Some(about) = about else { return Ok(true) };
        match (about.kind, about.trace) {
            (Kind::Decision | Kind::Attestation | Kind::Incident, _) => {
                Ok(self.header.filter.asks_for(&about))
            }
            (Kind::Update, Some(trace)) => self.trace_is_asked(trace).await,
            (Kind::Policy | Kind::Update, _) => Ok(true),
        }
    }

    async fn trace_is_asked(&mut self, trace: TraceHash) -> Result<bool, JournalError> {
        if let Some((_, asked)) = self.known.iter().rev().find(|(known, _)| *known == trace) {
            return Ok(*asked);
        }
        let record = self.journal.trace(trace).await?;
        let about = record.map(|record| {
            let decision = Box::new(record.decision);
            Entry::Decision { trace_hash: trace, decision, status: record.status }.about()
        });
        // what is not known is shown rather than not
        let asked = about.is_none_or(|about| self.header.filter.asks_for(&about));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.push((trace, asked));
        Ok(asked)
    }
}

/// A document of `countersign_core::evidence`, piece by piece.
#[derive(Debug)]
pub struct Document {
    walk: Walk,
    stage: Stage,
    hasher: Sha256,
}

/// How far a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not at all.
    Begin,
    /// Between chains; whether there was one.
    Between(bool),
    /// Within a chain; whether it has an entry.
    Within(bool),
    /// Whole.
    Done,
}

impl Document {
    /// A document that has not begun.
    #[must_use]
    pub fn new(walk: Walk) -> Self {
        Self { walk, stage: Stage::Begin, hasher: Sha256::new() }
    }

    /// The next piece; `None` behind the last. Each is as long as a page of entries at most.
    pub async fn next(&mut self) -> Result<Option<String>, JournalError> {
        let mut piece = String::new();
        match self.stage {
            Stage::Begin => {
                let header = serde_json::to_string(&self.walk.header).unwrap_or_default();
                self.put(&mut piece, &format!(r#"{{"evidence":{header},"chains":["#));
                self.stage = Stage::Between(false);
            }
            Stage::Between(_) | Stage::Within(_) => {
                let is_begun = matches!(self.stage, Stage::Within(_));
                match self.walk.step(is_begun).await? {
                    Some(step) => self.step(&mut piece, step)?,
                    None => self.end(&mut piece),
                }
            }
            Stage::Done => return Ok(None),
        }
        Ok(Some(piece))
    }

    /// A text that counts, and a line break that does not.
    fn put(&mut self, piece: &mut String, text: &str) {
        self.hasher.update(text);
        piece.push_str(text);
        piece.push('\n');
    }

    fn step(&mut self, piece: &mut String, step: Step) -> Result<(), JournalError> {
        match step {
            Step::Chain(Chain { gateway, anchored, .. }) => {
                let comma = if self.stage == Stage::Between(true) { "," } else { "" };
                let (gateway, anchored) = (json(&gateway), json(&anchored));
                let text =
                    format!(r#"{comma}{{"gateway":{gateway},"anchored":{anchored},"entries":["#);
                self.put(piece, &text);
                self.stage = Stage::Within(false);
            }
            Step::Entries(entries) => {
                for (Chained { head, text }, is_asked) in entries {
                    let frame = if is_asked { shown } else { withheld };
                    let made = frame(&text, head.hash).ok_or_else(|| unreadable(head))?;
                    let comma = if self.stage == Stage::Within(true) { "," } else { "" };
                    self.put(piece, &format!("{comma}{made}"));
                    self.stage = Stage::Within(true);
                }
            }
            Step::End(Chain { head, .. }) => {
                self.put(piece, &format!(r#"],"head":{}}}"#, json(&head)));
                self.stage = Stage::Between(true);
            }
        }
        Ok(())
    }

    fn end(&mut self, piece: &mut String) {
        self.put(piece, "]");
        let digest = B256::from(<[u8; 32]>::from(self.hasher.clone().finalize()));
        // a string takes whatever is written to it
        writeln!(piece, r#","digest":"{digest}"}}"#).ok();
        self.stage = Stage::Done;
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn unreadable(head: ChainHead) -> JournalError {
    JournalError::Unavailable(format!("entry {} of a chain is no entry", head.sequence))
}
