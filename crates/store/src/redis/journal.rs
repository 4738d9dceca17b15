//! Decision records: one chain of entries per gateway, and what came of them.

mod entry;
mod writer;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use countersign_core::{
    identity::{PolicyId, TraceHash},
    incident::{Incident, IncidentMove, IncidentStatus, Occurrence, Severity, Taken},
    journal::ChainHead,
    time::{Millis, Timestamp},
    trace::{TraceRecord, TraceUpdate},
};
use countersign_engine::port::{
    Journal,
    journal::{
        Chain, Chained, ENTRIES_MAX, IncidentAnswer, IncidentQuery, JournalError, NewTrace,
        PAGE_BYTES_MAX, Page, ROUNDS_MAX, TRACES_BYTES_MAX, TraceQuery,
    },
    ledger::LedgerError,
};
use sha2::{Digest, Sha256};

use self::{
    entry::{
        Put, cursor_call, incident_key, maybe_incident, parse_chained, parse_head, pin_line,
        put_call, put_line, read_incident, read_trace, record_call, session_key, update_call,
        update_line,
    },
    writer::{Appended, Change, Writer},
};
use super::{
    link::{Call, Link},
    reply::Reply,
    scripts::Script,
};

/// The most that one page holds.
const PAGE_MAX: u32 = 1000;

/// The journal of one app in Redis, written under one gateway's name.
#[derive(Debug)]
pub(super) struct RedisJournal {
    link: Arc<Link>,
    writer: Arc<Writer>,
}

impl RedisJournal {
    pub(super) fn new(link: Arc<Link>, gateway: String, Millis(patience): Millis) -> Self {
        let writer = Writer::new(Arc::clone(&link), gateway, Duration::from_millis(patience));
        Self { link, writer: Arc::new(writer) }
    }
}

/// How a gateway's chain is called in a key.
pub(super) fn gateway_hash(gateway: &str) -> String {
    hex::encode(Sha256::digest(gateway))
}

#[async_trait]
impl Journal for RedisJournal {
    async fn pin(&self, policy: PolicyId, canonical: &str) -> Result<(), JournalError> {
        let entry = (Change::PinPolicy, pin_line(policy, canonical));
        self.writer.append(entry, Call::new().arg("policy", policy)).await.map(drop)
    }

    async fn record(&self, entry: &NewTrace) -> Result<bool, JournalError> {
        let (line, text) = entry.line();
        let made = self.writer.append((Change::RecordTrace, line), record_call(entry, &text));
        made.await.map(|made| made == Appended::Now)
    }

    async fn update(&self, trace: TraceHash, update: &TraceUpdate) -> Result<(), JournalError> {
        let entry = (Change::UpdateTrace, update_line(trace, update));
        let made = self.writer.append(entry, update_call(trace, update));
        let missing = || JournalError::Unavailable(format!("there is no trace {trace}"));
        match made.await? {
            Appended::Now | Appended::Before => Ok(()),
            Appended::Missing => Err(missing()),
        }
    }

    async fn trace(&self, trace: TraceHash) -> Result<Option<TraceRecord>, JournalError> {
        let call = Call::new().arg("trace", trace);
        let answer = self.link.run(Script::Trace, call).await.map_err(unavailable)?;
        if answer.is_empty() {
            return Ok(None);
        }
        read_trace(&answer).map(Some).map_err(unavailable)
    }

    async fn traces(&self, query: &TraceQuery) -> Result<Page<TraceRecord>, JournalError> {
        let TraceQuery { status, agent, session, operation, from, to, limit, cursor } = query;
        let call = Call::new()
            .maybe("status", status.map(countersign_core::trace::TraceStatus::name))
            .maybe("agent", agent.as_ref())
            .maybe("session", session.as_deref().map(session_key))
            .maybe("operation", *operation)
            .maybe("from", from.map(Timestamp::millis))
            .maybe("to", to.map(Timestamp::millis))
            .arg("limit", (*limit).min(PAGE_MAX))
            .arg("bytes", TRACES_BYTES_MAX);
        let call = cursor_call(call, cursor.as_deref())?;
        let answer = self.link.run(Script::Traces, call).await.map_err(unavailable)?;
        page(answer, read_trace).map_err(unavailable)
    }

    async fn raise(&self, occurrence: &Occurrence) -> Result<Taken, JournalError> {
        for _ in 0..ROUNDS_MAX {
            let current = self.incident_of(&occurrence.group()).await.map_err(unavailable)?;
            let taken = Taken::of(occurrence, current.as_ref());
            let put = match &taken {
                Taken::Before => return Ok(taken),
                Taken::New(incident) => Put {
                    incident,
                    before: None,
                    replaces: current.as_ref(),
                    step: incident.last_step().map(|step| step.what),
                },
                Taken::More(incident, step) => {
                    Put { incident, before: current.as_ref(), replaces: None, step: *step }
                }
            };
            if self.put(&put).await? {
                return Ok(taken);
            }
        }
        Err(too_many_changes())
    }

