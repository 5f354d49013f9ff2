//! Password hashes: scrypt, the reference service's bcrypt, and the slots they are computed in.
//!
//! A hash is dear on purpose, so it is never computed on a thread that serves requests: a few slots (threads of
//! low priority) take turns in order of arrival, and what they cannot take in time is refused, not piled up.

mod cost;
mod pool;
mod resources;
mod stored;
#[cfg(test)]
mod tests;

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use crate::{
    config::Passwords,
    user::{Password, PasswordHash},
};

pub use self::{
    cost::Cost,
    pool::{Busy, Cause},
    resources::Resources,
    stored::{Unusable, Work},
};
use self::{pool::Pool, stored::Stored};

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Match {
        /// What to store instead, when the stored hash is not as today's are and may be replaced.
        renewal: Option<PasswordHash>,
    },
    /// Another password, or no such user.
    Mismatch,
    /// The stored text is no hash we compute; a client must see this as a mismatch, the log tells it.
    Unusable(Unusable),
}

/// Told what the slots do; by default nobody listens. Calls come from hash threads and from requests: be brief.
pub trait Observer: Send + Sync + 'static {
    /// So many requests wait for a slot now.
    fn waiting(&self, _requests: usize) {}
    /// A request got its slot after so long.
    fn started(&self, _waited: Duration) {}
    /// A slot is free again.
    fn finished(&self) {}
    /// One hash was computed.
    fn hashed(&self, _work: Work, _took: Duration) {}
    /// A request was refused.
    fn refused(&self, _cause: Cause) {}
}

impl Observer for () {}

/// Computes and verifies hashes, a few at a time. Dropping it waits for the hashes being computed.
pub struct Hasher {
    pool: Pool,
    desk: Desk,
}

impl Hasher {
    /// Starts the slots: `settings.slots`, else as many as cores and memory allow.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        settings: &Passwords,
        cost: Cost,
        resources: &Resources,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let slots = settings.slots.unwrap_or_else(|| resources.slots(cost));
        Ok(Self {
            pool: Pool::start(slots, settings.queue, settings.deadline, Arc::clone(&observer))?,
            desk: Desk {
                cost,
                memory_a_hash: resources.memory_a_hash(slots, cost),
                renew_legacy: settings.rehash_legacy,
                observer,
            },
        })
    }

    /// How many hashes may be computed at once.
    pub fn slots(&self) -> NonZeroUsize {
        self.pool.slots()
    }

    /// Whether `password` is the one whose hash is `stored`; `None` for an unknown user costs as much as a hash of
    /// today's cost. A hash to be renewed is computed in the same turn.
    ///
    /// # Errors
    /// [`Busy`] when no slot was free in time.
    pub async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
        begun: &Begun,
    ) -> Result<Outcome, Busy> {
        let password = copy(password);
        let stored = stored.map(|hash| Stored::parse(hash.expose_hash(), self.desk.memory_a_hash)).transpose();
        let desk = self.desk.clone();
        self.pool.turn(begun.before(move || desk.verify(&password, stored))).await
    }

    /// A new PHC string, of at most 255 characters.
    ///
    /// # Errors
    /// [`Busy`] when no slot was free in time or the system has no randomness yet.
    pub async fn hash(&self, password: &Password, begun: &Begun) -> Result<PasswordHash, Busy> {
        let password = copy(password);
        let desk = self.desk.clone();
        let hash = self.pool.turn(begun.before(move || desk.hash(&password))).await?;
        hash.map(PasswordHash::new).ok_or_else(|| self.pool.refuse(Cause::NoRandomness))
    }
}

/// Whether a slot has begun with somebody's hash, which is then computed to its end even if he no longer waits for it.
#[derive(Debug, Clone, Default)]
pub struct Begun(Arc<AtomicBool>);

impl Begun {
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn before<T, F: FnOnce() -> T>(&self, work: F) -> impl FnOnce() -> T + use<T, F> {
        let begun = self.0.clone();
        move || {
            begun.store(true, Ordering::Release);
            work()
        }
    }
}

fn copy(password: &Password) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.expose().as_bytes().to_vec())
}

/// What a slot needs to know to do one request's work.
#[derive(Clone)]
struct Desk {
    cost: Cost,
    /// Bytes.
    memory_a_hash: u64,
    renew_legacy: bool,
    observer: Arc<dyn Observer>,
}

impl Desk {
    fn verify(&self, password: &[u8], stored: Result<Option<Stored>, Unusable>) -> Outcome {
        let stored = match stored {
            Ok(Some(stored)) => stored,
            // Nothing to compare with: spend what a comparison costs, so that time does not tell.
            Ok(None) => {
                self.spend(password);
                return Outcome::Mismatch;
            }
            Err(reason) => {
                self.spend(password);
                return Outcome::Unusable(reason);
            }
        };
        if !self.timed(stored.work(), || stored.matches(password)) {
            return Outcome::Mismatch;
        }
        let renew = match stored.work() {
            Work::Bcrypt(_) => self.renew_legacy,
            Work::Scrypt(_) => !stored.is_as_of(self.cost),
        };
        // Without a renewal the old hash still serves, so a failed one is no reason to refuse.
        Outcome::Match { renewal: if renew { self.hash(password).map(PasswordHash::new) } else { None } }
    }

    fn hash(&self, password: &[u8]) -> Option<String> {
        self.timed(Work::Scrypt(self.cost), || stored::create(password, self.cost))
    }

    fn spend(&self, password: &[u8]) {
        self.timed(Work::Scrypt(self.cost), || stored::spend(password, self.cost));
    }

    fn timed<T>(&self, work: Work, compute: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = compute();
        self.observer.hashed(work, start.elapsed());
        result
    }
}
