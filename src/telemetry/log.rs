//! The log: lines are formatted where they arise and written by a thread of its own, in batches, so that no request ever
//! waits for whoever reads them.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use prometheus_client::metrics::counter::Counter;

use super::{
    event::{Access, Event, Field, Level, Subject},
    line::Line,
};
use crate::config::LogFormat;

/// Lines waiting for the sink, in bytes; beyond it they are dropped and counted.
const CAPACITY: usize = 4 << 20;
/// So much is written without waiting for more.
const BATCH: usize = 64 << 10;
/// What a line may wait for company: one system call for many lines.
const LINGER: Duration = Duration::from_millis(5);
/// How long the last handle waits for a sink that takes nothing.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// A handle on the log; all clones write to one sink. When the last one goes, what is waiting is written.
#[derive(Clone)]
pub struct Log(Arc<Handle>);

type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// Ends the writer when the last [`Log`] goes; the writer itself holds only `Shared`.
struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    format: LogFormat,
    clock: Clock,
    waiting: Mutex<Waiting>,
    /// Tells the writer that there is something to do.
    wake: Condvar,
    /// Tells those who flush that a batch is done.
    done: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines dropped since the log last said so.
    unsaid: u64,
    /// Batches taken and batches done: equal when the writer is idle.
    taken: u64,
    done: u64,
    /// Somebody waits: no lingering.
    hurry: bool,
    closed: bool,
}

impl Log {
    /// Lines to standard output, by the clock of the system.
    pub fn stdout(format: LogFormat) -> Self {
        // Not io::stdout(): its line buffer would cut the batches into lines again.
        match stdout_unbuffered() {
            Ok(file) => Self::to(file, format, SystemTime::now),
            Err(_) => Self::to(io::stdout(), format, SystemTime::now),
        }
    }