    async fn incident(&self, id: &str) -> Result<Option<Incident>, JournalError> {
        let call = Call::new().arg("incident", incident_key(id));
        let answer = self.link.run(Script::Incident, call).await;
        answer.and_then(|reply| maybe_incident(&reply)).map_err(unavailable)
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, JournalError> {
        let IncidentQuery { status, severity, agent, from, to, limit, cursor } = query;
        let call = Call::new()
            .maybe("status", status.map(IncidentStatus::name))
            .maybe("severity", severity.map(Severity::name))
            .maybe("agent", agent.as_ref())
            .maybe("from", from.map(Timestamp::millis))
            .maybe("to", to.map(Timestamp::millis))
            .arg("limit", (*limit).min(PAGE_MAX));
        let call = cursor_call(call, cursor.as_deref())?;
        let answer = self.link.run(Script::Incidents, call).await.map_err(unavailable)?;
        page(answer, read_incident).map_err(unavailable)
    }

    async fn change_incident(
        &self,
        id: &str,
        step: &IncidentMove,
    ) -> Result<IncidentAnswer, JournalError> {
        for _ in 0..ROUNDS_MAX {
            let Some(before) = self.incident(id).await? else { return Ok(IncidentAnswer::Missing) };
            let after = match before.moved(step) {
                Ok(after) => after,
                Err(refusal) => return Ok(IncidentAnswer::Refused(refusal)),
            };
            let taken = after.step_since(&before);
            let put = Put { incident: &after, before: Some(&before), replaces: None, step: taken };
            if after == before || self.put(&put).await? {
                return Ok(IncidentAnswer::Changed(Box::new(after)));
            }
        }
        Err(too_many_changes())
    }

    async fn chains(&self) -> Result<Vec<Chain>, JournalError> {
        let answer = self.link.run(Script::Chains, Call::new()).await.map_err(unavailable)?;
        let mut chains = answer
            .lists()
            .map(|fields| chain(fields?))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unavailable)?;
        chains.sort_by(|one, other| one.gateway.cmp(&other.gateway));
        Ok(chains)
    }

    async fn entries(
        &self,
        gateway: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Chained>, JournalError> {
        let call = Call::new()
            .arg("gateway_hash", gateway_hash(gateway))
            .arg("after", after)
            .arg("limit", limit.min(ENTRIES_MAX))
            .arg("bytes", PAGE_BYTES_MAX);
        let answer = self.link.run(Script::Entries, call).await.map_err(unavailable)?;
        let entries = answer.texts().map(|line| parse_chained(&line?));
        entries.collect::<Result<_, _>>().map_err(unavailable)
    }
}

fn chain(mut fields: Reply) -> Result<Chain, LedgerError> {
    let (gateway, head, anchored) = (fields.text()?, fields.text()?, fields.text()?);
    let anchored = Some(parse_head(&anchored)?).filter(|head| *head != ChainHead::START);
    Ok(Chain { gateway, head: parse_head(&head)?, anchored })
}

impl RedisJournal {
    async fn incident_of(&self, group: &str) -> Result<Option<Incident>, LedgerError> {
        let call = Call::new().arg("group", incident_key(group));
        maybe_incident(&self.link.run(Script::IncidentOf, call).await?)
    }

    /// Whether it is that now; not where another change came in between.
    async fn put(&self, put: &Put<'_>) -> Result<bool, JournalError> {
        let call = put_call(put).map_err(unavailable)?;
        let made = self.writer.append((Change::PutIncident, put_line(put)), call);
        Ok(made.await? == Appended::Now)
    }
}

fn too_many_changes() -> JournalError {
    JournalError::Unavailable("the incident kept changing".into())
}

fn page<T>(
    mut answer: Reply,
    read: impl Fn(&Reply) -> Result<T, LedgerError>,
) -> Result<Page<T>, LedgerError> {
    let cursor = answer.text()?;
    let items: Result<Vec<T>, LedgerError> = answer.lists().map(|fields| read(&fields?)).collect();
    Ok(Page { items: items?, next_cursor: Some(cursor).filter(|text| !text.is_empty()) })
}

fn unavailable(error: LedgerError) -> JournalError {
    match error {
        LedgerError::Unavailable(why)
        | LedgerError::Ambiguous(why)
        | LedgerError::Refused(why)
        | LedgerError::Damaged(why)
        | LedgerError::Lost(why)
        | LedgerError::Clock(why) => JournalError::Unavailable(why),
    }
}
