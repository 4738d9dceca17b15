//! The one hand that writes a gateway's chain. What comes while the last entries are on their way waits, and goes in one
//! step with whatever waits beside it: no entry waits for a round trip of each before it.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_core::journal::{ChainHead, Line};
use countersign_engine::port::{journal::JournalError, ledger::LedgerError};
use tokio::sync::oneshot;

use super::{
    entry::{parse_head, stored},
    gateway_hash, unavailable,
};
use crate::redis::{
    link::{Call, Link},
    reply::{Reply, damaged},
    scripts::Script,
};

/// How often an entry begins again because another process of the same name was faster.
const ATTEMPTS_MAX: u32 = 16;

/// The most entries that go in one step.
const GROUP_MAX: usize = 32;

/// The most bytes of arguments that go in one step, where a single entry has no more.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// What an entry changes besides the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    PinPolicy,
    RecordTrace,
    UpdateTrace,
    PutIncident,
}

impl Change {
    /// As `append.lua` calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::PinPolicy => "pin_policy",
            Self::RecordTrace => "record_trace",
            Self::UpdateTrace => "update_trace",
            Self::PutIncident => "put_incident",
        }
    }
}

/// What came of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is in the chain.
    Now,
    /// What it says was recorded before.
    Before,
    /// What it changes does not exist, or is not as it was.
    Missing,
}

/// The chain of one gateway.
#[derive(Debug)]
pub(super) struct Writer {
    link: Arc<Link>,
    gateway: String,
    gateway_hash: String,
    queue: Mutex<Queue>,
    // how many steps the store has answered
    answered: AtomicU64,
    // how long an entry waits for its turn while none before it is answered
    patience: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    // behind the last entry, where it is known and nobody writes
    head: Option<ChainHead>,
    is_written: bool,
    taken: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    change: Change,
    line: Line,
    call: Call,
    attempts: u32,
    told: oneshot::Sender<Result<Appended, JournalError>>,
}

impl Writer {
    pub(super) fn new(link: Arc<Link>, gateway: String, patience: Duration) -> Self {
        Self {
            link,
            gateway_hash: gateway_hash(&gateway),
            gateway,
            queue: Mutex::default(),
            answered: AtomicU64::new(0),
            patience,
        }
    }

