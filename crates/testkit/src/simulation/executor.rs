//! Runs tasks on one thread, in an order drawn from the seed, in time that passes only when nobody has work.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use countersign_core::time::{Millis, Timestamp};
use countersign_engine::port::clock::BoxFuture;

use super::chance::Chance;
use crate::time::ManualTime;

/// Whose tasks die together: 0 is the world, every start of a gateway is a process of its own.
pub(crate) type Process = u32;

/// The process that is never killed.
pub(crate) const WORLD: Process = 0;

/// More polls than any run needs: a run that makes them goes round in circles.
const POLLS_MAX: u64 = 4_000_000;

type TaskId = u64;

/// The tasks of one run.
#[derive(Debug, Clone)]
pub(crate) struct Executor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    chance: Chance,
    state: Mutex<State>,
    ready: Arc<Ready>,
    start: Timestamp,
    /// The store's clock, which follows.
    store: ManualTime,
}

/// Sorted, so that the order of waking does not matter.
#[derive(Debug, Default)]
struct Ready(Mutex<BTreeSet<TaskId>>);

#[derive(Default)]
struct State {
    now: u64,
    store_behind: u64,
    store_seen: Timestamp,
    last_task: TaskId,
    last_timer: u64,
    polls: u64,
    tasks: BTreeMap<TaskId, Task>,
    timers: BTreeMap<(u64, u64), Waker>,
    dead: BTreeSet<Process>,
}

struct Task {
    process: Process,
    /// Absent while it is polled.
    work: Option<BoxFuture<()>>,
    waker: Waker,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State(now: {}, tasks: {})", self.now, self.tasks.len())
    }
}

struct Alarm {
    task: TaskId,
    ready: Arc<Ready>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.ready.0).insert(self.task);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a run of the executor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The condition holds.
    Done,
    /// Nobody has work, nobody waits for a time.
    Idle,
    /// More polls than any run needs.
    Circles,
}

impl Executor {
    /// No tasks; the store's clock shows `start`.
    pub(crate) fn new(seed: u64, start: Timestamp, store: ManualTime) -> Self {
        store.set(start);
        Self(Arc::new(Shared {
            chance: Chance::new(seed, 1),
            state: Mutex::default(),
            ready: Arc::default(),
            start,
            store,
        }))
    }

    /// Milliseconds since the run began.
    pub(crate) fn now(&self) -> Millis {
        Millis(self.state().now)
    }

    /// The true time of day.
    pub(crate) fn wall(&self) -> Timestamp {
        self.0.start.after(self.now())
    }

    /// What a clock shows that follows the store's and never steps back.
    pub(crate) fn store_time(&self) -> Timestamp {
        let mut state = self.state();
        state.store_seen = state.store_seen.max(self.0.store.now());
        state.store_seen
    }

    /// Adds a task of a process; a dead process takes none.
    pub(crate) fn spawn(&self, process: Process, work: BoxFuture<()>) {
        let mut state = self.state();
        if state.dead.contains(&process) {
            drop(state);
            drop(work);
            return;
        }
        state.last_task += 1;
        let task = state.last_task;
        let ready = Arc::clone(&self.0.ready);
        let waker = Waker::from(Arc::new(Alarm { task, ready }));
        state.tasks.insert(task, Task { process, work: Some(work), waker });
        lock(&self.0.ready.0).insert(task);
    }

    /// Ends a process: its tasks are dropped wherever they are.
    pub(crate) fn kill(&self, process: Process) {
        let mut state = self.state();
        state.dead.insert(process);
        let doomed: Vec<TaskId> =
            state.tasks.iter().filter(|(_, t)| t.process == process).map(|(id, _)| *id).collect();
        let dropped: Vec<Task> = doomed.iter().filter_map(|id| state.tasks.remove(id)).collect();
        drop(state);
        // what a destructor does may come back here
        drop(dropped);
    }

    /// Completes after a time; a later jump of the time may make it longer.
    pub(crate) fn sleep(&self, duration: Millis) -> Sleep {
        let until = self.now().0.saturating_add(duration.0);
        Sleep { executor: self.clone(), until, timer: None }
    }

    /// Completes at the next turn that chance gives to this task.
    pub(crate) const fn turn() -> Turn {
        Turn(false)
    }

    /// Everything sleeps through this time, as when machines are suspended.
    pub(crate) fn jump(&self, by: Millis) {
        let to = self.now().0.saturating_add(by.0);
        self.advance(to);
    }

    /// From now on the store's clock shows so much less than the true time.
    pub(crate) fn hold_store_back(&self, by: Millis) {
        let mut state = self.state();
        state.store_behind = by.0;
        self.show(&state);
    }

    fn show(&self, state: &State) {
        self.0.store.set(self.0.start.after(Millis(state.now)).before(Millis(state.store_behind)));
    }