    /// Lines to any sink, by any clock. A sink that fails loses lines, and is tried again with the next ones.
    pub fn to(
        sink: impl Write + Send + 'static,
        format: LogFormat,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            format,
            clock: Box::new(clock),
            waiting: Mutex::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
            dropped: Counter::default(),
        });
        let log = Self(Arc::new(Handle { shared: shared.clone() }));
        let mut sink = Sink { inner: sink, mid_line: false };
        let writer = thread::Builder::new().name("log".into()).spawn(move || shared.write_all_batches(&mut sink));
        if writer.is_err() {
            // Without a writer there is no log, but there can be a service.
            log.0.shared.lock().closed = true;
        }
        log
    }

    /// The line of a request.
    pub fn access(&self, access: &Access<'_>) {
        let level = if access.status >= 500 { Level::Error } else { Event::Request.level() };
        self.line(level, Event::Request, |line| line.access(access));
    }

    /// An event about an account or a client.
    pub fn security(&self, event: Event, subject: &Subject<'_>) {
        self.line(event.level(), event, |line| line.subject(subject));
    }

    /// An event about the service itself. The fields must hold no secret and nothing that names a person.
    pub fn service(&self, event: Event, fields: &[(&'static str, Field<'_>)]) {
        self.line(event.level(), event, |line| line.fields(fields));
    }

    /// Waits until everything logged before is written, at most `patience`; tells whether it is.
    pub fn flush(&self, patience: Duration) -> bool {
        self.0.shared.flush(patience)
    }

    /// Lines lost so far: a counter that goes on counting.
    pub fn dropped(&self) -> Counter {
        self.0.shared.dropped.clone()
    }

    fn line(&self, level: Level, event: Event, fill: impl FnOnce(Line<'_>)) {
        thread_local! {
            // Formatting outside the lock: under it there is only a copy.
            static SCRATCH: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(512));
        }
        let shared = &self.0.shared;
        let now = (shared.clock)();
        let write = |scratch: &mut Vec<u8>| {
            scratch.clear();
            fill(Line::begin(scratch, shared.format, now, level, event));
            shared.push(scratch);
            // One giant cause must not stay in the memory of every thread.
            scratch.shrink_to(4096);
        };
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => write(&mut scratch),
            Err(_) => write(&mut Vec::new()),
        });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.flush(LAST_FLUSH);
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    // A thread that panicked while it held the lock left whole lines behind: they are good.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.closed || waiting.bytes.len() + line.len() > CAPACITY {
            waiting.unsaid += 1;
            drop(waiting);
            self.dropped.inc();
            return;
        }
        let before = waiting.bytes.len();
        waiting.bytes.extend_from_slice(line);
        let full_now = before < BATCH && waiting.bytes.len() >= BATCH;
        drop(waiting);
        // The writer sleeps only when there is nothing, or not yet a batch: no need to wake it for every line.
        if before == 0 || full_now {
            self.wake.notify_one();
        }
    }

    fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut waiting = self.lock();
        // The batch being written now, and the next one if there are lines for it.
        let wanted = waiting.taken + u64::from(!waiting.bytes.is_empty());
        if !waiting.bytes.is_empty() {
            waiting.hurry = true;
            self.wake.notify_one();
        }
        while waiting.done < wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || waiting.closed {
                return false;
            }
            waiting = self.done.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The life of the writer.
    fn write_all_batches(&self, sink: &mut Sink<impl Write>) {
        let mut batch = Vec::new();
        while let Some(said) = self.take(&mut batch) {
            let mut lost = sink.write_batch(&batch);
            batch.clear();
            batch.shrink_to(BATCH * 2);
            let mut waiting = self.lock();
            if lost > 0 && said > 0 {
                // Among the lost is the line that told of earlier ones: not one of its own, and to be said again.
                lost -= 1;
                waiting.unsaid += said;
            }
            waiting.unsaid += lost;
            self.dropped.inc_by(lost);
            waiting.done += 1;
            drop(waiting);
            self.done.notify_all();
        }
    }

    /// Waits for lines and takes them all, with a last one that tells how many were dropped before; that number is
    /// returned. Nothing when there will be no more.
    fn take(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.closed;
        let mut waiting = self.wake.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes.is_empty() {
            return None;
        }
        let in_no_hurry = |waiting: &mut Waiting| waiting.bytes.len() < BATCH && !waiting.hurry && !waiting.closed;
        waiting = self.wake.wait_timeout_while(waiting, LINGER, in_no_hurry).unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut waiting.bytes, batch);
        let unsaid = std::mem::take(&mut waiting.unsaid);
        waiting.hurry = false;
        waiting.taken += 1;
        drop(waiting);
        if unsaid > 0 {
            let event = Event::LinesDropped;
            let line = Line::begin(batch, self.format, (self.clock)(), event.level(), event);
            line.fields(&[("lines", unsaid.into())]);
        }
        Some(unsaid)
    }
}

struct Sink<W> {
    inner: W,
    /// The last write ended within a line.
    mid_line: bool,
}

impl<W: Write> Sink<W> {
    /// Writes what can be written and tells how many lines were lost.
    fn write_batch(&mut self, batch: &[u8]) -> u64 {
        if self.mid_line && self.write(b"\n").is_err() {
            return lines(batch);
        }
        match self.write(batch) {
            Ok(()) if self.inner.flush().is_ok() => 0,
            Ok(()) => lines(batch),
            Err(rest) => lines(rest),
        }
    }

    fn write<'a>(&mut self, mut bytes: &'a [u8]) -> Result<(), &'a [u8]> {
        while !bytes.is_empty() {
            match self.inner.write(bytes) {
                Ok(0) => return Err(bytes),
                Ok(written) => {
                    let (done, rest) = bytes.split_at(written.min(bytes.len()));
                    self.mid_line = done.last() != Some(&b'\n');
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A terminal or pipe that somebody set to non-blocking: only this thread waits for it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::park_timeout(Duration::from_millis(1));
                }
                Err(_) => return Err(bytes),
            }
        }
        Ok(())
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|b| u64::from(*b == b'\n')).sum()
}

fn stdout_unbuffered() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
