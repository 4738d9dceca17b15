//! `countersign trace export|verify|replay`: evidence, written, verified and decided again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write as _},
    path::Path,
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use countersign_core::{
    evidence::{Anchor, EvidenceError, Summary, Verified, verify},
    identity::TraceHash,
    journal::{ChainHead, Entry},
    trace::DecisionRecord,
};
use countersign_engine::replay::{Instead, Library, Replayed, replay, stands};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{pretty, query};
use crate::{
    admin::AdminClient,
    cli::{AdminArgs, EvidenceForm, ExportArgs, Output, ReplayArgs, VerifyArgs},
    failure::Failure,
    policies,
    screen::{complain, escaped, plain, say},
};

/// How long a gateway may be silent within an export.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// How many pieces wait for their reader.
const PIECES_MAX: usize = 16;

/// Writes evidence as it comes.
pub(super) async fn export(args: ExportArgs) -> Result<(), Failure> {
    let ExportArgs { format, from, to, agent, session, out, admin } = args;
    let format = match format {
        EvidenceForm::Json => "json",
        EvidenceForm::Csv => "csv",
    };
    let query = query(&[
        ("format", Some(format.to_owned())),
        ("from", from),
        ("to", to),
        ("agent", agent),
        ("session", session),
    ]);
    let mut body = AdminClient::new(&admin)?.stream(&format!("/evidence{query}")).await?;
    let mut target: Box<dyn io::Write + Send> = match &out {
        Some(file) => Box::new(
            File::create_new(file)
                .map_err(|error| Failure::refused(format!("{}: {error}", file.display())))?,
        ),
        None => Box::new(io::stdout()),
    };
    let unwritten = |error: io::Error| Failure::failed(format!("it cannot be written: {error}"));
    while let Some(piece) = next(&mut body).await? {
        target.write_all(&piece).map_err(unwritten)?;
    }
    target.flush().map_err(unwritten)
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = tokio::time::timeout(SILENCE_MAX, body.frame()).await;
        let frame = frame.map_err(|_| Failure::failed("the gateway fell silent"))?;
        let Some(frame) = frame else { return Ok(None) };
        let frame =
            frame.map_err(|error| Failure::failed(format!("the export broke off: {error}")))?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
}

/// Verifies a file, or what the gateway would export now.
pub(super) async fn check(args: VerifyArgs) -> Result<(), Failure> {
    let VerifyArgs { file, anchor, admin, output } = args;
    let anchors = anchor.iter().map(|text| parse_anchor(text)).collect::<Result<Vec<_>, _>>()?;
    let look = move |source: &mut dyn Read| verify(source, &anchors, &mut |_| Ok(()));
    let summary = read(file.as_deref(), &admin, look).await?;
    match output.output {
        Output::Json => say(pretty(&json!(summary))),
        Output::Table => show(&summary),
    }
    Ok(())
}

/// `GATEWAY:SEQUENCE:0xHASH`, as `verify` prints it.
fn parse_anchor(text: &str) -> Result<Anchor, Failure> {
    let read = || {
        let (rest, hash) = text.rsplit_once(':')?;
        let (gateway, sequence) = rest.rsplit_once(':')?;
        let head = ChainHead { sequence: sequence.parse().ok()?, hash: hash.parse().ok()? };
        Some(Anchor { gateway: gateway.to_owned(), head })
    };
    let refused = |why: &str| Failure::refused(format!("--anchor `{}`: {why}", plain(text)));
    let anchor = read().ok_or_else(|| refused("expected GATEWAY:SEQUENCE:0xHASH"))?;
    if anchor.head.sequence == 0 {
        return Err(refused("every chain begins before its first entry, so this proves nothing"));
    }
    Ok(anchor)
}

fn show(summary: &Summary) {
    let Summary { header, chains, entries, withheld } = summary;
    say(format!("evidence of `{}`, {}: verified", header.app, header.exported_at));
    say(format!("durability class {}", plain(&header.durability)));
    for (kind, count) in entries {
        say(format!("{count} of kind {kind}"));
    }
    if *withheld > 0 {
        say(format!("{withheld} without their words: nobody asked for them"));
    }
    if chains.is_empty() {
        complain("it holds no chain: it proves nothing but that it says so");
    }
    for chain in chains {
        let ChainHead { sequence, hash } = chain.head;
        let anchored = match chain.anchored {
            Some(head) => format!("anchored in the ledger's log up to {}", head.sequence),
            None => "not anchored yet".to_owned(),
        };
        say(format!("head {}:{sequence}:{hash}, {anchored}", plain(&chain.gateway)));
    }
    complain(
        "what is behind the last anchored head can be cut off unseen: keep the heads, and give them with --anchor next time",
    );
}