    /// Appends an entry behind the head of this gateway's chain, whether or not the caller stays to hear of it.
    pub(super) async fn append(
        self: &Arc<Self>,
        (change, line): (Change, Line),
        call: Call,
    ) -> Result<Appended, JournalError> {
        let (told, mut answer) = oneshot::channel();
        let (number, begins) = self.queue().take_in(change, line, call, told);
        if begins {
            tokio::spawn(Arc::clone(self).write());
        }
        loop {
            let before = self.answered.load(Ordering::Acquire);
            match tokio::time::timeout(self.patience, &mut answer).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => return Err(JournalError::Unavailable("its writer broke off".into())),
                // A queue that moves is waited for, however long it is; behind a silent store each of a crowd would wait
                // for all calls before its own to run out of time, one after another.
                Err(_) if self.answered.load(Ordering::Acquire) == before => {
                    if self.queue().give_up(number) {
                        let why = "no entry before this one is answered";
                        return Err(JournalError::Unavailable(why.into()));
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Writes until nothing waits.
    async fn write(self: Arc<Self>) {
        let mut known = self.queue().head.take();
        loop {
            let group = self.queue().next_group(known);
            if group.is_empty() {
                return;
            }
            known = self.write_group(group, known).await;
        }
    }

    /// The head behind what was written, if it is known.
    async fn write_group(
        &self,
        group: Vec<Waiting>,
        known: Option<ChainHead>,
    ) -> Option<ChainHead> {
        let head = match known {
            Some(head) => Ok(head),
            None => self.head().await,
        };
        let (heads, answer) = match head {
            Ok(head) => self.send(head, &group).await,
            Err(error) => (Vec::new(), Err(error)),
        };
        match answer {
            Ok(answers) => {
                self.answered.fetch_add(1, Ordering::AcqRel);
                self.tell(group, &heads, answers).await
            }
            Err(error) => {
                let error = unavailable(error);
                for waiting in group {
                    waiting.tell(Err(error.clone()));
                }
                None
            }
        }
    }

    /// The store's answer to each of them, and the head before each and behind the last.
    async fn send(
        &self,
        mut head: ChainHead,
        group: &[Waiting],
    ) -> (Vec<ChainHead>, Result<Reply, LedgerError>) {
        let mut heads = vec![head];
        let mut call = self.named();
        for Waiting { change, line, call: made, .. } in group {
            let next = head.then(line.digest());
            let place = Call::new()
                .arg("expected", stored(head))
                .arg("next", stored(next))
                .arg("entry", line.text());
            let place = if *change == Change::RecordTrace && head != ChainHead::START {
                place.field("previous_hash", head.hash)
            } else {
                place
            };
            call = call.step(change.name(), [&place, made]);
            heads.push(next);
            head = next;
        }
        (heads, self.link.run(Script::Append, call).await)
    }

    /// Tells each what came of it; those behind the first that was not written wait again, at the front.
    async fn tell(
        &self,
        group: Vec<Waiting>,
        heads: &[ChainHead],
        answers: Reply,
    ) -> Option<ChainHead> {
        let mut answers = answers.lists();
        let mut group = group.into_iter().zip(heads);
        let mut known = heads.last().copied();
        let mut again = Vec::new();
        for (waiting, before) in group.by_ref() {
            let answer = answers.next().unwrap_or_else(|| Err(damaged("an entry has no answer")));
            match said(answer) {
                Ok(Said::Done) => {
                    waiting.tell(Ok(Appended::Now));
                    continue;
                }
                Ok(Said::NotWritten(why)) => {
                    known = Some(*before);
                    waiting.tell(why);
                }
                Ok(Said::Moved(head)) => {
                    known = Some(head);
                    again.extend(waiting.once_more());
                }
                Err(error) => {
                    known = None;
                    waiting.tell(Err(unavailable(self.link.noticed(error).await)));
                }
            }
            break;
        }
        again.extend(group.map(|(waiting, _)| waiting));
        self.queue().put_back(again);
        known
    }

    async fn head(&self) -> Result<ChainHead, LedgerError> {
        parse_head(&self.link.run(Script::JournalHead, self.named()).await?.text()?)
    }

    fn named(&self) -> Call {
        Call::new().arg("gateway", &self.gateway).arg("gateway_hash", &self.gateway_hash)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store said of one entry.
enum Said {
    Done,
    NotWritten(Result<Appended, JournalError>),
    Moved(ChainHead),
}

fn said(answer: Result<Reply, LedgerError>) -> Result<Said, LedgerError> {
    let mut answer = answer?;
    Ok(match answer.tag()?.as_str() {
        "done" => Said::Done,
        "known" => Said::NotWritten(Ok(Appended::Before)),
        "missing" => Said::NotWritten(Ok(Appended::Missing)),
        "unpinned" => Said::NotWritten(Err(JournalError::Unpinned)),
        "moved" => Said::Moved(parse_head(&answer.text()?)?),
        "broken" => return Err(LedgerError::Damaged(answer.text()?)),
        other => return Err(damaged(&format!("a script answered `{other}`"))),
    })
}

impl Waiting {
    fn tell(self, answer: Result<Appended, JournalError>) {
        // whoever asked may have gone
        drop(self.told.send(answer));
    }

    fn once_more(mut self) -> Option<Self> {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts < ATTEMPTS_MAX {
            return Some(self);
        }
        let why = "another process writes under this gateway's name";
        self.tell(Err(JournalError::Unavailable(why.into())));
        None
    }
}

impl Queue {
    /// Its number, and whether somebody has to begin writing.
    fn take_in(
        &mut self,
        change: Change,
        line: Line,
        call: Call,
        told: oneshot::Sender<Result<Appended, JournalError>>,
    ) -> (u64, bool) {
        self.taken = self.taken.saturating_add(1);
        let number = self.taken;
        self.waiting.push_back(Waiting { number, change, line, call, attempts: 0, told });
        (number, !mem::replace(&mut self.is_written, true))
    }

    /// Whether it waited still, and nobody will write it.
    fn give_up(&mut self, number: u64) -> bool {
        let waited = self.waiting.len();
        self.waiting.retain(|waiting| waiting.number != number);
        self.waiting.len() < waited
    }

    /// Those that go next behind this head; where there are none, nobody writes from now on.
    fn next_group(&mut self, head: Option<ChainHead>) -> Vec<Waiting> {
        let (mut group, mut bytes) = (Vec::new(), 0_usize);
        while let Some(next) = self.waiting.front() {
            bytes = bytes.saturating_add(next.call.len()).saturating_add(next.line.text().len());
            if group.len() >= GROUP_MAX || (bytes > GROUP_BYTES_MAX && !group.is_empty()) {
                break;
            }
            group.extend(self.waiting.pop_front());
        }
        if group.is_empty() {
            (self.is_written, self.head) = (false, head);
        }
        group
    }

    fn put_back(&mut self, waiting: Vec<Waiting>) {
        for waiting in waiting.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
    }
}
