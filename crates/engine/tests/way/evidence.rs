//! Journals as evidence: written, verified, tampered with, and decided again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use countersign_core::{
    action::Effect,
    charge::{Overrun, Reading},
    evidence::{Anchor, EvidenceError, FORMAT, Filter, Header, Summary, verify},
    fact::{Fact, Facts},
    identity::{AgentId, AppId, OperationId, PolicyId, TraceHash},
    incident::{Incident, IncidentMove, IncidentStatus, Occurrence, Severity, Taken},
    intent::Intent,
    journal::{ChainHead, Entry, Kind, Written},
    time::Millis,
    trace::{DecisionRecord, TraceRecord, TraceStatus, TraceUpdate},
};
use countersign_engine::{
    Engine,
    evidence::{Document, Walk, sheet::Sheet},
    port::{
        Journal, Ledger as _,
        journal::{
            Chain, Chained, ENTRIES_MAX, IncidentAnswer, IncidentQuery, JournalError, NewTrace,
            Page, TraceQuery,
        },
    },
    replay::{Compared, Instead, Library, Replayed, decided, replay, stands},
    submission::Answer,
};
use countersign_policy::{Policies, Policy};
use countersign_testkit::{fixture, replay::Replays};
use sha2::{Digest, Sha256};

use crate::house::{House, PAYEE, POLICY, STRANGER, operator, send, take};

/// A gateway that allowed, denied, parked, was overruled, bumped, and heard from a client.
async fn busy() -> (House, Arc<Engine>) {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, PAYEE, 50)).await);
    take(engine.submit(send(&house, STRANGER, 50)).await);
    let parked = take(engine.submit(send(&house, PAYEE, 200)).await);
    let Answer::Pending(parked) = parked else { panic!("{parked:?}") };
    let bob = operator("bob");
    let digest = house.ledger.operation(parked.operation).await.unwrap().unwrap().digest.unwrap();
    engine.approve(&bob, parked.operation, digest, Some("=1+1".into())).await.unwrap();
    house.settle_down(&engine).await;
    let journal = &engine.ports().journal;
    journal.record(&attestation()).await.unwrap();
    journal.raise(&occurrence()).await.unwrap();
    let step = IncidentMove {
        to: Some(IncidentStatus::Resolved),
        by: "bob".into(),
        note: Some("=1+1".into()),
        at: fixture::at("2026-01-01T13:00:00Z"),
        seen: Some(vec![1]),
    };
    let answer = journal.change_incident("inc_1", &step).await.unwrap();
    assert!(matches!(answer, IncidentAnswer::Changed(_)), "{answer:?}");
    (house, engine)
}

fn attestation() -> NewTrace {
    let decision = DecisionRecord {
        operation_id: None,
        created_at: fixture::at("2026-01-01T12:30:00Z"),
        agent_id: Some(AgentId::parse("poster").unwrap()),
        session_key_hash: None,
        session: None,
        reasoning: Some("=HYPERLINK(\"http://x\")".into()),
        proposed_action: serde_json::json!({"much": 1e21, "little": 0.1}),
        validation_result: serde_json::Value::Null,
        policy_verdicts: Vec::new(),
        risk_score: 0,
        blocked_by: None,
        policy: None,
        guards: Vec::new(),
        facts: None,
        intent: None,
        charges: Vec::new(),
        gates: Vec::new(),
        overruns: Vec::new(),
        crowded: None,
    };
    let status = TraceStatus::Executed;
    NewTrace {
        trace_hash: decision.hash(),
        decision,
        status,
        posted: Some(fixture::posted("alice")),
        canonical: None,
    }
}

fn occurrence() -> Occurrence {
    Occurrence {
        id: "inc_1".into(),
        code: "conflict".into(),
        cause: String::new(),
        severity: Severity::High,
        title: "a foreign transaction".into(),
        description: String::new(),
        agent: None,
        session: None,
        traces: Vec::new(),
        count: 1,
        at: fixture::at("2026-01-01T12:40:00Z"),
    }
}

fn header(filter: Filter) -> Header {
    Header {
        format: FORMAT.into(),
        app: AppId::parse("default").unwrap(),
        exported_at: fixture::at("2026-01-02T00:00:00Z"),
        durability: "A".into(),
        filter,
    }
}

async fn document(journal: Arc<dyn Journal>, filter: Filter) -> String {
    let mut document = Document::new(Walk::begin(journal, header(filter)).await.unwrap());
    let mut text = String::new();
    while let Some(piece) = document.next().await.unwrap() {
        text.push_str(&piece);
    }
    text
}

