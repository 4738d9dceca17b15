//! Server-sent events: each line of the books' log that means something to people, whichever gateway wrote it, and the
//! overview whenever it changed. Who wants details asks the lists.
//!
//! An event's id is the line's number behind the log's epoch, so a listener that comes back with `Last-Event-ID` misses
//! nothing; where too much has happened since, it is told to read the lists again (`reset`). Every listener reads the
//! log at its own pace and nothing is kept for it: one that reads too slowly is sent away.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use countersign_engine::port::chronicle::{Line, event};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::json;

use super::{Desk, Door, Problem, access::Viewer, books::overview_of, seats::Seat};

/// How many listen at the same time.
pub(super) const LISTENERS_MAX: usize = 64;

/// How many of them are one operator's: a console in each of so many windows.
pub(super) const LISTENERS_OF_ONE_MAX: usize = 16;

/// How often the log is looked at for each listener.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often the overview is looked at for each listener.
const OVERVIEW_EVERY: Duration = Duration::from_secs(2);

/// How many lines a listener may be behind before it is told to read the lists again.
const BEHIND_MAX: u64 = 1000;

/// How many lines are read at once.
const LINES: u32 = 256;

/// How often a listener hears that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One listener.
struct Listener {
    desk: Arc<Desk>,
    place: Place,
    /// What is to be said before anything else is looked for.
    ready: std::collections::VecDeque<Event>,
    overview: String,
    overview_at: Option<Instant>,
    seat: Arc<Seat>,
}

/// A line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: u64,
    sequence: u64,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (epoch, sequence) = text.split_once('-')?;
        let digits = |text: &str| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(epoch) || !digits(sequence) {
            return None;
        }
        Some(Self { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
    }

    fn id(self) -> String {
        format!("{}-{}", self.epoch, self.sequence)
    }
}

/// `GET /events`
pub(crate) async fn stream(
    Viewer(operator): Viewer,
    State(desk): Door,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let full = || Problem::Unavailable("too many listen at the moment".into());
    let seat = desk.listeners.take(&operator.id).ok_or_else(full)?;
    let mut closing = desk.closing.clone();
    let closed = async move { drop(closing.wait_for(|closing| *closing).await) };
    let listener = Listener::sit(desk, seat, &headers).await?;
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    let events = events.take_until(Box::pin(closed));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Listener {
    async fn sit(desk: Arc<Desk>, seat: Arc<Seat>, headers: &HeaderMap) -> Result<Self, Problem> {
        let status = desk.ports().ledger.describe().await?;
        let now = Place { epoch: status.epoch, sequence: status.sequence };
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let (place, missed) = match last.map(Place::parse) {
            None => (now, false),
            Some(Some(last)) if is_near(last, now) => (last, false),
            Some(_) => (now, true),
        };
        let ready = missed.then(|| reset(now)).into_iter().collect();
        let (overview, overview_at) = (String::new(), None);
        Ok(Self { desk, place, ready, overview, overview_at, seat })
    }

    /// The next thing to say; nothing more to one who has lost the seat. A store that does not answer is asked again.
    async fn next(&mut self) -> Option<Event> {
        while self.seat.hold() {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if let Some(overview) = self.changed_overview().await {
                return Some(overview);
            }
            self.look().await;
            if self.ready.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        None
    }

    async fn look(&mut self) {
        let (ledger, chronicle) = (&self.desk.ports().ledger, &self.desk.ports().chronicle);
        let Ok(lines) = chronicle.lines(self.place.sequence, LINES).await else { return };
        let is_full = u32::try_from(lines.len()).is_ok_and(|count| count >= LINES);
        if lines.is_empty() || is_full {
            let Ok(status) = ledger.describe().await else { return };
            let now = Place { epoch: status.epoch, sequence: status.sequence };
            if !is_near(self.place, now) {
                self.place = now;
                self.ready.push_back(reset(now));
                return;
            }
        }
        for line in lines {
            self.place.sequence = line.sequence;
            self.ready.extend(told(self.place, &line));
        }
    }

    /// The overview as soon as it differs from what was shown.
    async fn changed_overview(&mut self) -> Option<Event> {
        let is_due = self.overview_at.is_none_or(|at| at.elapsed() >= OVERVIEW_EVERY);
        if !is_due {
            return None;
        }
        self.overview_at = Some(now());
        let overview = overview_of(&self.desk).await.ok()?.to_string();
        if overview == self.overview {
            return None;
        }
        self.overview.clone_from(&overview);
        Some(Event::default().event("overview").id(self.place.id()).data(overview))
    }
}

#[expect(clippy::disallowed_methods, reason = "only pauses are measured with it")]
fn now() -> Instant {
    Instant::now()
}

/// Whether everything since can be told.
const fn is_near(last: Place, now: Place) -> bool {
    last.epoch == now.epoch
        && last.sequence <= now.sequence
        && now.sequence.saturating_sub(last.sequence) <= BEHIND_MAX
}

fn reset(now: Place) -> Event {
    Event::default().event("reset").id(now.id()).data(r#"{"reason":"read the lists again"}"#)
}

/// What a line says to people, if it says anything.
fn told(place: Place, line: &Line) -> Option<Event> {
    let name = match line.event.as_str() {
        event::FREEZE | event::TRIP | event::UNFREEZE => "freeze",
        event::SEAL | event::UNSEAL => "seal",
        event::POLICY | event::SHELF => "policy",
        other if other.starts_with("incident_") => "incident",
        _ if line.subject.starts_with("op_") => "operation",
        _ => return None,
    };
    let data = json!({"what": line.event, "subject": line.subject, "at": line.at});
    Some(Event::default().event(name).id(place.id()).data(data.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_told_and_nothing_else() {
        let place = Place { epoch: 2, sequence: 17 };
        assert_eq!(Place::parse(&place.id()), Some(place));
        for text in ["", "17", "2-", "-17", "a-1", "1-2-3", "+1-2", "1-99999999999999999", " 1-2"] {
            assert!(Place::parse(text).is_none_or(|place| place.id() == text), "{text}");
        }
        assert_eq!(Place::parse("+1-2"), None);
    }

    #[test]
    fn every_step_of_a_version_is_told_as_a_change_of_policy() {
        let place = Place { epoch: 1, sequence: 1 };
        for (event, subject, name) in [
            (event::SHELF, "bot:3", Some("event: policy")),
            (event::POLICY, "grant bot=sha256:00", Some("event: policy")),
            ("journal", "gateway-1", None),
        ] {
            let (event, subject) = (event.to_owned(), subject.to_owned());
            let at = countersign_core::time::Timestamp::from_millis(0);
            let told = told(place, &Line { sequence: 1, at, event, subject });
            let text = told.map(|event| format!("{event:?}"));
            assert_eq!(text.is_some(), name.is_some(), "{text:?}");
            assert!(name.is_none_or(|name| text.is_some_and(|text| text.contains(name))));
        }
    }

    #[test]
    fn what_is_too_far_back_or_of_another_history_is_not_told_in_part() {
        let now = Place { epoch: 2, sequence: 5000 };
        let near = |epoch, sequence| is_near(Place { epoch, sequence }, now);
        assert!(near(2, 5000) && near(2, 4000));
        assert!(!near(2, 3999) && !near(1, 5000) && !near(2, 5001));
    }
}
