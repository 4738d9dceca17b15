//! What a person must know, from its first occurrence to the last word about it.
//!
//! Occurrences of one cause are one incident: it counts them, and a flood of them makes no flood of incidents. All of
//! this is pure; stores keep what comes of it in one step, under the version that it was made from.

use serde::{Deserialize, Serialize};

use crate::{
    identity::{AgentId, TraceHash},
    time::{Millis, Timestamp},
};

/// How long after it was last seen (or ended) an incident still takes in what has the same cause. What comes later is
/// a new one.
pub const SAME_WITHIN: Millis = Millis(24 * 3_600_000);

/// How many traces an incident names. The first stays; the newest push out those between.
pub const TRACES_MAX: usize = 32;

/// How many steps of its history an incident itself shows; the journal has all of them.
pub const HISTORY_MAX: usize = 64;

/// How many of the occurrences taken in last are known by id, so that none counts twice.
pub const OCCURRENCES_MAX: usize = 16;

/// Characters of a title at most.
pub const TITLE_MAX: usize = 512;

/// Characters of a description at most.
pub const DESCRIPTION_MAX: usize = 4096;

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Somebody should know.
    Low,
    /// Somebody should look.
    Medium,
    /// Somebody should look now.
    High,
    /// Signing is stopped, or ought to be.
    Critical,
}

impl Severity {
    /// From the least to the worst.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// The life of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IncidentStatus {
    /// Nobody has taken it.
    Open,
    /// Somebody has.
    Investigating,
    /// It is over.
    Resolved,
    /// It was nothing.
    Dismissed,
}

impl IncidentStatus {
    /// In the order of their life.
    pub const ALL: [Self; 4] = [Self::Open, Self::Investigating, Self::Resolved, Self::Dismissed];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Investigating => "Investigating",
            Self::Resolved => "Resolved",
            Self::Dismissed => "Dismissed",
        }
    }

    /// Whether a person may move an incident from here to there. What has ended is opened before anything else.
    #[must_use]
    pub const fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Open => matches!(next, Self::Investigating | Self::Resolved | Self::Dismissed),
            Self::Investigating => matches!(next, Self::Open | Self::Resolved | Self::Dismissed),
            Self::Resolved | Self::Dismissed => matches!(next, Self::Open),
        }
    }
}

/// One time that something happened which a person must know, or several times at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Occurrence {
    /// `inc_` and 32 hex digits: the incident's id if this is its first.
    pub id: String,
    /// Stable, in lower snake case.
    pub code: String,
    /// What makes two occurrences of one code and agent the same: a wallet, a chain, nothing.
    pub cause: String,
    /// How bad.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// More lines.
    pub description: String,
    /// The affected agent.
    pub agent: Option<AgentId>,
    /// The affected session.
    pub session: Option<String>,
    /// The traces that show it, oldest first.
    pub traces: Vec<TraceHash>,
    /// How many times it happened.
    pub count: u64,
    /// When it happened last.
    pub at: Timestamp,
}

impl Occurrence {
    /// What it has in common with others of the same incident.
    #[must_use]
    pub fn group(&self) -> String {
        let agent = self.agent.as_ref().map_or("", AgentId::as_str);
        format!("{}\n{agent}\n{}", self.code, self.cause)
    }

    /// Takes in a later one of the same group, to be told in one.
    pub fn join(&mut self, later: &Self) {
        self.severity = self.severity.max(later.severity);
        self.count = self.count.saturating_add(later.count);
        self.at = self.at.max(later.at);
        extend(&mut self.traces, &later.traces);
    }
}

/// Something that a person must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// `inc_` and 32 hex digits.
    pub id: String,
    /// One higher with each change; 1 at first.
    pub version: u64,
    /// Stable, in lower snake case.
    pub code: String,
    /// What its occurrences have in common beside code and agent.
    pub cause: String,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
    /// Since when.
    pub status_since: Timestamp,
    /// One line.
    pub title: String,
    /// More lines.
    pub description: String,
    /// The affected agent.
    pub agent: Option<AgentId>,
    /// The affected session.
    pub session: Option<String>,
    /// The first trace that shows it.
    pub trace_hash: Option<TraceHash>,
    /// Traces that show it, oldest first: the first and the newest.
    pub traces: Vec<TraceHash>,
    /// How many times it happened.
    pub count: u64,
    /// When it was seen first.
    pub created_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
    /// Who moved it and when, oldest first: how it began, and the newest ones; notes go before what happened.
    pub history: Vec<IncidentStep>,
    /// The occurrences that were taken in last.
    pub occurrences: Vec<String>,
}