async fn of(house: &House, filter: Filter) -> String {
    document(Arc::new(house.journals.journal("reader")), filter).await
}

fn check(text: &str, anchors: &[Anchor]) -> Result<Summary, EvidenceError> {
    verify(text.as_bytes(), anchors, &mut |_| Ok(()))
}

fn anchors(summary: &Summary) -> Vec<Anchor> {
    let anchor = |chain: &countersign_core::evidence::ChainSummary| Anchor {
        gateway: chain.gateway.clone(),
        head: chain.head,
    };
    summary.chains.iter().map(anchor).collect()
}

/// The document as a forger leaves it, who knows how its last line is made.
fn sealed(lines: &[String]) -> String {
    let counts: String = lines.iter().map(String::as_str).collect();
    let digest = B256::from(<[u8; 32]>::from(Sha256::digest(&counts)));
    format!("{counts},\"digest\":\"{digest}\"}}")
}

/// Its lines but for the last; of those, where its entries are.
fn lines(text: &str) -> (Vec<String>, std::ops::Range<usize>) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop();
    let first = lines.iter().position(|line| line.contains("\"gateway\":")).unwrap() + 1;
    let last = lines.iter().rposition(|line| line.starts_with("],\"head\":")).unwrap();
    (lines, first..last)
}

#[tokio::test(start_paused = true)]
async fn whatever_happened_is_verified_and_decided_again() {
    let (house, _engine) = busy().await;
    let text = of(&house, Filter::default()).await;
    let summary = check(&text, &[]).unwrap();
    check(&text, &anchors(&summary)).unwrap();
    let count = |kind: Kind| summary.entries.get(kind.name()).copied().unwrap_or_default();
    assert_eq!((count(Kind::Policy), count(Kind::Decision)), (1, 3), "{summary:?}");
    assert_eq!((count(Kind::Attestation), count(Kind::Incident)), (1, 2));
    let Replays { equal, unjudged, faults } = house.replayed();
    assert_eq!((equal, unjudged, faults.len()), (4, 0, 0), "three at intake, one at redemption");
    // white space outside of texts means nothing
    let spaced = text.replace("\"said\":", " \t\"said\" : ").replace('\n', "\r\n\r\n");
    assert_ne!(spaced, text);
    assert_eq!(check(&spaced, &[]).unwrap(), summary);
}

