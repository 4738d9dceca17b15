//! The thread that owns the file, and group commit.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::ledger::Clocks;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::{fault::Fault, history::History, schema};
use crate::lineage::Lineage;

/// How many calls may wait for the thread; further callers wait for a place.
const QUEUE_MAX: usize = 4096;

/// How many calls one transaction takes at most.
const BATCH_MAX: usize = 256;

/// Tells a caller how its call ended, once the transaction did.
type Reply = Box<dyn FnOnce(Result<(), Fault>)>;

/// A call that writes. It gets the books inside a transaction, or the reason why there is none.
type Write = Box<dyn FnOnce(Result<&Books, Fault>) -> Reply + Send>;

enum Message {
    /// Runs at once, outside of any transaction: sees only what is durable.
    Alone(Box<dyn FnOnce(&Books) + Send>),
    /// Runs in the next transaction.
    Write(Write),
    Stop,
}

/// The handle of the thread.
pub(super) struct Worker {
    sender: Sender<Message>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    lineage: Arc<Lineage>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker(..)")
    }
}

impl Worker {
    pub(super) fn start(books: Books) -> Result<Self, String> {
        let lineage = Arc::clone(&books.history.lineage);
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("countersign-store".into())
            .spawn(move || run(&books, &receiver))
            .map_err(|error| error.to_string())?;
        let places = Arc::new(Semaphore::new(QUEUE_MAX));
        Ok(Self { sender, places, thread: Mutex::new(Some(thread)), lineage })
    }

    /// What this process has seen of the ledger, as far as it is durable.
    pub(super) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Runs a step that changes nothing on the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Step<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.alone(move |books| books.admit().and_then(|()| step(&books.step()))).await
    }

    /// Runs something outside of any transaction, whatever the file holds.
    pub(super) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Books) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Fault::closed())?;
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |books: &Books| {
            answer.send(books.noticed(work(books))).ok();
            drop(place);
        });
        self.sender.send(Message::Alone(job)).map_err(|_| Fault::closed())?;
        answered.await.map_err(|_| Fault::closed())?
    }

    /// Runs a step, all of it or nothing, and answers when it is durable. Once queued it runs to its end,
    /// also if the caller goes away. Not while the clocks disagree.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Step<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.write_regardless(move |at| at.timely().and_then(|()| step(at))).await
    }

    /// As `write`, whatever the clocks say.
    pub(super) async fn write_regardless<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Step<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Fault::closed())?;
        let (answer, answered) = oneshot::channel();
        let job: Write = Box::new(move |books| {
            let result = books.and_then(|books| books.noticed(books.savepoint(step)));
            let reply: Reply = Box::new(move |durable| {
                answer.send(durable.and(result)).ok();
                drop(place);
            });
            reply
        });
        self.sender.send(Message::Write(job)).map_err(|_| Fault::closed())?;
        let gone = |_| Fault::Ambiguous("the store stopped before it answered".into());
        answered.await.map_err(gone)?
    }

    /// Lets the queue run empty and waits for the thread's end.
    pub(super) fn stop(&self) {
        self.sender.send(Message::Stop).ok();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread owns.
pub(super) struct Books {
    pub(super) connection: Connection,
    pub(super) history: History,
    high: Cell<Timestamp>,
    present: RefCell<BTreeMap<String, Timestamp>>,
}

/// One call: the file and one instant.
pub(super) struct Step<'a> {
    books: &'a Books,
    /// The store's clock, read once for the whole call.
    pub(super) now: Timestamp,
}

impl Books {
    pub(super) fn new(connection: Connection, history: History) -> Self {
        // an empty file has shown no time yet
        let high = schema::high(&connection).unwrap_or_default();
        Self { connection, history, high: Cell::new(high), present: RefCell::default() }
    }

    /// While the clocks disagree, time stands.
    pub(super) fn step(&self) -> Step<'_> {
        let agree = self.history.clocks().is_none_or(Clocks::agree);
        let now = if agree { self.history.wall().max(self.high.get()) } else { self.high.get() };
        self.high.set(now);
        Step { books: self, now }
    }

    fn savepoint<T>(&self, step: impl FnOnce(&Step<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.execute("SAVEPOINT call")?;
        let result = step(&self.step());
        if result.is_err() {
            self.execute("ROLLBACK TO call")?;
        }
        self.execute("RELEASE call")?;
        result
    }

    fn execute(&self, sql: &str) -> Result<(), Fault> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<(), Fault> {
        self.execute("BEGIN IMMEDIATE")
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        schema::set_high(&self.connection, self.high.get())?;
        self.execute("COMMIT")?;
        self.publish()
    }

    /// After a failed commit SQLite may have ended the transaction by itself.
    pub(super) fn give_up(&self) {
        self.execute("ROLLBACK").ok();
    }
}

impl Step<'_> {
    /// The file.
    pub(super) fn connection(&self) -> &Connection {
        &self.books.connection
    }

    /// What was seen of the ledger, and the clocks.
    pub(super) fn history(&self) -> &History {
        &self.books.history
    }

    /// Notes that a gateway lives, until this process or its `ttl` ends.
    pub(super) fn present(&self, gateway: &str, ttl: Millis) {
        let mut present = self.books.present.borrow_mut();
        present.retain(|_, until| *until > self.now);
        present.insert(gateway.into(), self.now.after(ttl));
    }

    /// Whether a gateway lives.
    pub(super) fn lives(&self, gateway: &str) -> bool {
        let present = self.books.present.borrow();
        present.get(gateway).is_some_and(|until| *until > self.now)
    }
}

/// The thread's life.
fn run(books: &Books, receiver: &Receiver<Message>) {
    let mut open = true;
    while open {
        let Ok(first) = receiver.recv() else { break };
        let rest = receiver.try_iter().take(BATCH_MAX.saturating_sub(1));
        let mut writes = Vec::new();
        for message in std::iter::once(first).chain(rest) {
            match message {
                Message::Alone(job) => job(books),
                Message::Write(job) => writes.push(job),
                Message::Stop => open = false,
            }
        }
        if !writes.is_empty() {
            transact(books, writes);
        }
    }
    // The time that was shown last must survive too; there is nobody left to tell if it does not.
    schema::set_high(&books.connection, books.high.get()).ok();
}

/// Runs these calls in one transaction and answers them when it is on the disk.
fn transact(books: &Books, writes: Vec<Write>) {
    let begun = books.admit().and_then(|()| books.begin());
    let call = |job: Write| job(begun.clone().map(|()| books));
    let replies: Vec<Reply> = writes.into_iter().map(call).collect();
    let durable = begun.and_then(|()| books.end().map_err(uncertain));
    if durable.is_err() {
        books.give_up();
    }
    for reply in replies {
        reply(durable.clone());
    }
}

/// A commit that failed half-way may still be found on the disk after a crash.
fn uncertain(fault: Fault) -> Fault {
    match fault {
        Fault::Unavailable(reason) => Fault::Ambiguous(reason),
        Fault::Ambiguous(_)
        | Fault::Refused(_)
        | Fault::Damaged(_)
        | Fault::Unpinned
        | Fault::Cursor(_)
        | Fault::Lost(_)
        | Fault::Clock(_) => fault,
    }
}
