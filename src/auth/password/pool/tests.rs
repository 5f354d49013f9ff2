use std::sync::{
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use tokio::task::JoinHandle;

use super::*;

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Recorder {
    started: AtomicUsize,
    refused: Mutex<Vec<Cause>>,
    waiting: AtomicUsize,
}

impl Observer for Recorder {
    fn waiting(&self, requests: usize) {
        self.waiting.store(requests, Ordering::SeqCst);
    }

    fn started(&self, _waited: Duration) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }

    fn refused(&self, cause: Cause) {
        self.refused.lock().unwrap().push(cause);
    }
}

fn number(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn pool(slots: usize, capacity: usize) -> (Arc<Pool>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let observer: Arc<dyn Observer> = recorder.clone();
    (Arc::new(Pool::start(number(slots), number(capacity), LONG, observer).unwrap()), recorder)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Asks for a turn as a request of its own does, and returns once it waits or runs.
async fn ask<T: Send + 'static>(
    deadline: Duration,
    pool: &Arc<Pool>,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<Result<T, Busy>> {
    let before = pool.shared.lock().next_id;
    let task = tokio::spawn({
        let pool = Arc::clone(pool);
        async move { pool.turn_within(deadline, work).await }
    });
    until("the job is queued", || pool.shared.lock().next_id > before).await;
    task
}

/// Takes a slot until the sender is dropped; `None` when the slot did not begin in time.
async fn occupy_within(
    deadline: Duration,
    pool: &Arc<Pool>,
) -> Option<(mpsc::Sender<()>, JoinHandle<Result<(), Busy>>)> {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = oneshot::channel();
    let task = ask(deadline, pool, move || {
        started.send(()).unwrap();
        let _ = released.recv();
    })
    .await;
    has_started.await.ok()?;
    Some((release, task))
}

async fn occupy(pool: &Arc<Pool>) -> (mpsc::Sender<()>, JoinHandle<Result<(), Busy>>) {
    occupy_within(LONG, pool).await.unwrap()
}

fn waiting(pool: &Pool) -> usize {
    pool.shared.lock().queue.len()
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_those_in_it_get_their_turn() {
    let (pool, recorder) = pool(1, 1);
    let (release, first) = occupy(&pool).await;
    let second = ask(LONG, &pool, || 2).await;

    let refusal = pool.turn(|| 3).await.unwrap_err();

    assert_eq!(refusal.cause, Cause::QueueFull);
    assert!(refusal.retry_after >= SOONEST_RETRY);
    assert_eq!(*recorder.refused.lock().unwrap(), [Cause::QueueFull]);
    assert_eq!(recorder.waiting.load(Ordering::SeqCst), 1);
    drop(release);
    first.await.unwrap().unwrap();
    assert_eq!(second.await.unwrap(), Ok(2));
    assert_eq!(recorder.waiting.load(Ordering::SeqCst), 0);
    assert_eq!(recorder.started.load(Ordering::SeqCst), 2);
}

#[test]
fn a_burst_that_idle_slots_are_about_to_take_does_not_count_as_waiting() {
    let shared = Shared {
        slots: number(2),
        capacity: number(1),
        observer: Arc::new(()),
        state: Mutex::default(),
        changed: Condvar::new(),
    };
    let places: Vec<_> = (0..4).map(|_| shared.enqueue(LONG, Box::new(|| ()))).collect();
    assert_eq!(places.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false]);
}

#[tokio::test]
async fn who_waited_longer_than_the_deadline_is_refused_and_never_worked_for() {
    let (pool, recorder) = pool(1, 4);
    let (release, _first) = occupy(&pool).await;
    let worked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&worked);

    let refusal = pool.turn_within(SHORT, move || count.fetch_add(1, Ordering::SeqCst)).await.unwrap_err();

    assert_eq!(refusal.cause, Cause::Deadline);
    assert_eq!(waiting(&pool), 0);
    drop(release);
    until("the slot is free again", || pool.shared.lock().running == 0).await;
    assert_eq!(worked.load(Ordering::SeqCst), 0);
    assert_eq!(recorder.started.load(Ordering::SeqCst), 1);
    assert_eq!(*recorder.refused.lock().unwrap(), [Cause::Deadline]);
}

#[tokio::test]
async fn a_slot_skips_what_is_overdue_even_if_the_requester_has_not_noticed() {
    let (pool, recorder) = pool(1, 4);
    let (sender, answer) = oneshot::channel();
    pool.shared.lock().queue.push_back(Job {
        id: u64::MAX,
        queued: Instant::now().checked_sub(SHORT * 2).unwrap(),
        deadline: SHORT,
        run: Box::new(move || sender.send(()).unwrap()),
    });
    pool.shared.changed.notify_one();

    assert!(answer.await.is_err());
    until("the slot is free again", || pool.shared.lock().running == 0).await;
    assert_eq!(recorder.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn work_that_began_in_time_is_answered_however_long_it_takes() {
    let (pool, _) = pool(1, 4);
    // On a busy machine a slot may itself begin too late: then once more.
    let (release, first) = loop {
        if let Some(occupied) = occupy_within(SHORT, &pool).await {
            break occupied;
        }
    };
    // When this one is refused, the first one's deadline is over as well.
    assert_eq!(pool.turn_within(SHORT, || ()).await.unwrap_err().cause, Cause::Deadline);
    drop(release);
    assert_eq!(first.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_request_whose_client_went_away_gives_its_place_up() {
    let (pool, recorder) = pool(1, 1);
    let (release, first) = occupy(&pool).await;
    let gone = ask(LONG, &pool, || ()).await;
    assert_eq!(waiting(&pool), 1);

    gone.abort();
    until("the place is given up", || waiting(&pool) == 0).await;

    let next = ask(LONG, &pool, || "next").await;
    drop(release);
    first.await.unwrap().unwrap();
    assert_eq!(next.await.unwrap(), Ok("next"));
    assert_eq!(recorder.started.load(Ordering::SeqCst), 2);
    assert!(recorder.refused.lock().unwrap().is_empty());
}

#[tokio::test]
async fn turns_are_taken_in_order_of_arrival() {
    let (pool, _) = pool(1, 8);
    let (release, _first) = occupy(&pool).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for n in 0..8 {
        let order = Arc::clone(&order);
        tasks.push(ask(LONG, &pool, move || order.lock().unwrap().push(n)).await);
    }
    drop(release);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn never_more_run_at_once_than_there_are_slots() {
    let (pool, _) = pool(2, 64);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        tasks.push(
            ask(LONG, &pool, move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            })
            .await,
        );
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 2);

    // And both slots are of use: each of these waits for the other.
    let (one, other) = (Arc::new(std::sync::Barrier::new(2)), 2);
    let pair: Vec<_> = (0..other).map(|_| Arc::clone(&one)).collect();
    let mut tasks = Vec::new();
    for barrier in pair {
        tasks.push(ask(LONG, &pool, move || barrier.wait()).await);
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[test]
fn dropping_the_pool_ends_its_threads() {
    let (pool, _) = pool(3, 1);
    let shared = Arc::downgrade(&pool.shared);
    drop(pool);
    assert_eq!(shared.strong_count(), 0);
}

#[tokio::test]
async fn slots_are_named_threads_of_the_lowest_priority_and_the_others_keep_theirs() {
    fn name_and_nice() -> (String, i32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (head, tail) = stat.rsplit_once(')').unwrap();
        let name = head.split_once('(').unwrap().1.to_owned();
        // proc(5) counts nice as field 19; the tail begins with field 3.
        (name, tail.split_whitespace().nth(19 - 3).unwrap().parse().unwrap())
    }
    let (_, own_nice) = name_and_nice();
    let (pool, _) = pool(1, 1);
    assert_eq!(pool.turn(name_and_nice).await.unwrap(), ("hash-0".to_owned(), NICE));
    assert_eq!(name_and_nice().1, own_nice);
}

#[test]
fn the_wait_to_retry_follows_queue_and_speed_within_bounds() {
    let secs = Duration::from_secs;
    let job = || Job { id: 0, queued: Instant::now(), deadline: LONG, run: Box::new(|| ()) };
    for (waiting, running, slots, turn, retry) in [
        (0, 0, 1, None, secs(1)),
        (64, 2, 2, None, secs(1)),
        (64, 2, 2, Some(Duration::from_millis(125)), Duration::from_millis(4125)),
        (62, 2, 1, Some(Duration::from_millis(125)), secs(8)),
        (2, 0, 4, Some(Duration::from_millis(100)), secs(1)),
        (64, 1, 1, Some(secs(2)), secs(30)),
        (1, 1, 1, Some(Duration::MAX), secs(30)),
    ] {
        let state =
            State { queue: std::iter::repeat_with(job).take(waiting).collect(), running, turn, ..State::default() };
        assert_eq!(state.retry_after(number(slots)), retry, "{waiting} {running} {slots} {turn:?}");
    }
}

#[test]
fn the_average_of_turns_begins_with_the_first_and_follows_slowly() {
    let mut state = State::default();
    state.learn(Duration::from_millis(80));
    assert_eq!(state.turn, Some(Duration::from_millis(80)));
    state.learn(Duration::from_millis(160));
    assert_eq!(state.turn, Some(Duration::from_millis(90)));
}