/// One step of an incident's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IncidentStep {
    /// When.
    pub at: Timestamp,
    /// The operator; `None` where it was the gateway.
    pub by: Option<String>,
    /// `opened`, `reopened`, `escalated`, `moved` or `noted`.
    pub what: StepKind,
    /// The status behind the step.
    pub status: IncidentStatus,
    /// The severity behind the step.
    pub severity: Severity,
    /// What the operator said.
    pub note: Option<String>,
}

impl StepKind {
    /// What it is called in the books' log.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Opened => "incident_opened",
            Self::Reopened => "incident_reopened",
            Self::Escalated => "incident_escalated",
            Self::Moved => "incident_moved",
            Self::Noted => "incident_noted",
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It happened for the first time.
    Opened,
    /// It happened again after it had ended.
    Reopened,
    /// It is worse than it was.
    Escalated,
    /// An operator moved it.
    Moved,
    /// An operator said something.
    Noted,
}

/// What an occurrence came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It had been taken in before.
    Before,
    /// It begins an incident.
    New(Box<Incident>),
    /// It is one more of an incident, which is this now; with the step that the incident took, if it took one.
    More(Box<Incident>, Option<StepKind>),
}

impl Taken {
    /// What an occurrence comes to, if this is the group's incident of now.
    #[must_use]
    pub fn of(occurrence: &Occurrence, current: Option<&Incident>) -> Self {
        match current {
            Some(current) if current.occurrences.contains(&occurrence.id) => Self::Before,
            Some(current) if current.takes_in(occurrence) => {
                let (next, step) = current.with(occurrence);
                Self::More(Box::new(next), step)
            }
            Some(_) | None => Self::New(Box::new(Incident::open(occurrence))),
        }
    }
}

/// What an operator does with an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentMove {
    /// Where to; `None` leaves it where it is.
    pub to: Option<IncidentStatus>,
    /// The operator.
    pub by: String,
    /// What they say.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Versions that they saw; where it is none of them now, the move is refused. `None` is any.
    pub seen: Option<Vec<u64>>,
}

/// Why an incident was not moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefusal {
    /// Somebody else was faster.
    #[error("the incident is at version {0} now: look at it again")]
    Version(u64),
    /// Its life has no such step.
    #[error("an incident that is {} cannot become {}", .from.name(), .to.name())]
    Illegal {
        /// Where it stands.
        from: IncidentStatus,
        /// Where it was to go.
        to: IncidentStatus,
    },
}

impl Incident {
    fn open(occurrence: &Occurrence) -> Self {
        let Occurrence {
            id,
            code,
            cause,
            severity,
            title,
            description,
            agent,
            session,
            traces,
            count,
            at,
        } = occurrence.clone();
        let status = IncidentStatus::Open;
        let what = StepKind::Opened;
        let opened = IncidentStep { at, by: None, what, status, severity, note: None };
        Self {
            occurrences: vec![id.clone()],
            id,
            version: 1,
            code,
            cause,
            severity,
            status,
            status_since: at,
            title: cut(&title, TITLE_MAX),
            description: cut(&description, DESCRIPTION_MAX),
            agent,
            session,
            trace_hash: traces.first().copied(),
            traces,
            count,
            created_at: at,
            last_seen_at: at,
            updated_at: at,
            history: vec![opened],
        }
    }

    /// What its occurrences have in common.
    #[must_use]
    pub fn group(&self) -> String {
        let agent = self.agent.as_ref().map_or("", AgentId::as_str);
        format!("{}\n{agent}\n{}", self.code, self.cause)
    }

    /// The gateway's or an operator's last step.
    #[must_use]
    pub fn last_step(&self) -> Option<&IncidentStep> {
        self.history.last()
    }

    /// What the log says of the step that made it from this one; `None` where it took none.
    #[must_use]
    pub fn step_since(&self, before: &Self) -> Option<StepKind> {
        self.last_step().filter(|_| self.version != before.version).map(|step| step.what)
    }