#[tokio::test(start_paused = true)]
async fn every_changed_byte_of_a_document_is_found() {
    let house = House::new();
    let engine = house.gateway().await;
    take(engine.submit(send(&house, STRANGER, 50)).await);
    let text = of(&house, Filter::default()).await;
    check(&text, &[]).unwrap();
    let space = |byte: u8| byte.is_ascii_whitespace();
    let (mut tried, step) = (0, 5);
    for at in (0..text.len()).step_by(step) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << (at / step % 8);
        if space(text.as_bytes()[at]) && space(bytes[at]) {
            continue;
        }
        assert!(verify(&bytes[..], &[], &mut |_| Ok(())).is_err(), "bit at {at} of {text}");
        tried += 1;
    }
    assert!(tried > 500, "{tried}");
    for end in (0..text.trim_end().len()).step_by(step) {
        assert!(check(text.get(..end).unwrap(), &[]).is_err(), "cut at {end}");
    }
    assert!(check(&format!("{text}x"), &[]).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_forger_who_seals_the_document_anew_is_found() {
    let (house, _engine) = busy().await;
    let text = of(&house, Filter::default()).await;
    let summary = check(&text, &[]).unwrap();
    let known = anchors(&summary);
    let (whole, entries) = lines(&text);
    assert_eq!(check(&sealed(&whole), &known).unwrap(), summary);
    let found = |lines: &[String], what: &str| {
        let answer = check(&sealed(lines), &known);
        assert!(answer.is_err(), "{what}: {answer:?}");
    };
    for at in entries.clone() {
        let mut other = whole.clone();
        other.remove(at);
        if at == entries.start {
            other[at] = other[at].trim_start_matches(',').to_owned();
        }
        found(&other, "deleted");
        let mut other = whole.clone();
        other.truncate(at);
        other.extend(whole[entries.end..].iter().cloned());
        found(&other, "cut off");
        let mut other = whole.clone();
        other[at] = whole[at].replacen("\"said\":{", "\"said\":{\"more\":1,", 1);
        found(&other, "an added field");
        other[at] = whole[at].replacen("\"said\":", "\"said\":{},\"said\":", 1);
        found(&other, "a duplicated key");
        other[at] = whole[at].replacen("\"about\":{", "\"about\":{\"id\":\"x\",", 1);
        found(&other, "about something else");
        if at + 1 < entries.end {
            let mut other = whole.clone();
            let (one, two) =
                (whole[at].trim_start_matches(','), whole[at + 1].trim_start_matches(','));
            let comma = if at == entries.start { "" } else { "," };
            (other[at], other[at + 1]) = (format!("{comma}{two}"), format!(",{one}"));
            found(&other, "swapped");
        }
    }
    for (from, to) in [
        ("\"app\":\"default\"", "\"app\":\"other\",\"app\":\"default\""),
        ("\"durability\":\"A\"", "\"durability\":\"A\",\"more\":1"),
        ("\"anchored\":null", "\"anchored\":null,\"more\":1"),
        ("\"format\":\"countersign-evidence/1\"", "\"format\":\"countersign-evidence/2\""),
    ] {
        let other: Vec<String> = whole.iter().map(|line| line.replacen(from, to, 1)).collect();
        assert_ne!(other, whole, "{from}");
        found(&other, from);
    }
}

/// The chain that a forger makes of other entries.
fn forged(lines: &[String], entries: std::ops::Range<usize>, texts: &[String]) -> Vec<String> {
    let mut head = ChainHead::START;
    let mut made = Vec::new();
    for text in texts {
        head = head.behind(text).unwrap();
        let comma = if made.is_empty() { "" } else { "," };
        made.push(format!(
            "{comma}{}",
            countersign_core::evidence::shown(text, head.hash).unwrap()
        ));
    }
    let end = format!("],\"head\":{}}}", serde_json::to_string(&head).unwrap());
    let mut other: Vec<String> = lines.iter().take(entries.start).cloned().collect();
    other.extend(made);
    other.push(end);
    other.extend(lines.iter().skip(entries.end + 1).cloned());
    other
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_was_made_anew_is_found_by_a_head_that_is_known() {
    let (house, _engine) = busy().await;
    let text = of(&house, Filter::default()).await;
    let known = anchors(&check(&text, &[]).unwrap());
    let (whole, entries) = lines(&text);
    let (_, chain) = house.journals.chains().remove(0);
    let texts: Vec<String> = chain.into_iter().map(|entry| entry.text).collect();
    check(&sealed(&forged(&whole, entries.clone(), &texts)), &known).unwrap();
    let last = texts[..texts.len() - 1].to_vec();
    let shorter = sealed(&forged(&whole, entries.clone(), &last));
    check(&shorter, &[]).unwrap();
    let said = check(&shorter, &known).unwrap_err().to_string();
    assert!(said.contains("ends before its anchored entry"), "{said}");
    // a decision that never was, in a form that no journal writes
    let lie = texts[1].replacen("\"riskScore\":", "\"riskScore\":1,\"riskScore\":", 1);
    let mut lies = texts.clone();
    lies[1] = lie;
    assert!(check(&sealed(&forged(&whole, entries.clone(), &lies)), &[]).is_err());
    // a decision without the policy that it was made under
    let said = check(&sealed(&forged(&whole, entries, &texts[1..])), &[]).unwrap_err().to_string();
    assert!(said.contains("is not in the chain"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_cannot_be_left_out_of_what_is_shown() {
    let (house, _engine) = busy().await;
    let agent =
        |name: &str| Filter { agent: Some(AgentId::parse(name).unwrap()), ..Filter::default() };
    let text = of(&house, agent("trader")).await;
    let summary = check(&text, &[]).unwrap();
    assert_eq!((summary.entries["decision"], summary.entries.get("attestation")), (3, None));
    assert!(summary.withheld >= 2, "the attestation and the incident are another's: {summary:?}");
    assert!(!text.contains("HYPERLINK"), "{text}");
    let (whole, entries) = lines(&text);
    let mut left_out = 0;
    for at in entries {
        let Some((front, said)) = whole[at].split_once("\"said\":") else { continue };
        let digest = B256::from(<[u8; 32]>::from(Sha256::digest(said.strip_suffix('}').unwrap())));
        let mut other = whole.clone();
        other[at] = format!("{front}\"withheld\":\"{digest}\"}}");
        let answer = check(&sealed(&other), &anchors(&summary));
        assert!(answer.is_err(), "{}", whole[at]);
        left_out += 1;
    }
    assert!(left_out > 6, "{left_out}");
    let other = check(&of(&house, agent("poster")).await, &[]).unwrap();
    assert_eq!((other.entries["attestation"], other.entries.get("decision")), (1, None));
    let at = |text| Some(fixture::at(text));
    let early = Filter { to: at("2026-01-01T12:30:00Z"), ..Filter::default() };
    let early = check(&of(&house, early).await, &[]).unwrap();
    assert_eq!((early.entries["decision"], early.entries.get("attestation")), (3, None));
    let late = Filter { from: at("2026-01-01T12:30:00Z"), ..Filter::default() };
    let late = check(&of(&house, late).await, &[]).unwrap();
    assert_eq!((late.entries.get("decision"), late.entries["incident"]), (None, 2));
    assert_eq!(anchors(&late), anchors(&early), "every document has every chain to its end");
}

#[tokio::test(start_paused = true)]
async fn a_table_for_people_has_no_formulas() {
    let (house, _engine) = busy().await;
    let walk =
        Walk::begin(Arc::new(house.journals.journal("reader")), header(Filter::default())).await;
    let (mut sheet, mut text) = (Sheet::new(walk.unwrap()), String::new());
    while let Some(rows) = sheet.next().await.unwrap() {
        text.push_str(&rows);
    }
    let rows: Vec<&str> = text.split_terminator("\r\n").collect();
    let entries: usize = house.journals.chains().iter().map(|(_, chain)| chain.len()).sum();
    assert_eq!(rows.len(), entries + 1);
    assert!(rows[0].starts_with("\"gateway\",\"sequence\""));
    assert!(text.contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "{text}");
    for word in ["attestation", "redemption", "no_rule_allows", "pending_approval", "bob"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // commas outside of quotes
    let commas = |row: &&str| row.split('"').step_by(2).map(|part| part.matches(',').count()).sum();
    assert_eq!(rows.iter().map(commas).collect::<Vec<usize>>(), vec![24; rows.len()], "{text}");
}

#[tokio::test(start_paused = true)]
async fn another_policy_says_what_would_have_changed() {
    let (house, _engine) = busy().await;
    let changed = |policy: &str| {
        let policy = Policy::parse(policy, "trader.yaml").unwrap();
        let (mut instead, mut library) = (Instead::new(policy), Library::default());
        let mut found: Vec<(String, String)> = Vec::new();
        for (_, chain) in house.journals.chains() {
            for Chained { text, .. } in chain {
                let said = Written::parse(&text).unwrap().said().to_owned();
                let record = match serde_json::from_str(&said).unwrap() {
                    Entry::Policy { policy, canonical } => {
                        library.pin(policy, &canonical).unwrap();
                        continue;
                    }
                    Entry::Decision { decision, .. } => *decision,
                    _ => continue,
                };
                let compared = instead.compare(&record, &library).unwrap();
                let Some(Compared { before, after }) = compared else { continue };
                let word = |ended: countersign_engine::replay::Ended| {
                    format!("{} {}", ended.outcome, ended.code).trim().to_owned()
                };
                found.push((word(before), word(after)));
            }
        }
        found
    };
    let pairs = |pairs: [(&str, &str); 3]| pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
    let allowed = ("allow", "allow");
    let stranger = ("deny no_rule_allows", "deny no_rule_allows");
    let parked = ("park amount_above_threshold", "park amount_above_threshold");
    assert_eq!(changed(POLICY), pairs([allowed, stranger, parked]));
    let tighter = POLICY.replace("max: 500", "max: 150").replace("max: 100,", "max: 40,");
    let asked = ("allow", "park amount_above_threshold");
    let refused = ("park amount_above_threshold", "deny per_tx_limit_exceeded");
    assert_eq!(changed(&tighter), pairs([asked, stranger, refused]));
    // a window that the store was never asked about is counted from what was decided
    let window = POLICY.replace("max: 1000", "max: 220");
    let over = ("park amount_above_threshold", "deny rolling_limit_exceeded");
    assert_eq!(changed(&window), pairs([allowed, stranger, over]));
    let other = POLICY.replace("policy: trader", "policy: somebody-else");
    assert_eq!(changed(&other), []);
}

/// A journal that nobody could hold: its entries are made as they are asked for.
#[derive(Debug)]
struct Endless {
    length: u64,
    text: String,
    asked: AtomicU64,
    most: AtomicUsize,
}

fn only_read<T>() -> Result<T, JournalError> {
    Err(JournalError::Unavailable("it is only read".into()))
}

impl Endless {
    fn new(length: u64) -> Self {
        let text = Entry::Policy {
            policy: PolicyId(countersign_core::journal::sha256("{}")),
            canonical: "{}".into(),
        };
        Self { length, text: text.text(), asked: AtomicU64::new(0), most: AtomicUsize::new(0) }
    }

    fn head(sequence: u64) -> ChainHead {
        // what a real journal has stored with each entry; here nobody verifies it
        ChainHead { sequence, hash: B256::from(U256::from(sequence)) }
    }
}

#[async_trait]
impl Journal for Endless {
    async fn pin(&self, _: PolicyId, _: &str) -> Result<(), JournalError> {
        only_read()
    }
    async fn record(&self, _: &NewTrace) -> Result<bool, JournalError> {
        only_read()
    }
    async fn update(&self, _: TraceHash, _: &TraceUpdate) -> Result<(), JournalError> {
        only_read()
    }
    async fn trace(&self, _: TraceHash) -> Result<Option<TraceRecord>, JournalError> {
        only_read()
    }
    async fn traces(&self, _: &TraceQuery) -> Result<Page<TraceRecord>, JournalError> {
        only_read()
    }
    async fn raise(&self, _: &Occurrence) -> Result<Taken, JournalError> {
        only_read()
    }
    async fn incident(&self, _: &str) -> Result<Option<Incident>, JournalError> {
        only_read()
    }
    async fn incidents(&self, _: &IncidentQuery) -> Result<Page<Incident>, JournalError> {
        only_read()
    }
    async fn change_incident(
        &self,
        _: &str,
        _: &IncidentMove,
    ) -> Result<IncidentAnswer, JournalError> {
        only_read()
    }
    async fn chains(&self) -> Result<Vec<Chain>, JournalError> {
        let head = Self::head(self.length);
        Ok(vec![Chain { gateway: "endless".into(), head, anchored: None }])
    }
    async fn entries(&self, _: &str, after: u64, limit: u32) -> Result<Vec<Chained>, JournalError> {
        assert!(limit <= ENTRIES_MAX);
        let end = self.length.min(after + u64::from(limit));
        self.asked.fetch_add(end - after, Ordering::Relaxed);
        let made =
            (after + 1..=end).map(|n| Chained { head: Self::head(n), text: self.text.clone() });
        let made: Vec<Chained> = made.collect();
        self.most.fetch_max(made.len(), Ordering::Relaxed);
        Ok(made)
    }
}

#[tokio::test]
async fn however_long_a_journal_is_only_a_page_of_it_is_held() {
    const LENGTH: u64 = 200_000;
    let journal = Arc::new(Endless::new(LENGTH));
    let walk = Walk::begin(journal.clone(), header(Filter::default())).await.unwrap();
    let (mut document, mut longest, mut whole) = (Document::new(walk), 0, 0);
    while let Some(piece) = document.next().await.unwrap() {
        longest = longest.max(piece.len());
        whole += piece.len();
    }
    assert_eq!(journal.asked.load(Ordering::Relaxed), LENGTH, "each once");
    let page = journal.most.load(Ordering::Relaxed);
    assert!(page <= 256, "{page}");
    assert!(longest < 300 * 512 && whole > 50_000_000, "{longest} of {whole}");
}

/// How many decisions are decided again.
const REPLAYS: u64 = 100_000;

/// A decision's facts with another amount, time and price.
fn varied(template: &DecisionRecord, n: u64) -> (Intent, Facts) {
    let (mut intent, mut facts) =
        (template.intent.clone().unwrap(), template.facts.clone().unwrap());
    let wei = U256::from(n * 7_919 % 700_000) * U256::from(1_000_000_000_000_u64);
    fixture::plan_mut(&mut intent).value = wei;
    for action in &mut facts.actions {
        action.value_wei = wei;
        if let Effect::Transfer { amount, .. } = &mut action.effect {
            *amount = wei;
        }
    }
    facts.at = facts.at.after(Millis(n * 1013));
    if n.is_multiple_of(11) {
        let gone = Fact::Unknown("no source answers".into());
        facts.tokens.iter_mut().for_each(|token| token.price = gone.clone());
    }
    (intent, facts)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is shown, and nothing depends on it"
)]
#[tokio::test(start_paused = true)]
async fn decisions_of_every_kind_are_decided_again_from_their_text() {
    let (house, _engine) = busy().await;
    let grant = Policy::parse(POLICY, "trader.yaml").unwrap();
    let policies = Policies { grant: grant.clone(), guards: Vec::new() };
    let mut library = Library::default();
    library.pin(grant.id(), &grant.canonical_json()).unwrap();
    let templates: Vec<DecisionRecord> = house
        .journals
        .all()
        .into_iter()
        .map(|t| t.decision)
        .filter(|d| d.facts.is_some())
        .collect();
    let (mut outcomes, began) = (std::collections::BTreeSet::new(), std::time::Instant::now());
    for n in 0..REPLAYS {
        let template = &templates[usize::try_from(n).unwrap() % templates.len()];
        let (intent, facts) = varied(template, n);
        let id = OperationId::from_random(u128::from(n).to_be_bytes());
        let first = decided(id, (&intent, &facts), &policies, (&[], None));
        // some are overrun in the store
        let record = if n % 5 == 0 && !first.charges.is_empty() {
            let reading = Reading { settled: n, ..Reading::default() };
            let over = vec![Overrun { index: 0, reading }];
            decided(id, (&intent, &facts), &policies, (&[over], None))
        } else {
            first
        };
        let status = TraceStatus::Allowed;
        let (trace_hash, canonical) = (record.hash(), None);
        let new = NewTrace { trace_hash, decision: record, status, posted: None, canonical };
        let text = new.entry().text();
        let of_client = NewTrace { posted: Some(fixture::posted("ann")), ..new.clone() };
        for new in [&new, &of_client] {
            let (line, canonical) = new.line();
            assert_eq!(line, new.entry().line(), "written from what was hashed");
            let tree = serde_json::to_value(&new.decision).unwrap();
            assert_eq!(canonical, tree.to_string(), "as anybody else would sort it");
        }
        let said = Written::parse(&text).unwrap().said().to_owned();
        let Entry::Decision { decision, .. } = serde_json::from_str(&said).unwrap() else {
            panic!()
        };
        assert_eq!(replay(&decision, &library), Ok(Replayed::Equal), "{text}");
        let validation = decision.validation_result.as_str().unwrap().to_owned();
        let validation: serde_json::Value = serde_json::from_str(&validation).unwrap();
        outcomes.insert((validation["outcome"].to_string(), validation["code"].to_string()));
    }
    println!("{REPLAYS} decided again in {:?}: {outcomes:?}", began.elapsed());
    assert!(outcomes.len() >= 5, "{outcomes:?}");
}

/// Whoever can write a journal could take the facts away, or say that a refusal was an allowance.
#[tokio::test(start_paused = true)]
async fn a_record_that_claims_what_it_does_not_show_is_not_taken_for_unjudged() {
    let (house, _engine) = busy().await;
    let mut library = Library::default();
    let mut seen = 0;
    for (_, chain) in house.journals.chains() {
        for entry in chain {
            let said = serde_json::from_str(Written::parse(&entry.text).unwrap().said()).unwrap();
            let (decision, status) = match said {
                Entry::Policy { policy, canonical } => {
                    library.pin(policy, &canonical).unwrap();
                    continue;
                }
                Entry::Decision { decision, status, .. } => (*decision, status),
                _ => continue,
            };
            seen += 1;
            let all = [
                TraceStatus::Allowed,
                TraceStatus::PendingApproval,
                TraceStatus::Blocked,
                TraceStatus::Executed,
            ];
            let stood: Vec<_> = all.into_iter().filter(|s| stands(&decision, *s)).collect();
            assert_eq!(stood, [status]);
            let bare = DecisionRecord { facts: None, ..decision.clone() };
            assert_eq!(replay(&bare, &library), Ok(Replayed::Unfounded));
            let barer = DecisionRecord {
                intent: None,
                operation_id: None,
                charges: Vec::new(),
                gates: Vec::new(),
                policy_verdicts: Vec::new(),
                ..bare
            };
            let claims = if status == TraceStatus::Blocked {
                Replayed::Unjudged
            } else {
                Replayed::Unfounded
            };
            assert_eq!(replay(&barer, &library), Ok(claims));
            let unruled = DecisionRecord { policy: None, guards: Vec::new(), ..decision };
            assert_eq!(replay(&unruled, &library), Ok(Replayed::Unfounded));
        }
    }
    assert_eq!(seen, 3);
}
