//! What the log and the metrics promise.

mod documented;
mod lines;
mod loss;
mod numbers;

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::*;
use crate::config::LogFormat;

/// Longer than anything takes; only failures last so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A sink that can be read, blocked and broken.
#[derive(Clone, Default)]
pub struct Tape(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
pub struct State {
    pub bytes: Vec<u8>,
    pub writes: usize,
    pub blocked: bool,
    /// Takes so many bytes more, then fails.
    pub breaks_after: Option<usize>,
}

impl Tape {
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
        result
    }

    pub fn wait_until(&self, happened: impl Fn(&State) -> bool) {
        let guard = self.0.0.lock().unwrap();
        let (_guard, time_out) = self.0.1.wait_timeout_while(guard, PATIENCE, |s| !happened(s)).unwrap();
        assert!(!time_out.timed_out(), "it did not happen");
    }

    pub fn text(&self) -> String {
        self.with(|s| String::from_utf8(s.bytes.clone()).unwrap())
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock().unwrap();
        state.writes += 1;
        self.0.1.notify_all();
        let mut state = self.0.1.wait_while(state, |s| s.blocked).unwrap();
        let taken = match &mut state.breaks_after {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                taken
            }
            None => bytes.len(),
        };
        state.bytes.extend_from_slice(&bytes[..taken]);
        self.0.1.notify_all();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log at noon of a certain day.
pub fn log(format: LogFormat) -> (Log, Tape) {
    let tape = Tape::default();
    let noon = SystemTime::UNIX_EPOCH + Duration::new(1_772_366_400, 123_456);
    (Log::to(tape.clone(), format, move || noon), tape)
}

/// What is written by a few calls.
pub fn written(format: LogFormat, calls: impl FnOnce(&Log)) -> String {
    let (log, tape) = log(format);
    calls(&log);
    drop(log);
    tape.text()
}