    fn advance(&self, to: u64) {
        let mut state = self.state();
        state.now = state.now.max(to);
        let now = state.now;
        let later = state.timers.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut state.timers, later);
        self.show(&state);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }

    /// Runs until the condition holds; it is asked after every poll.
    pub(crate) fn run(&self, mut is_done: impl FnMut() -> bool) -> Ended {
        loop {
            if is_done() {
                return Ended::Done;
            }
            match self.next() {
                Some(task) => self.poll(task),
                None => match self.next_timer() {
                    Some(at) => self.advance(at),
                    None => return Ended::Idle,
                },
            }
            if self.state().polls > POLLS_MAX {
                return Ended::Circles;
            }
        }
    }

    /// Mostly who has waited longest, sometimes anybody.
    fn next(&self) -> Option<TaskId> {
        let mut ready = lock(&self.0.ready.0);
        let place = if ready.len() > 1 && self.0.chance.percent(60) {
            self.0.chance.index(ready.len())
        } else {
            0
        };
        let task = *ready.iter().nth(place)?;
        ready.remove(&task);
        Some(task)
    }

    fn next_timer(&self) -> Option<u64> {
        self.state().timers.keys().next().map(|(at, _)| *at)
    }

    fn poll(&self, id: TaskId) {
        let mut state = self.state();
        state.polls += 1;
        let Some(task) = state.tasks.get_mut(&id) else { return };
        let Some(mut work) = task.work.take() else { return };
        let waker = task.waker.clone();
        drop(state);
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = self.state();
        if polled.is_pending()
            && let Some(task) = state.tasks.get_mut(&id)
        {
            task.work = Some(work);
            return;
        }
        let ended = state.tasks.remove(&id);
        drop(state);
        drop(ended);
    }

    /// Drops every task: they and the executor hold each other.
    pub(crate) fn clear(&self) {
        loop {
            let mut state = self.state();
            let tasks = std::mem::take(&mut state.tasks);
            let timers = std::mem::take(&mut state.timers);
            drop(state);
            if tasks.is_empty() {
                return;
            }
            drop((tasks, timers));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

/// See [`Executor::sleep`].
#[derive(Debug)]
pub(crate) struct Sleep {
    executor: Executor,
    until: u64,
    timer: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let executor = self.executor.clone();
        let mut state = executor.state();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        state.last_timer += 1;
        let key = self.timer.unwrap_or((self.until, state.last_timer));
        self.timer = Some(key);
        state.timers.insert(key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.executor.state().timers.remove(&key);
        }
    }
}

/// See [`Executor::turn`].
#[derive(Debug)]
pub(crate) struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executor(seed: u64) -> Executor {
        Executor::new(seed, Timestamp::from_millis(1_000_000), ManualTime::default())
    }

    fn order(seed: u64) -> Vec<u64> {
        let executor = executor(seed);
        let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
        for n in 0..8 {
            let (executor_of, seen) = (executor.clone(), Arc::clone(&seen));
            let work = async move {
                for _ in 0..3 {
                    Executor::turn().await;
                    lock(&seen).push(n);
                }
                executor_of.sleep(Millis(10 * n)).await;
                lock(&seen).push(n);
            };
            executor.spawn(WORLD, Box::pin(work));
        }
        assert_eq!(executor.run(|| false), Ended::Idle);
        assert_eq!(executor.now(), Millis(70));
        Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
    }

    #[test]
    fn the_order_of_tasks_is_drawn_from_the_seed() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_eq!(order(3).len(), 32);
    }

    #[test]
    fn a_killed_process_drops_its_tasks_where_they_are_and_takes_no_more() {
        let executor = executor(1);
        let (sender, mut receiver) = tokio::sync::oneshot::channel::<()>();
        let sleeper = executor.sleep(Millis(5));
        executor.spawn(
            7,
            Box::pin(async move {
                sleeper.await;
                sender.send(()).unwrap();
            }),
        );
        let killer = executor.clone();
        executor.spawn(
            WORLD,
            Box::pin(async move {
                killer.sleep(Millis(2)).await;
                killer.kill(7);
                killer.spawn(7, Box::pin(async { panic!("a dead process works") }));
            }),
        );
        assert_eq!(executor.run(|| false), Ended::Idle);
        assert!(receiver.try_recv().is_err());
        assert_eq!(executor.now(), Millis(2), "its timer is gone with it");
    }

    #[test]
    fn the_stores_clock_follows_and_can_be_held_back() {
        let store = ManualTime::default();
        let executor = Executor::new(1, Timestamp::from_millis(1_000_000), store.clone());
        executor.jump(Millis(500));
        assert_eq!(store.now().millis(), 1_000_500);
        executor.hold_store_back(Millis(300));
        executor.jump(Millis(100));
        assert_eq!((store.now().millis(), executor.wall().millis()), (1_000_300, 1_000_600));
    }
}
