//! What people outside are told: one notice for each line of the books' log that means something to them.
//!
//! What an agent said is kept apart from what the gateway says, cut, and free of what would make it look like something
//! else. No notice holds a token, a key, or anything that would let its reader act.

use countersign_core::{
    freeze::{FreezeOrder, StandingFreeze},
    identity::AppId,
    incident::{Incident, Severity},
    operation::OperationRecord,
    text::is_hidden,
    time::Timestamp,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::port::chronicle::{Line, event};

/// Characters of what an agent said at most.
const SAID_MAX: usize = 500;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal in $group:literal;)*) => {
        /// What a notice is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The `type` of its body.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The word that stands for it and others like it.
            #[must_use]
            pub const fn group(self) -> &'static str {
                match self { $(Self::$name => $group,)* }
            }
        }
    };
}

kinds! {
    /// An operation waits for people.
    PendingCreated = "pending.created" in "pending";
    /// People, or the gateway in their place, have decided it.
    PendingDecided = "pending.decided" in "pending";
    /// Nobody decided it in time.
    PendingExpired = "pending.expired" in "pending";
    /// Something happened that a person must know.
    IncidentOpened = "incident.opened" in "incident";
    /// It happened again after it had ended.
    IncidentReopened = "incident.reopened" in "incident";
    /// It is worse than it was.
    IncidentEscalated = "incident.escalated" in "incident";
    /// An operator moved it.
    IncidentChanged = "incident.changed" in "incident";
    /// A freeze is in force.
    Frozen = "freeze.set" in "freeze";
    /// A freeze was lifted.
    Unfrozen = "freeze.lifted" in "freeze";
    /// Nothing new is signed.
    Sealed = "ledger.sealed" in "seal";
    /// The seal was lifted.
    Unsealed = "ledger.unsealed" in "seal";
    /// Another version of a policy is in force.
    PolicyChanged = "policy.changed" in "policy";
}

