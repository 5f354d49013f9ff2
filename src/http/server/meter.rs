//! What one connection is doing, seen from outside: is a request being answered, and if not, since when and for what it
//! waits.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::config::HttpLimits;

/// What the accept loop tells a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Answer the request that has arrived, then close.
    Finish = 1,
    /// As `Finish`, but a head that is still arriving is not waited for.
    Leave = 2,
}

/// Plain stores on the way of a request; the one timer of a connection looks at them now and then, so that a request
/// arms none.
#[derive(Debug)]
pub(super) struct Meter {
    born: Instant,
    /// Requests being answered; more than one only over HTTP/2.
    busy: AtomicUsize,
    /// Of these, how many still wait for the rest of their body.
    receiving: AtomicUsize,
    /// Microseconds from `born` to where the present wait began.
    since: AtomicU64,
    /// That wait is for the rest of a head, rather than for a next request or the client's reading of an answer.
    in_head: AtomicBool,
    left_unread: AtomicBool,
    order: AtomicU8,
    waker: AtomicWaker,
}

impl Meter {
    /// A new connection waits for a head.
    pub fn new() -> Self {
        Self {
            born: Instant::now(),
            busy: AtomicUsize::new(0),
            receiving: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            in_head: AtomicBool::new(true),
            left_unread: AtomicBool::new(false),
            order: AtomicU8::new(0),
            waker: AtomicWaker::new(),
        }
    }

    /// The handshake is over: the time for the first head begins.
    pub fn restart(&self) {
        self.stamp();
    }

    /// Bytes came from the client.
    pub fn received(&self) {
        if self.busy.load(Relaxed) == 0 && !self.in_head.load(Relaxed) {
            self.stamp();
            self.in_head.store(true, Relaxed);
        }
    }

    /// The client took bytes of an answer.
    pub fn sent(&self) {
        if self.busy.load(Relaxed) == 0 {
            self.stamp();
        }
    }

    /// A request is being answered for as long as the guard lives.
    pub fn answering(&self) -> Answering<'_> {
        self.busy.fetch_add(1, Relaxed);
        Answering(self)
    }

    /// A request's body is arriving for as long as the guard lives; its own deadline bounds that.
    pub fn receiving(&self) -> Receiving<'_> {
        self.stamp();
        self.receiving.fetch_add(1, Relaxed);
        Receiving(self)
    }

    /// A body was refused, so the client may still be sending.
    pub fn leave_unread(&self) {
        self.left_unread.store(true, Relaxed);
    }

    pub fn has_left_unread(&self) -> bool {
        self.left_unread.load(Relaxed)
    }

    pub fn waits_for_head(&self) -> bool {
        self.busy.load(Relaxed) == 0 && self.in_head.load(Relaxed)
    }

    /// Nothing that has arrived whole would be lost.
    pub fn waits_for_a_whole_request(&self) -> bool {
        self.waits_for_head() || self.only_receives()
    }

    fn only_receives(&self) -> bool {
        let busy = self.busy.load(Relaxed);
        busy > 0 && busy == self.receiving.load(Relaxed)
    }

    /// When the present wait is too long; nothing while a request is being answered.
    pub fn wait_ends(&self, limits: &HttpLimits) -> Option<Instant> {
        let limit = if self.in_head.load(Relaxed) { limits.header } else { limits.idle };
        (self.busy.load(Relaxed) == 0).then(|| self.since() + limit)
    }

    /// Since when this connection could be asked to leave; nothing if it is being answered or was asked before.
    pub fn waiting_since(&self) -> Option<Instant> {
        let waits = self.busy.load(Relaxed) == 0 || self.only_receives();
        (waits && self.order.load(Relaxed) == 0).then(|| self.since())
    }

    pub fn order(&self, order: Order) {
        self.order.store(order as u8, Release);
        self.waker.wake();
    }

    /// What was ordered; `waker` is woken when that changes.
    pub fn ordered(&self, waker: &Waker) -> Option<Order> {
        self.waker.register(waker);
        match self.order.load(Acquire) {
            0 => None,
            1 => Some(Order::Finish),
            _ => Some(Order::Leave),
        }
    }

    fn since(&self) -> Instant {
        self.born + Duration::from_micros(self.since.load(Relaxed))
    }

    fn stamp(&self) {
        let micros = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since.store(micros, Relaxed);
    }
}

pub(super) struct Answering<'a>(&'a Meter);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.stamp();
        self.0.in_head.store(false, Relaxed);
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

pub(super) struct Receiving<'a>(&'a Meter);

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.0.receiving.fetch_sub(1, Relaxed);
    }
}
