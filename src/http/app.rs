//! What every handler works with, and what it may do with one request.

use std::{
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use tokio::time::{Instant, timeout_at};

use super::{client::Client, problem::Problem};
use crate::{
    auth::{
        password::{Begun, Hasher},
        throttle::{Attempt, Scope, Throttle},
        token::Tokens,
    },
    config,
    store::{Admission, Store, StoreError},
    telemetry::{
        Event, Log, Metrics, Subject,
        metrics::{self as measure, DatabaseError},
    },
};

/// What the handlers work with.
pub struct App {
    pub store: Store,
    pub tokens: Tokens,
    pub hasher: Hasher,
    pub log: Log,
    pub metrics: Arc<Metrics>,
    pub rehash_legacy: bool,
    // Its key is in the database, so it is there only once that was reached.
    throttle: OnceLock<Throttle>,
    phase: AtomicU8,
    database_lost: AtomicBool,
}

/// Where the service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The database has not been reached, or its schema is not right yet.
    Starting,
    Ready,
    /// Asked to stop: requests are answered, but no more should come.
    Draining,
}

impl App {
    pub fn new(
        store: Store,
        tokens: Tokens,
        hasher: Hasher,
        log: Log,
        metrics: Arc<Metrics>,
        passwords: &config::Passwords,
    ) -> Self {
        Self {
            store,
            tokens,
            hasher,
            log,
            metrics,
            rehash_legacy: passwords.rehash_legacy,
            throttle: OnceLock::new(),
            phase: AtomicU8::new(0),
            database_lost: AtomicBool::new(false),
        }
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// From now on requests are let through.
    pub fn ready(&self, throttle: Throttle) {
        let _ = self.throttle.set(throttle);
        // Never back from draining.
        let _ = self.phase.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// From now on `/readyz` refuses; everything else goes on.
    pub fn drain(&self) {
        self.phase.store(2, Ordering::Release);
    }

    pub(super) fn throttle(&self) -> Result<&Throttle, Problem> {
        self.throttle.get().ok_or_else(|| Problem::NotReady { cause: "starting".into() })
    }

    // Tells log and metrics of what a request found of the database; the log only of changes.
    pub(super) fn database_seen(&self, refused: Option<&Problem>) {
        match refused {
            Some(Problem::DatabaseUnavailable { cause }) => {
                self.metrics.database_error(DatabaseError::Unavailable);
                if !self.database_lost.swap(true, Ordering::AcqRel) {
                    self.log.service(Event::DatabaseLost, &[("error", cause.into())]);
                }
            }
            // Not lost: reads go on, and would each tell that it is back.
            Some(Problem::DatabaseFull { .. }) => self.metrics.database_error(DatabaseError::Unavailable),
            Some(Problem::Internal { .. }) => self.metrics.database_error(DatabaseError::Unexpected),
            // Only what the database itself had to answer shows that it is back.
            None
            | Some(
                Problem::EmailTaken
                | Problem::InvalidCredentials
                | Problem::UserNotFound
                | Problem::TooManyAttempts { .. },
            ) => {
                if self.database_lost.load(Ordering::Acquire) && self.database_lost.swap(false, Ordering::AcqRel) {
                    self.log.service(Event::DatabaseBack, &[]);
                }
            }
            Some(_) => {}
        }
    }

    // Work after a good login that may fail without failing the login.
    pub(super) fn tidy<T>(&self, done: Result<T, StoreError>) {
        if let Err(error) = done {
            self.log.service(Event::HouseworkFailed, &[("error", (&error.to_string()).into())]);
        }
    }
}

// One request, as its handler sees it.
#[derive(Clone)]
pub(super) struct Call {
    pub app: Arc<App>,
    pub client: Client,
    pub deadline: Instant,
}

impl Call {
    // Lets an attempt through to hashing, or says when to come back.
    pub(super) async fn admit(&self, attempt: &Attempt, throttled: Event) -> Result<(), Problem> {
        match self.app.store.admit(attempt).await? {
            Admission::Admitted => Ok(()),
            Admission::Refused { scope, retry_after } => {
                self.app.metrics.throttle_refusal(bucket(scope));
                self.security(throttled, Some(attempt), Some(scope.label()));
                Err(Problem::TooManyAttempts { retry_after })
            }
        }
    }

    // Judges an attempt. One that we could not judge, in time or at all, must not count against anybody: else whoever keeps
    // the hashers busy would use up the owner's places. A hash that was begun is paid for, even where the client went away or
    // its time is over: else slow clients had hashes for nothing.
    pub(super) async fn judged<T>(
        &self,
        attempt: &Attempt,
        begun: &Begun,
        judging: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let done = timeout_at(self.deadline, judging).await.unwrap_or(Err(Problem::TimedOut));
        let unjudged = match &done {
            Err(
                Problem::Busy { .. }
                | Problem::DatabaseUnavailable { .. }
                | Problem::DatabaseFull { .. }
                | Problem::Internal { .. },
            ) => true,
            Err(Problem::TimedOut) => !begun.get(),
            _ => false,
        };
        if unjudged {
            let (app, attempt) = (self.app.clone(), attempt.clone());
            // Nobody waits for it: the database may be what kept us.
            tokio::spawn(async move { app.tidy(app.store.give_back(&attempt).await) });
        }
        done
    }

    pub(super) fn security(&self, event: Event, attempt: Option<&Attempt>, reason: Option<&str>) {
        self.app.log.security(
            event,
            &Subject {
                request_id: Some(&self.client.request_id),
                account: attempt.map(|attempt| attempt.account.0.into()),
                client: Some(self.client.address),
                reason,
            },
        );
    }
}

fn bucket(scope: Scope) -> measure::Bucket {
    match scope {
        Scope::AccountNetwork => measure::Bucket::AccountNetwork,
        Scope::Network => measure::Bucket::Network,
        Scope::Account => measure::Bucket::Account,
        Scope::RegisterNetwork => measure::Bucket::RegisterNetwork,
    }
}
