//! Telling receivers outside: each in the order of the log, at least once, by one gateway at a time.
//!
//! The log is the queue. A receiver's place in it is in the store, so a crash loses nothing, and whoever takes the turn
//! goes on where the last one stopped; a notice that was delivered and not noted is delivered again, under the same id.
//! What a receiver does not take is tried again, ever more slowly, and in the end counted, said and left out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_core::{freeze::StandingFreeze, incident::Severity, time::Millis};

use crate::{
    engine::Engine,
    notice::{About, Kind, Notice, is_of_freeze, is_of_incident, is_of_operation},
    port::{
        Courier,
        chronicle::{Line, Turn},
        journal::JournalError,
        ledger::LedgerError,
    },
};

/// How often it is looked whether there is something to tell.
const LOOK_EVERY: Millis = Millis(500);

/// For how long nobody else tells a receiver. Longer than a delivery may take.
const LEASE: Millis = Millis(15_000);

/// How soon it is looked again whether a turn has become free.
const OTHERS_TURN: Millis = Millis(2_000);

/// How many lines are read at once.
const LINES: u32 = 256;

/// How often a notice is tried.
const ATTEMPTS_MAX: u32 = 12;

/// The pause after the first failure; it doubles with each.
const PAUSE: Millis = Millis(1000);

/// The longest pause.
const PAUSE_MAX: Millis = Millis(300_000);

/// What is older is not told any more.
const TOLD_WITHIN: Millis = Millis(24 * 3_600_000);

/// How receivers stand, in this process.
#[derive(Debug, Default)]
pub(crate) struct PostOffice(Mutex<BTreeMap<String, Round>>);

/// What became of notices to one receiver, in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Posted {
    /// Acknowledged.
    pub delivered: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Left out for ever: too often tried, or too old.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Round {
    is_out: bool,
    attempts: u32,
    not_before: Millis,
    /// Up to where there was nothing more to tell.
    idle_at: Option<u64>,
    posted: Posted,
}

/// Why a round ended before the log did.
enum Stop {
    Store(String),
    Later,
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Store(error.to_string())
    }
}

impl Engine {
    /// Tells receivers until `stop` completes. Nothing waits for it.
    pub async fn tell_outside(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        let telling = async {
            loop {
                for courier in &self.setup().couriers {
                    self.send_out(courier);
                }
                self.ports().clock.sleep(LOOK_EVERY).await;
            }
        };
        let (stop, telling) = (std::pin::pin!(stop), std::pin::pin!(telling));
        futures_util::future::select(stop, telling).await;
    }

    /// What became of notices, by receiver.
    pub fn posted(&self) -> BTreeMap<String, Posted> {
        self.rounds().iter().map(|(receiver, round)| (receiver.clone(), round.posted)).collect()
    }

    fn rounds(&self) -> MutexGuard<'_, BTreeMap<String, Round>> {
        self.post().0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a round to a receiver, unless one is under way or it is too soon.
    fn send_out(self: &Arc<Self>, courier: &Arc<dyn Courier>) {
        let now = self.ports().clock.monotonic();
        let mut rounds = self.rounds();
        let round = rounds.entry(courier.receiver().to_owned()).or_default();
        if round.is_out || now < round.not_before {
            return;
        }
        round.is_out = true;
        drop(rounds);
        let (engine, courier) = (Arc::clone(self), Arc::clone(courier));
        let work = async move {
            let _out = Out { engine: &engine, receiver: courier.receiver() };
            if let Err(Stop::Store(why)) = engine.go_round(courier.as_ref()).await {
                tracing::warn!(receiver = courier.receiver(), why, "notices wait for the store");
            }
        };
        self.ports().clock.spawn(Box::pin(work));
    }

    fn in_round<T>(&self, courier: &dyn Courier, change: impl FnOnce(&mut Round) -> T) -> T {
        change(self.rounds().entry(courier.receiver().to_owned()).or_default())
    }

    fn not_before(&self, courier: &dyn Courier, pause: Millis) {
        let Millis(now) = self.ports().clock.monotonic();
        self.in_round(courier, |round| round.not_before = Millis(now.saturating_add(pause.0)));
    }

    async fn go_round(&self, courier: &dyn Courier) -> Result<(), Stop> {
        let chronicle = &self.ports().chronicle;
        if let Some(idle_at) = self.in_round(courier, |round| round.idle_at)
            && chronicle.lines(idle_at, 1).await?.is_empty()
        {
            return Ok(());
        }
        let mut place = self.turn(courier, None).await?;
        loop {
            let lines = chronicle.lines(place, LINES).await?;
            let Some(last) = lines.last() else { break };
            let end = last.sequence;
            for line in &lines {
                if self.tell_line(courier, line).await? {
                    self.turn(courier, Some(line.sequence)).await?;
                }
            }
            place = self.turn(courier, Some(end)).await?;
        }
        self.in_round(courier, |round| round.idle_at = Some(place));
        Ok(())
    }

