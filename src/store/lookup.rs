//! Look-ups by id, merged: while one statement is under way those that arrive wait together, and leave together as the
//! next. A few connections then serve a whole service, and each read still starts after its request arrived.

mod statements;

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tokio_postgres::{Client, Connection, Socket};

use self::statements::Statements;
use super::{StoreError, connect::Encrypted, explain, servers::Servers};
use crate::{
    config,
    user::{User, UserId},
};

/// Look-ups that may wait at once on one connection; more means that the database is gone or far too slow.
const WAITING_MAX: usize = 8192;
/// Ids in one statement.
const BATCH_MAX: usize = 512;
/// How often a connection is asked whether its server still takes writes: a demoted one would answer with the past.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// So that a storm of requests is not a storm of connections against a server that is starting.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Who a token speaks for, with all that decides whether it still may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: User,
    pub token_version: i32,
    pub disabled: bool,
}

type Reply = oneshot::Sender<Result<Option<Session>, StoreError>>;

struct Waiting {
    id: i32,
    reply: Reply,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    wake: Notify,
    leave: AtomicBool,
}

/// The front of the queues; dropping it ends the connections.
pub struct Lookups {
    queues: Box<[Arc<Queue>]>,
    next: AtomicUsize,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Lookups {
    pub fn start(settings: &config::Database, servers: &Servers) -> Self {
        let queues: Box<[Arc<Queue>]> =
            (0..settings.lookup_connections.get()).map(|_| Arc::new(Queue::default())).collect();
        let tasks = queues
            .iter()
            .map(|queue| {
                let limit = settings.statement_timeout;
                tokio::spawn(Worker { queue: queue.clone(), servers: servers.clone(), limit }.run())
            })
            .collect();
        Self { queues, next: AtomicUsize::new(0), tasks }
    }

    pub async fn find(&self, id: UserId) -> Result<Option<Session>, StoreError> {
        let turn = if self.queues.len() == 1 { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) };
        let queue = &self.queues[turn % self.queues.len()];
        let (reply, answer) = oneshot::channel();
        let first = {
            let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= WAITING_MAX {
                return Err(StoreError::Unavailable("too many look-ups are waiting for the database".into()));
            }
            waiting.push(Waiting { id: id.0, reply });
            waiting.len() == 1
        };
        if first {
            queue.wake.notify_one();
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the look-up was abandoned".into())))
    }

    /// Leaves the present servers, as after a failover.
    pub fn reconnect(&self) {
        for queue in &self.queues {
            queue.leave.store(true, Ordering::Release);
            queue.wake.notify_one();
        }
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

struct Worker {
    queue: Arc<Queue>,
    servers: Servers,
    // Of one statement.
    limit: Duration,
}

// Why a connection was left.
enum Left {
    Lost(String),
    Asked,
}

impl Worker {
    async fn run(self) {
        let mut pending: Vec<Waiting> = Vec::new();
        let mut tried_before = false;
        loop {
            self.gather(&mut pending).await;
            self.queue.leave.store(false, Ordering::Release);
            match self.servers.connect().await {
                Ok((client, connection)) => {
                    let left = self.serve(&client, connection, &mut pending, &mut tried_before).await;
                    let Left::Lost(cause) = left else { continue };
                    // Those under way when the connection broke get one more try, on a new one.
                    if tried_before {
                        refuse(pending.drain(..), &StoreError::Unavailable(cause));
                    }
                    tried_before = !pending.is_empty();
                }
                Err(unreachable) => {
                    tried_before = false;
                    // Who came meanwhile would only wait for the same.
                    self.take(&mut pending);
                    refuse(pending.drain(..), &StoreError::Unavailable(unreachable.to_string()));
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    // Moves those who wait, and still want an answer, to `pending`; sleeps until there are some.
    async fn gather(&self, pending: &mut Vec<Waiting>) {
        loop {
            self.take(pending);
            if !pending.is_empty() {
                return;
            }
            self.queue.wake.notified().await;
        }
    }

    fn take(&self, pending: &mut Vec<Waiting>) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        pending.append(&mut waiting);
        drop(waiting);
        pending.retain(|one| !one.reply.is_closed());
    }

    // Serves until the connection breaks or must be left. The connection is driven here, not in a task of its own: every
    // hop between tasks would be paid by every batch.
    async fn serve(
        &self,
        client: &Client,
        connection: Connection<Socket, Encrypted<Socket>>,
        pending: &mut Vec<Waiting>,
        tried_before: &mut bool,
    ) -> Left {
        let mut connection = pin!(connection);
        let mut under_way: HashMap<i32, Vec<Reply>> = HashMap::new();
        let mut statements = Statements::new();
        let mut check_at = Instant::now() + CHECK_EVERY;
        // How many of those first in line are asked for one by one.
        let mut alone = 0_usize;
        loop {
            if self.queue.leave.swap(false, Ordering::AcqRel) {
                return Left::Asked;
            }
            // Under load too: a busy connection would otherwise never learn that its server was demoted.
            if Instant::now() >= check_at {
                check_at = Instant::now() + CHECK_EVERY;
                match timeout(self.limit, drive(pin!(writable(client)), connection.as_mut())).await {
                    Ok(Driven::Answer(Ok(writable))) if writable || !self.servers.wants_writable() => {}
                    Ok(Driven::Answer(Ok(_))) => return Left::Asked,
                    Ok(Driven::Answer(Err(error))) => return Left::Lost(explain(&error)),
                    Ok(Driven::Lost(cause)) => return Left::Lost(cause),
                    Err(_) => return Left::Lost("the database did not answer in time".into()),
                }
            }
            if pending.is_empty() {
                tokio::select! {
                    biased;
                    () = self.queue.wake.notified() => {}
                    end = &mut connection => return Left::Lost(ended(end)),
                    () = sleep_until(check_at) => {}
                }
                self.take(pending);
                continue;
            }
            let batch = if alone > 0 { 1 } else { pending.len().min(BATCH_MAX) };
            alone = alone.saturating_sub(1);
            let ids: Vec<i32> = pending[..batch].iter().map(|one| one.id).collect();
            let answer = {
                let query = pin!(statements.find(client, &ids));
                match timeout(self.limit, drive(query, connection.as_mut())).await {
                    Ok(Driven::Answer(answer)) => answer,
                    Ok(Driven::Lost(cause)) => return Left::Lost(cause),
                    Err(_) => {
                        let cause = "the look-up took too long";
                        refuse(pending.drain(..batch), &StoreError::Unavailable(cause.into()));
                        super::cancel(client.cancel_token(), self.servers.tls().clone(), ());
                        return Left::Lost(cause.into());
                    }
                }
            };
            match answer {
                Ok(found) => {
                    for one in pending.drain(..batch) {
                        under_way.entry(one.id).or_default().push(one.reply);
                    }
                    for (id, found) in found {
                        let mut replies = under_way.remove(&id).unwrap_or_default();
                        let last = replies.pop();
                        for reply in replies {
                            let _ = reply.send(found.clone().map(Some));
                        }
                        if let Some(reply) = last {
                            let _ = reply.send(found.map(Some));
                        }
                    }
                    for (_, replies) in under_way.drain() {
                        for reply in replies {
                            let _ = reply.send(Ok(None));
                        }
                    }
                }
                Err(error) if super::is_broken(&error) => return Left::Lost(explain(&error)),
                // A row that the server cannot put into words fails the statement, and must not fail its neighbours.
                Err(_) if batch > 1 => alone = batch,
                Err(error) => refuse(pending.drain(..batch), &super::refusal(&error)),
            }
            *tried_before = false;
            if alone == 0 {
                self.take(pending);
            }
        }
    }
}

enum Driven<T> {
    Answer(T),
    Lost(String),
}

// The query first: its answer may have arrived in the same read that ended the connection.
async fn drive<T>(
    mut query: impl Future<Output = T> + Unpin,
    mut connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Unpin,
) -> Driven<T> {
    tokio::select! {
        biased;
        answer = &mut query => Driven::Answer(answer),
        end = &mut connection => Driven::Lost(ended(end)),
    }
}

async fn writable(client: &Client) -> Result<bool, tokio_postgres::Error> {
    // As `target_session_attrs` asks at connect: also on for a standby.
    const SQL: &str = "/* lookup.writable */ SELECT current_setting('transaction_read_only') = 'off'";
    let row = client.query_typed_one(SQL, &[]).await?;
    Ok(row.get(0))
}

fn ended(end: Result<(), tokio_postgres::Error>) -> String {
    end.map_or_else(|error| explain(&error), |()| "the database closed the connection".into())
}

fn refuse(some: impl Iterator<Item = Waiting>, error: &StoreError) {
    for one in some {
        let _ = one.reply.send(Err(error.clone()));
    }
}
