//! Incidents as rows: what they are now. What they were is in the journal.

use countersign_core::{
    identity::AgentId,
    incident::{Incident, IncidentMove, Occurrence, StepKind, Taken},
    journal::Entry,
    time::Timestamp,
};
use countersign_engine::port::journal::{IncidentAnswer, IncidentQuery, Page};
use rusqlite::{OptionalExtension, params, params_from_iter, types::Value};

use super::{
    fault::Fault,
    journal::page,
    questions::PAGE_MAX,
    row::{int, read},
    worker::Step,
};

impl Step<'_> {
    pub(super) fn raise(&self, gateway: &str, occurrence: &Occurrence) -> Result<Taken, Fault> {
        let current = self.incident_of(&occurrence.group())?;
        let taken = Taken::of(occurrence, current.as_ref());
        match &taken {
            Taken::Before => {}
            Taken::New(incident) => {
                self.put_incident(gateway, incident)?;
                self.connection()
                    .prepare_cached("INSERT OR REPLACE INTO incident_groups VALUES (?1, ?2)")?
                    .execute([&incident.group(), &incident.id])?;
                self.tell_incident(incident, incident.last_step().map(|step| step.what))?;
            }
            Taken::More(incident, step) => {
                self.put_incident(gateway, incident)?;
                self.tell_incident(incident, *step)?;
            }
        }
        Ok(taken)
    }

    pub(super) fn incident(&self, id: &str) -> Result<Option<Incident>, Fault> {
        let json: Option<String> = self
            .connection()
            .prepare_cached("SELECT view FROM incidents WHERE id = ?1")?
            .query_row([id], read)
            .optional()?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    fn incident_of(&self, group: &str) -> Result<Option<Incident>, Fault> {
        let id: Option<String> = self
            .connection()
            .prepare_cached("SELECT id FROM incident_groups WHERE incidents = ?1")?
            .query_row([group], read)
            .optional()?;
        id.map_or(Ok(None), |id| self.incident(&id))
    }

    pub(super) fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>, Fault> {
        let (created, id) = match &query.cursor {
            Some(cursor) => {
                let last = self.incident(cursor)?.ok_or_else(|| Fault::Cursor(cursor.clone()))?;
                (int(last.created_at.millis()), last.id)
            }
            None => (i64::MAX, String::new()),
        };
        let limit = query.limit.min(PAGE_MAX);
        let (filter, mut values) = filter(query);
        let sql = format!(
            "SELECT view FROM incidents WHERE {filter}(created, id) < (?, ?)
              ORDER BY created DESC, id DESC LIMIT ?"
        );
        let more = i64::from(limit).saturating_add(1);
        values.extend([Value::from(created), Value::from(id), Value::from(more)]);
        let rows: Vec<String> = self
            .connection()
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), read)?
            .collect::<Result<_, _>>()?;
        let items: Result<Vec<Incident>, _> =
            rows.iter().map(|json| serde_json::from_str(json)).collect();
        Ok(page(items?, limit, |last| last.id.clone()))
    }

    pub(super) fn change_incident(
        &self,
        gateway: &str,
        id: &str,
        made: &IncidentMove,
    ) -> Result<IncidentAnswer, Fault> {
        let Some(before) = self.incident(id)? else { return Ok(IncidentAnswer::Missing) };
        let after = match before.moved(made) {
            Ok(after) => after,
            Err(refusal) => return Ok(IncidentAnswer::Refused(refusal)),
        };
        if after != before {
            self.put_incident(gateway, &after)?;
            self.tell_incident(&after, after.step_since(&before))?;
        }
        Ok(IncidentAnswer::Changed(Box::new(after)))
    }

    /// As it is now; the journal keeps every version.
    fn put_incident(&self, gateway: &str, incident: &Incident) -> Result<(), Fault> {
        self.append(gateway, &Entry::Incident(Box::new(incident.clone())).line())?;
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO incidents VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                incident.id,
                int(incident.created_at.millis()),
                incident.status.name(),
                incident.severity.name(),
                incident.agent.as_ref().map(AgentId::as_str),
                serde_json::to_string(incident)?
            ])?;
        Ok(())
    }

    fn tell_incident(&self, incident: &Incident, step: Option<StepKind>) -> Result<(), Fault> {
        step.map_or(Ok(()), |step| self.log(step.event(), &incident.id, ""))
    }
}

/// The conditions of a query, each followed by AND, and their values.
fn filter(query: &IncidentQuery) -> (String, Vec<Value>) {
    let time = |at: Timestamp| Value::from(int(at.millis()));
    let text = |text: &str| Value::from(text.to_owned());
    let conditions = [
        ("status = ?", query.status.map(|status| text(status.name()))),
        ("severity = ?", query.severity.map(|severity| text(severity.name()))),
        ("agent = ?", query.agent.as_ref().map(|agent| text(agent.as_str()))),
        ("created >= ?", query.from.map(time)),
        ("created < ?", query.to.map(time)),
    ];
    let (mut filter, mut values) = (String::new(), Vec::new());
    for (condition, value) in conditions {
        if let Some(value) = value {
            filter.extend([condition, " AND "]);
            values.push(value);
        }
    }
    (filter, values)
}