    /// The place of a receiver whose turn is ours.
    async fn turn(&self, courier: &dyn Courier, told: Option<u64>) -> Result<u64, Stop> {
        let turn = Turn {
            receiver: courier.receiver().to_owned(),
            gateway: self.ports().gateway.clone(),
            lease: LEASE,
            told,
        };
        let Some(place) = self.ports().chronicle.turn(&turn).await? else {
            self.in_round(courier, |round| round.idle_at = None);
            self.not_before(courier, OTHERS_TURN);
            return Err(Stop::Later);
        };
        Ok(place)
    }

    /// Whether the line was one to be told, and is dealt with.
    async fn tell_line(&self, courier: &dyn Courier, line: &Line) -> Result<bool, Stop> {
        let Some(notice) = self.notice(line).await? else { return Ok(false) };
        if !courier.wants(notice.kind) {
            return Ok(false);
        }
        let age = self.ports().ledger.now().await?.since(line.at);
        if age > TOLD_WITHIN {
            self.dropped(courier, notice.kind, "it is more than a day old").await;
            return Ok(true);
        }
        match courier.deliver(&notice).await {
            Ok(()) => {
                self.in_round(courier, |round| {
                    round.attempts = 0;
                    round.posted.delivered = round.posted.delivered.saturating_add(1);
                });
                Ok(true)
            }
            Err(undelivered) => self.undelivered(courier, &notice, &undelivered.0).await,
        }
    }

    async fn undelivered(
        &self,
        courier: &dyn Courier,
        notice: &Notice,
        why: &str,
    ) -> Result<bool, Stop> {
        let attempts = self.in_round(courier, |round| {
            round.attempts = round.attempts.saturating_add(1);
            round.posted.failed = round.posted.failed.saturating_add(1);
            round.attempts
        });
        let (receiver, kind) = (courier.receiver(), notice.kind.name());
        tracing::warn!(receiver, kind, attempts, why, "a notice is not delivered");
        if attempts >= ATTEMPTS_MAX {
            self.in_round(courier, |round| round.attempts = 0);
            self.dropped(courier, notice.kind, why).await;
            return Ok(true);
        }
        let [chance, ..] = self.ports().clock.random();
        self.not_before(courier, pause(attempts, chance));
        Err(Stop::Later)
    }

    async fn dropped(&self, courier: &dyn Courier, kind: Kind, why: &str) {
        self.in_round(courier, |round| {
            round.posted.dropped = round.posted.dropped.saturating_add(1);
        });
        let receiver = courier.receiver();
        let title = format!("notices do not reach `{receiver}`");
        let text = format!("`{}` was left out: {why}", kind.name());
        let of = ("notices_dropped", receiver);
        self.report(Severity::Medium, of, (&title, text), None).await;
    }

    /// What people are told of a line.
    async fn notice(&self, line: &Line) -> Result<Option<Notice>, Stop> {
        let about = if is_of_operation(&line.event) {
            let Ok(id) = line.subject.parse() else { return Ok(None) };
            let found = self.ports().ledger.operation(id).await?;
            let Some(record) = found else { return Ok(None) };
            About::Operation(Box::new(record))
        } else if is_of_incident(&line.event) {
            let found = self.ports().journal.incident(&line.subject).await?;
            let Some(incident) = found else { return Ok(None) };
            About::Incident(Box::new(incident))
        } else if is_of_freeze(&line.event) {
            // its words may have changed since, or it may be lifted: what stands now is then not what the line is about
            let standing = self.ports().ledger.standing_freezes().await?;
            let is_it = |freeze: &StandingFreeze| {
                freeze.order.freeze.scope() == line.subject && freeze.at == line.at
            };
            standing
                .into_iter()
                .find(is_it)
                .map_or(About::Nothing, |it| About::Freeze(Box::new(it)))
        } else {
            About::Nothing
        };
        let ledger = self.ports().ledger.describe().await?.ledger_id;
        Ok(Notice::of(&self.setup().app, &ledger, line, &about))
    }
}

/// A round that is over, however it ended.
struct Out<'a> {
    engine: &'a Engine,
    receiver: &'a str,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if let Some(round) = self.engine.rounds().get_mut(self.receiver) {
            round.is_out = false;
        }
    }
}

/// Ever longer, and never the same for all: between half of it and the whole.
fn pause(attempts: u32, chance: u8) -> Millis {
    let doubled = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
    let whole = PAUSE.0.saturating_mul(doubled).min(PAUSE_MAX.0);
    let half = whole.checked_div(2).unwrap_or_default();
    let part = half.saturating_mul(u64::from(chance)).checked_div(255).unwrap_or_default();
    Millis(half.saturating_add(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_five_minutes() {
        let at_most = |attempts| pause(attempts, 255).0;
        let longest: Vec<u64> = [1, 2, 3, 8, 9, 10, 64, u32::MAX].map(at_most).to_vec();
        let expected = [1000, 2000, 4000, 128_000, 256_000, 300_000, 300_000, 300_000];
        assert_eq!(longest, expected);
        for chance in 0..=255 {
            let Millis(pause) = pause(3, chance);
            assert!((2000..=4000).contains(&pause), "{pause}");
        }
    }
}