/// What one receiver is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The same whoever tells it and however often: `evt_` and 32 hex digits.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// When it happened, by the store's clock.
    pub at: Timestamp,
    /// One line of ours; nothing in it was chosen by an agent.
    pub title: String,
    /// Short facts of ours, by name.
    pub facts: Vec<(&'static str, String)>,
    /// What the agent said, by name. Never trusted.
    pub untrusted: Vec<(&'static str, String)>,
}

/// What a line is about, as it stands in the store now.
#[derive(Debug)]
pub(crate) enum About {
    Operation(Box<OperationRecord>),
    Incident(Box<Incident>),
    Freeze(Box<StandingFreeze>),
    Nothing,
}

impl Notice {
    /// The notice of a line, if people are told of such lines.
    pub(crate) fn of(app: &AppId, ledger: &str, line: &Line, about: &About) -> Option<Self> {
        let Body { kind, title, mut facts, untrusted } = match about {
            About::Operation(record) => of_operation(&line.event, record)?,
            About::Incident(incident) => of_incident(&line.event, incident)?,
            About::Freeze(standing) => {
                let mut body = of_lever(&line.event, &line.subject)?;
                body.facts = of_order(&standing.order);
                body
            }
            About::Nothing => of_lever(&line.event, &line.subject)?,
        };
        facts.insert(0, ("app", app.to_string()));
        facts.retain(|(_, value)| !value.is_empty());
        Some(Self { id: id(ledger, line.sequence), kind, at: line.at, title, facts, untrusted })
    }

    /// As JSON: `{type, timestamp, data}`.
    #[must_use]
    pub fn body(&self) -> Value {
        let object = |pairs: &[(&'static str, String)]| -> Value {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        };
        let mut data = object(&self.facts);
        if let Some(members) = data.as_object_mut() {
            members.insert("title".into(), json!(self.title));
            if !self.untrusted.is_empty() {
                members.insert("untrusted".into(), object(&self.untrusted));
            }
        }
        json!({ "type": self.kind.name(), "timestamp": self.at, "data": data })
    }
}

/// Whether an event is about an operation.
pub(crate) fn is_of_operation(event: &str) -> bool {
    [event::PARK, event::APPROVE, event::REJECT, event::EXPIRE].contains(&event)
}

/// Whether an event puts a freeze in force.
pub(crate) fn is_of_freeze(event: &str) -> bool {
    [event::FREEZE, event::TRIP].contains(&event)
}

/// Whether an event is about an incident.
pub(crate) fn is_of_incident(event: &str) -> bool {
    event.starts_with("incident_")
}

fn id(ledger: &str, sequence: u64) -> String {
    let digest = Sha256::digest(format!("{ledger} {sequence}"));
    format!("evt_{}", hex::encode(digest.get(..16).unwrap_or_default()))
}

struct Body {
    kind: Kind,
    title: String,
    facts: Vec<(&'static str, String)>,
    untrusted: Vec<(&'static str, String)>,
}

fn of_operation(said: &str, record: &OperationRecord) -> Option<Body> {
    // what never waited for people is not theirs to hear of
    if record.gates.is_empty() {
        return None;
    }
    let agent = record.agent();
    let (kind, title, decision) = match said {
        event::PARK => (Kind::PendingCreated, format!("{agent} waits for approval"), ""),
        event::APPROVE => {
            (Kind::PendingDecided, format!("a request of {agent} was approved"), "approved")
        }
        event::REJECT => {
            (Kind::PendingDecided, format!("a request of {agent} was rejected"), "rejected")
        }
        event::EXPIRE => {
            (Kind::PendingExpired, format!("a request of {agent} has expired"), "expired")
        }
        _ => return None,
    };
    let gates: Vec<&str> = record.gates.iter().map(|gate| gate.id.as_str()).collect();
    let voters: Vec<String> = record.votes.iter().map(|vote| vote.operator.to_string()).collect();
    let maybe = |time: Option<Timestamp>| time.map_or_else(String::new, |at| at.to_string());
    let facts = vec![
        ("operation", record.id.to_string()),
        ("decision", decision.to_owned()),
        ("agent", agent.to_string()),
        ("wallet", record.wallet().to_string()),
        ("chain", record.chain().to_string()),
        ("method", record.intent.method.name().to_owned()),
        (
            "to",
            record.plan().and_then(|plan| plan.to).map_or_else(String::new, |to| to.to_string()),
        ),
        ("value_wei", record.intent.value().to_string()),
        ("code", record.code.clone()),
        ("gates", gates.join(", ")),
        ("votes", voters.join(", ")),
        ("expires_at", maybe(record.expires_at)),
        ("trace_hash", record.trace.to_string()),
    ];
    let declared = &record.intent.declared;
    let untrusted = [("reasoning", &declared.reason), ("session", &declared.session)];
    let said = untrusted.into_iter().filter_map(|(name, text)| Some((name, plain(text.as_ref()?))));
    Some(Body { kind, title, facts, untrusted: said.collect() })
}

fn of_incident(said: &str, incident: &Incident) -> Option<Body> {
    let kind = match said {
        "incident_opened" => Kind::IncidentOpened,
        "incident_reopened" => Kind::IncidentReopened,
        "incident_escalated" => Kind::IncidentEscalated,
        "incident_moved" => Kind::IncidentChanged,
        _ => return None,
    };
    let Incident { id, code, severity, status, title, agent, session, count, trace_hash, .. } =
        incident;
    let facts = vec![
        ("incident", id.clone()),
        ("code", code.clone()),
        ("severity", severity.name().to_owned()),
        ("status", status.name().to_owned()),
        ("agent", agent.as_ref().map_or_else(String::new, ToString::to_string)),
        ("count", count.to_string()),
        ("trace_hash", trace_hash.map_or_else(String::new, |hash| hash.to_string())),
    ];
    let session = session.as_ref().map(|session| ("session", plain(session)));
    // a title may hold the words of a node or of a request
    let title = format!("{} incident: {}", severity.name(), plain(title));
    Some(Body { kind, title, facts, untrusted: session.into_iter().collect() })
}

fn of_lever(said: &str, subject: &str) -> Option<Body> {
    let body = |kind, title: String, facts| Body { kind, title, facts, untrusted: Vec::new() };
    let scope = || vec![("scope", subject.to_owned())];
    let by = |who: &str| vec![("scope", subject.to_owned()), ("by", who.to_owned())];
    Some(match said {
        event::FREEZE => body(Kind::Frozen, format!("frozen: {subject}"), scope()),
        event::TRIP => body(Kind::Frozen, format!("the breaker froze {subject}"), by("breaker")),
        event::UNFREEZE => body(Kind::Unfrozen, format!("no longer frozen: {subject}"), scope()),
        event::SEAL => body(Kind::Sealed, "the ledger is sealed: nothing is signed".into(), vec![]),
        event::UNSEAL => body(Kind::Unsealed, "the ledger is no longer sealed".into(), vec![]),
        event::POLICY => {
            let (whose, version) = subject.rsplit_once('=')?;
            let facts = vec![("policy", whose.to_owned()), ("version", version.to_owned())];
            body(Kind::PolicyChanged, format!("another policy is in force: {whose}"), facts)
        }
        _ => return None,
    })
}

/// Who put a freeze in force, and why.
fn of_order(order: &FreezeOrder) -> Vec<(&'static str, String)> {
    let or_nothing = |text: Option<String>| text.unwrap_or_default();
    vec![
        ("scope", order.freeze.scope()),
        ("by", order.by.name().to_owned()),
        ("operator", or_nothing(order.by.operator().map(ToString::to_string))),
        ("reason", or_nothing(order.reason.as_ref().map(ToString::to_string))),
    ]
}

/// One line without controls, direction marks and what has no width.
fn plain(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.filter(|c| !is_hidden(*c)).take(SAID_MAX).collect()
}

impl Kind {
    /// How much attention it wants, for those who colour it.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Sealed => Severity::Critical,
            Self::Frozen
            | Self::IncidentOpened
            | Self::IncidentReopened
            | Self::IncidentEscalated => Severity::High,
            Self::PendingCreated | Self::PolicyChanged | Self::Unsealed | Self::Unfrozen => {
                Severity::Medium
            }
            Self::PendingDecided | Self::PendingExpired | Self::IncidentChanged => Severity::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::{fact::Freeze, freeze::Freezer, identity::OperatorId, text::Remark};

    use super::*;

    fn line(event: &str, subject: &str) -> Line {
        let at = Timestamp::from_millis(1_767_225_600_000);
        Line { sequence: 7, at, event: event.into(), subject: subject.into() }
    }

    fn told(event: &str, subject: &str) -> Option<Notice> {
        let app = AppId::parse("default").unwrap();
        Notice::of(&app, "ledger", &line(event, subject), &About::Nothing)
    }

    #[test]
    fn what_an_agent_said_is_one_plain_line() {
        assert_eq!(plain("a\n\u{202e}b\u{200b}\tc\u{7}"), "a b c ");
        assert_eq!(plain(&"x".repeat(10_000)).len(), SAID_MAX);
    }

    #[test]
    fn levers_are_told_with_their_scope() {
        let frozen = told(event::TRIP, "agent:bot").unwrap();
        assert_eq!(frozen.kind, Kind::Frozen);
        let body = frozen.body();
        assert_eq!(body["type"], "freeze.set");
        assert_eq!(body["data"]["scope"], "agent:bot");
        assert_eq!(body["data"]["by"], "breaker");
        assert_eq!(body["timestamp"], "2026-01-01T00:00:00Z");
        let policy = told(event::POLICY, "guard a=b=sha256:00").unwrap();
        assert_eq!(policy.body()["data"]["policy"], "guard a=b");
        assert_eq!(told("commit", "op_1"), None);
    }

    #[test]
    fn a_freeze_is_told_with_who_and_why() {
        let app = AppId::parse("default").unwrap();
        let order = |by, reason: Option<&str>| FreezeOrder {
            freeze: Freeze::All,
            by,
            reason: reason.map(|text| Remark::parse(text).unwrap()),
        };
        let told = |order| {
            let line = line(event::FREEZE, "all");
            let about = About::Freeze(Box::new(StandingFreeze { order, at: line.at }));
            Notice::of(&app, "ledger", &line, &about).unwrap().body()["data"].clone()
        };
        let olga = Freezer::Operator(OperatorId::parse("olga").unwrap());
        assert_eq!(
            told(order(olga, Some("the key may be out"))),
            json!({"app": "default", "scope": "all", "by": "operator", "operator": "olga",
                "reason": "the key may be out", "title": "frozen: all"})
        );
        let silent =
            json!({"app": "default", "scope": "all", "by": "gateway", "title": "frozen: all"});
        assert_eq!(told(order(Freezer::Gateway, None)), silent);
    }

    #[test]
    fn a_notice_has_one_id_whoever_tells_it() {
        let (one, two) = (told(event::SEAL, "-").unwrap(), told(event::SEAL, "-").unwrap());
        assert_eq!(one.id, two.id);
        assert!(one.id.starts_with("evt_") && one.id.len() == 36, "{}", one.id);
        assert_ne!(id("ledger", 7), id("ledger", 8));
        assert_ne!(id("ledger", 7), id("other", 7));
    }
}