/// Reads a document in a thread of its own: from a file, from the standard input (`-`), or from the gateway.
async fn read<T: Send + 'static>(
    file: Option<&Path>,
    admin: &AdminArgs,
    look: impl FnOnce(&mut dyn Read) -> Result<T, EvidenceError> + Send + 'static,
) -> Result<T, Failure> {
    let Some(file) = file else {
        let mut body = AdminClient::new(admin)?.stream("/evidence").await?;
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let mut pieces = Pieces { receiver, piece: Bytes::new() };
        let reader = tokio::task::spawn_blocking(move || look(&mut pieces));
        while let Some(piece) = next(&mut body).await? {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        return finish(reader.await, "what the gateway exports");
    };
    let name = file.display().to_string();
    let mut source: Box<dyn Read + Send> = if name == "-" {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file);
        Box::new(opened.map_err(|error| Failure::refused(format!("{name}: {error}")))?)
    };
    finish(tokio::task::spawn_blocking(move || look(&mut source)).await, &name)
}

fn finish<T>(
    looked: Result<Result<T, EvidenceError>, tokio::task::JoinError>,
    name: &str,
) -> Result<T, Failure> {
    let looked = looked.map_err(|error| Failure::failed(error.to_string()))?;
    looked.map_err(|error| Failure::failed(format!("{name}: {}", plain(&error.to_string()))))
}

/// Pieces of an answer, as a reader has them.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        let (front, _) = buffer.split_at_mut(count);
        self.piece.copy_to_slice(front);
        Ok(count)
    }
}

/// Decides again what is recorded in a file, or in the gateway's journals.
pub(super) async fn again(args: ReplayArgs) -> Result<(), Failure> {
    let ReplayArgs { file, policy, admin, output } = args;
    let mut replays = match &policy {
        Some(file) => Replays::instead(file)?,
        None => Replays::default(),
    };
    let form = output.output;
    let look = move |source: &mut dyn Read| {
        let see = &mut |verified: Verified<'_>| replays.see(verified, form);
        verify(source, &[], see).map(|_| replays)
    };
    let replays = read(file.as_deref(), &admin, look).await?;
    replays.tell(form)
}

/// What replays came to, so far.
#[derive(Debug, Default)]
struct Replays {
    library: Library,
    instead: Option<Instead>,
    equal: u64,
    different: u64,
    unjudged: u64,
    attestations: u64,
    unchanged: u64,
    elsewhere: u64,
    changed: BTreeMap<String, u64>,
}

impl Replays {
    fn instead(file: &Path) -> Result<Self, Failure> {
        let policy = policies::parse(file)?;
        Ok(Self { instead: Some(Instead::new(policy)), ..Self::default() })
    }

    fn see(&mut self, verified: Verified<'_>, form: Output) -> Result<(), String> {
        match verified.entry {
            Entry::Policy { policy, canonical } => {
                self.library.pin(policy, &canonical).map_err(|error| error.to_string())
            }
            Entry::Decision { trace_hash, decision, status } => {
                if !stands(&decision, status) {
                    let why = format!("never stood as `{}` at once", status.name());
                    self.otherwise((trace_hash, "intake"), &why, form);
                }
                self.decision((trace_hash, "intake"), &decision, form)
            }
            Entry::Update { trace_hash, update } => update.again.map_or(Ok(()), |again| {
                self.decision((trace_hash, again.occasion.name()), &again.decision, form)
            }),
            Entry::Attestation { .. } => {
                self.attestations = self.attestations.saturating_add(1);
                Ok(())
            }
            Entry::Incident(_) => Ok(()),
        }
    }

