//! Threads that take turns at dear work: first come, first served, a bounded queue, a longest wait.

use std::{
    collections::VecDeque,
    io,
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

use super::Observer;

/// The lowest priority: under a flood of logins the requests keep most of the cores, and logins still come through.
const NICE: i32 = 19;

const SOONEST_RETRY: Duration = Duration::from_secs(1);
const LATEST_RETRY: Duration = Duration::from_secs(30);

/// No slot in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// When the queue should have emptied: 1 to 30 seconds.
    pub retry_after: Duration,
    pub cause: Cause,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    QueueFull,
    /// It waited as long as it may.
    Deadline,
    /// The system could not fill a salt.
    NoRandomness,
}

pub(super) struct Pool {
    shared: Arc<Shared>,
    deadline: Duration,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    slots: NonZeroUsize,
    capacity: NonZeroUsize,
    observer: Arc<dyn Observer>,
    state: Mutex<State>,
    /// A job came, or the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    next_id: u64,
    running: usize,
    /// Moving average of a turn; none before the first.
    turn: Option<Duration>,
    closed: bool,
}

struct Job {
    id: u64,
    queued: Instant,
    /// The longest wait.
    deadline: Duration,
    run: Box<dyn FnOnce() + Send>,
}

/// A place in the queue, given up when dropped.
struct Place<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Pool {
    pub(super) fn start(
        slots: NonZeroUsize,
        capacity: NonZeroUsize,
        deadline: Duration,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { slots, capacity, observer, state: Mutex::default(), changed: Condvar::new() });
        // Filled one by one, so that dropping it ends those that began when a later one cannot.
        let mut pool = Self { shared, deadline, threads: Vec::with_capacity(slots.get()) };
        for slot in 0..slots.get() {
            let shared = Arc::clone(&pool.shared);
            pool.threads.push(thread::Builder::new().name(format!("hash-{slot}")).spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    pub(super) fn slots(&self) -> NonZeroUsize {
        self.shared.slots
    }

    /// Does `work` on a slot. Dropping the future gives the place in the queue up; work that began is finished.
    pub(super) async fn turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        self.turn_within(self.deadline, work).await
    }

    /// The same for one who waits so long for the slot, and no longer.
    pub(super) async fn turn_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (sender, mut answer) = oneshot::channel();
        // Nobody to send to is no failure: the requester went away.
        let run = Box::new(move || {
            let _ = sender.send(work());
        });
        let place = self.shared.enqueue(deadline, run).ok_or_else(|| self.refuse(Cause::QueueFull))?;
        let answered = match timeout(deadline, &mut answer).await {
            Ok(answered) => answered,
            Err(_) if place.give_up() => return Err(self.refuse(Cause::Deadline)),
            // It has its slot: the deadline is for the wait, not for the work.
            Err(_) => answer.await,
        };
        // A job is let go unanswered only when its turn came too late.
        answered.map_err(|_| self.refuse(Cause::Deadline))
    }

    pub(super) fn refuse(&self, cause: Cause) -> Busy {
        self.shared.observer.refused(cause);
        Busy { retry_after: self.shared.lock().retry_after(self.shared.slots), cause }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to end.
            drop(thread.join());
        }
    }
}

impl Shared {
    // A panic while the lock is held leaves nothing half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, deadline: Duration, run: Box<dyn FnOnce() + Send>) -> Option<Place<'_>> {
        let mut state = self.lock();
        // What an idle slot is about to take does not wait.
        let idle = self.slots.get().saturating_sub(state.running);
        if state.queue.len() >= self.capacity.get().saturating_add(idle) {
            return None;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.queue.push_back(Job { id, queued: Instant::now(), deadline, run });
        self.observer.waiting(state.queue.len());
        self.changed.notify_one();
        Some(Place { shared: self, id })
    }

    fn work(&self) {
        // Per thread on Linux. Where it is forbidden the service is less polite under a flood, and still right.
        let _ = rustix::process::setpriority_process(None, NICE);
        while let Some(job) = self.next() {
            let waited = job.queued.elapsed();
            // The requester's own timer may be late on a starved machine.
            if waited <= job.deadline {
                self.observer.started(waited);
                let start = Instant::now();
                (job.run)();
                self.lock().learn(start.elapsed());
                self.observer.finished();
            }
            self.lock().running -= 1;
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                state.running += 1;
                self.observer.waiting(state.queue.len());
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn learn(&mut self, took: Duration) {
        self.turn = Some(self.turn.map_or(took, |turn| (turn * 7 + took) / 8));
    }

    fn retry_after(&self, slots: NonZeroUsize) -> Duration {
        let jobs = u32::try_from(self.queue.len() + self.running).unwrap_or(u32::MAX);
        let slots = u32::try_from(slots.get()).unwrap_or(u32::MAX);
        let turn = self.turn.unwrap_or_default();
        (turn.saturating_mul(jobs) / slots).clamp(SOONEST_RETRY, LATEST_RETRY)
    }
}

impl Place<'_> {
    /// False when the job is no longer waiting.
    fn give_up(&self) -> bool {
        let mut state = self.shared.lock();
        let Some(position) = state.queue.iter().position(|job| job.id == self.id) else { return false };
        let job = state.queue.remove(position);
        self.shared.observer.waiting(state.queue.len());
        drop(state);
        // Wipes its password, for which nobody need wait.
        drop(job);
        true
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests;