    /// What was called nothing stays so for a while, not for ever: the time runs from the word, not from the last
    /// occurrence.
    fn takes_in(&self, occurrence: &Occurrence) -> bool {
        let since = match self.status {
            IncidentStatus::Open | IncidentStatus::Investigating => self.last_seen_at,
            IncidentStatus::Resolved => self.last_seen_at.max(self.status_since),
            IncidentStatus::Dismissed => self.status_since,
        };
        occurrence.at.since(since) <= SAME_WITHIN
    }

    /// It happened again: what was resolved is open again, and so is what was dismissed and is worse now.
    fn with(&self, occurrence: &Occurrence) -> (Self, Option<StepKind>) {
        let mut next = self.next(occurrence.at.max(self.updated_at));
        let worse = occurrence.severity > self.severity;
        next.severity = self.severity.max(occurrence.severity);
        next.count = self.count.saturating_add(occurrence.count);
        next.last_seen_at = self.last_seen_at.max(occurrence.at);
        next.trace_hash = self.trace_hash.or_else(|| occurrence.traces.first().copied());
        extend(&mut next.traces, &occurrence.traces);
        push(&mut next.occurrences, occurrence.id.clone(), OCCURRENCES_MAX);
        if worse {
            next.title = cut(&occurrence.title, TITLE_MAX);
            next.description = cut(&occurrence.description, DESCRIPTION_MAX);
        }
        let reopens = match self.status {
            IncidentStatus::Open | IncidentStatus::Investigating => false,
            IncidentStatus::Resolved => true,
            IncidentStatus::Dismissed => worse,
        };
        let step = match (reopens, worse) {
            (true, _) => Some(StepKind::Reopened),
            (false, true) => Some(StepKind::Escalated),
            (false, false) => None,
        };
        if reopens {
            next.enter(IncidentStatus::Open);
        }
        if let Some(step) = step {
            next.note(step, None, None);
        }
        (next, step)
    }

    /// What an operator's step makes of it.
    ///
    /// # Errors
    /// [`MoveRefusal`] where another version was seen, or there is no such step.
    pub fn moved(&self, step: &IncidentMove) -> Result<Self, MoveRefusal> {
        let IncidentMove { to, by, note, at, seen } = step;
        if seen.as_ref().is_some_and(|seen| !seen.contains(&self.version)) {
            return Err(MoveRefusal::Version(self.version));
        }
        let to = to.filter(|to| *to != self.status);
        if to.is_none() && note.is_none() {
            return Ok(self.clone());
        }
        let mut next = self.next((*at).max(self.updated_at));
        let kind = match to {
            Some(to) if !self.status.leads_to(to) => {
                return Err(MoveRefusal::Illegal { from: self.status, to });
            }
            Some(to) => {
                next.enter(to);
                StepKind::Moved
            }
            None => StepKind::Noted,
        };
        next.note(kind, Some(by.clone()), note.clone());
        Ok(next)
    }

    fn next(&self, at: Timestamp) -> Self {
        let mut next = self.clone();
        next.version = self.version.saturating_add(1);
        next.updated_at = at;
        next
    }

    const fn enter(&mut self, status: IncidentStatus) {
        self.status = status;
        self.status_since = self.updated_at;
    }

    fn note(&mut self, what: StepKind, by: Option<String>, note: Option<String>) {
        let (at, status, severity) = (self.updated_at, self.status, self.severity);
        let step = IncidentStep { at, by, what, status, severity, note };
        self.history.push(step);
        while self.history.len() > HISTORY_MAX {
            self.forget_a_step();
        }
    }

    /// One between the first and the newest: the oldest note, so that talk pushes out nothing that happened; else the oldest
    /// of all.
    fn forget_a_step(&mut self) {
        let between = self.history.len().saturating_sub(2);
        let middle = self.history.iter().enumerate().skip(1).take(between);
        let note = middle.filter(|(_, step)| step.what == StepKind::Noted).map(|(at, _)| at).next();
        self.history.remove(note.unwrap_or(1));
    }
}

/// The newest, and no more than these.
fn push<T>(list: &mut Vec<T>, one: T, most: usize) {
    list.push(one);
    let over = list.len().saturating_sub(most);
    list.drain(..over);
}

/// The first, and the newest.
fn extend(traces: &mut Vec<TraceHash>, more: &[TraceHash]) {
    for trace in more {
        if !traces.contains(trace) {
            traces.push(*trace);
        }
    }
    let over = traces.len().saturating_sub(TRACES_MAX);
    if over > 0 {
        traces.drain(1..=over);
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests;