    fn decision(
        &mut self,
        (trace, occasion): (TraceHash, &str),
        record: &DecisionRecord,
        form: Output,
    ) -> Result<(), String> {
        match replay(record, &self.library).map_err(|error| error.to_string())? {
            Replayed::Equal => self.equal = self.equal.saturating_add(1),
            Replayed::Unjudged => self.unjudged = self.unjudged.saturating_add(1),
            Replayed::Unfounded => {
                let why = "claims an outcome, and has no facts that it would follow from";
                self.otherwise((trace, occasion), why, form);
            }
            Replayed::Differs { recorded, decided } => {
                self.different = self.different.saturating_add(1);
                tell_difference((trace, occasion), (&recorded, &decided), form);
            }
        }
        let Some(instead) = &mut self.instead else { return Ok(()) };
        let compared = instead.compare(record, &self.library).map_err(|error| error.to_string())?;
        let Some(compared) = compared else {
            self.elsewhere = self.elsewhere.saturating_add(1);
            return Ok(());
        };
        let (before, after) = (compared.before, compared.after);
        if before == after {
            self.unchanged = self.unchanged.saturating_add(1);
            return Ok(());
        }
        let words = format!("{} -> {}", before.outcome, after.outcome);
        let agent = record.agent_id.as_ref().map(ToString::to_string).unwrap_or_default();
        match form {
            Output::Json => say_line(&json!({
                "trace": trace, "occasion": occasion, "at": record.created_at, "agent": agent,
                "before": {"outcome": before.outcome, "code": before.code},
                "after": {"outcome": after.outcome, "code": after.code},
            })),
            Output::Table => say(format!(
                "{trace} {} {agent} {words} [{}] -> [{}]",
                record.created_at,
                plain(&before.code),
                plain(&after.code)
            )),
        }
        let count = self.changed.entry(words).or_default();
        *count = count.saturating_add(1);
        Ok(())
    }

    /// A record that says what cannot have been decided.
    fn otherwise(&mut self, (trace, occasion): (TraceHash, &str), why: &str, form: Output) {
        self.different = self.different.saturating_add(1);
        match form {
            Output::Json => {
                say_line(&json!({"trace": trace, "occasion": occasion, "wrong": why}));
            }
            Output::Table => say(format!("{trace} ({occasion}) {why}")),
        }
    }

    fn tell(self, form: Output) -> Result<(), Failure> {
        let Self { equal, different, unjudged, attestations, .. } = self;
        let Self { instead, unchanged, elsewhere, changed, .. } = self;
        let compared = instead.is_some();
        match form {
            Output::Json => {
                let mut counts = json!({
                    "equal": equal, "different": different, "unjudged": unjudged,
                    "attestations": attestations,
                });
                if let Some(counts) = counts.as_object_mut().filter(|_| compared) {
                    let other = json!({"changed": changed, "unchanged": unchanged, "not_concerned": elsewhere});
                    counts.insert("policy".into(), other);
                }
                say(counts.to_string());
            }
            Output::Table => {
                say(format!(
                    "{equal} decisions are decided again byte for byte, {different} differ"
                ));
                say(format!(
                    "{unjudged} were refused without being judged, {attestations} are attestations"
                ));
                if compared {
                    for (words, count) in changed {
                        say(format!("{words}: {count}"));
                    }
                    say(format!("unchanged: {unchanged}, not under this policy: {elsewhere}"));
                }
            }
        }
        if different > 0 {
            return Err(Failure::failed(format!(
                "{different} decisions are decided otherwise now"
            )));
        }
        Ok(())
    }
}

/// A line of JSON, whatever texts are in it.
fn say_line(value: &Value) {
    say(escaped(&value.to_string()));
}

/// The first members that differ.
fn tell_difference((trace, occasion): (TraceHash, &str), texts: (&str, &str), form: Output) {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let (recorded, decided) = (read(texts.0), read(texts.1));
    let empty = serde_json::Map::new();
    let (old, new) =
        (recorded.as_object().unwrap_or(&empty), decided.as_object().unwrap_or(&empty));
    let names: Vec<&String> =
        old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
    let differ: Vec<&String> =
        names.into_iter().filter(|name| old.get(*name) != new.get(*name)).collect();
    match form {
        Output::Json => say_line(
            &json!({"trace": trace, "occasion": occasion, "differs": differ, "recorded": recorded, "decided": decided}),
        ),
        Output::Table => {
            let names: Vec<&str> = differ.iter().map(|name| name.as_str()).collect();
            say(format!("{trace} ({occasion}) differs in {}", names.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_a_head_that_proves_something() {
        let zero = format!("0x{}", "0".repeat(64));
        for text in ["gateway-1:7", "gateway-1:7:0x1", "7", "", &format!("gateway-1:0:{zero}")] {
            assert!(parse_anchor(text).is_err(), "{text}");
        }
        let anchor = parse_anchor(&format!("a:b:7:{zero}")).unwrap();
        assert_eq!((anchor.gateway.as_str(), anchor.head.sequence), ("a:b", 7));
    }
}
