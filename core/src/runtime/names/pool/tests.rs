//! What a pool does with names that come, hang, and are given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

/// A resolver whose every name hangs until it is let go.
struct Resolver {
    began: SyncSender<String>,
    let_go: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

impl Resolver {
    fn look_up(&self, host: &str) -> Found {
        self.began.send(host.to_owned()).expect("watched");
        let mut let_go = self.let_go.lock().expect("no panic");
        while !let_go.contains(host) {
            let_go = self.changed.wait(let_go).expect("no panic");
        }
        Err(format!("{host} was looked up"))
    }

    fn let_go(&self, host: &str) {
        self.let_go.lock().expect("no panic").insert(host.to_owned());
        self.changed.notify_all();
    }
}

type TestPool = Pool<Box<dyn Fn(&str) -> Found + Send + Sync>>;
type Answer = oneshot::Receiver<Found>;

/// Where nothing is slow.
const NEVER: Duration = Duration::from_secs(100_000);

fn pool() -> (&'static TestPool, Arc<Resolver>, Receiver<String>) {
    patient_pool(NEVER)
}

fn patient_pool(slow_after: Duration) -> (&'static TestPool, Arc<Resolver>, Receiver<String>) {
    let (began, begun) = sync_channel(10_000);
    let resolver = Arc::new(Resolver { began, let_go: Mutex::default(), changed: Condvar::new() });
    let theirs = Arc::clone(&resolver);
    (pool_of(slow_after, move |host| theirs.look_up(host)), resolver, begun)
}

/// Threads have it for as long as they like, so it stays until the process ends.
fn pool_of(slow_after: Duration, look_up: impl Fn(&str) -> Found + Send + Sync + 'static) -> &'static TestPool {
    let pool: TestPool = Pool::with_patience(Box::new(look_up), slow_after);
    Box::leak(Box::new(pool))
}

fn ask(pool: &'static TestPool, host: &str) -> Answer {
    let (asker, answer) = oneshot::channel();
    pool.enter(host, asker).expect("there is room");
    answer
}

fn refusal(answer: Answer) -> String {
    answer.blocking_recv().expect("answered").expect_err("no addresses")
}

/// So many names are looked up and hang.
fn keep(count: usize, pool: &'static TestPool, begun: &Receiver<String>) -> Vec<Answer> {
    let kept: Vec<_> = (0..count).map(|number| ask(pool, &format!("stuck{number}"))).collect();
    for _ in 0..count {
        assert!(begun.recv().expect("one began").starts_with("stuck"));
    }
    kept
}

#[test]
fn a_name_asked_for_by_many_at_once_is_looked_up_once() {
    let (pool, resolver, begun) = pool();
    let first = ask(pool, "a");
    assert_eq!(begun.recv().expect("one began"), "a");
    let others: Vec<_> = (0..10).map(|_| ask(pool, "a")).collect();
    resolver.let_go("a");
    assert_eq!(refusal(first), "a was looked up");
    for other in others {
        assert_eq!(refusal(other), "a was looked up");
    }
    assert!(begun.try_recv().is_err());
    // What was found is not kept.
    let later = ask(pool, "a");
    assert_eq!(begun.recv().expect("one began"), "a");
    assert_eq!(refusal(later), "a was looked up");
}

#[test]
fn a_name_that_hangs_keeps_one_thread_and_others_go_on() {
    let (pool, resolver, begun) = pool();
    let stuck: Vec<_> = (0..100).map(|_| ask(pool, "stuck")).collect();
    assert_eq!(begun.recv().expect("one began"), "stuck");
    for name in ["b", "c", "d", "e", "f"] {
        let answer = ask(pool, name);
        resolver.let_go(name);
        assert_eq!(begun.recv().expect("one began"), name);
        assert_eq!(refusal(answer), format!("{name} was looked up"));
    }
    drop(stuck);
    // Who gave the name up leaves nothing behind.
    let _last = ask(pool, "stuck");
    assert_eq!(pool.lock().running[0].lookup.askers.len(), 1);
}

#[test]
fn when_as_many_as_may_are_looked_up_a_name_waits_and_one_that_nobody_waits_for_is_passed_over() {
    let (pool, resolver, begun) = pool();
    let _kept = keep(MOST_AT_ONCE, pool, &begun);
    let given_up = ask(pool, "given up");
    let wanted = ask(pool, "wanted");
    assert!(begun.try_recv().is_err());
    drop(given_up);
    resolver.let_go("wanted");
    resolver.let_go("stuck0");
    assert_eq!(refusal(wanted), "wanted was looked up");
    assert_eq!(begun.try_iter().collect::<Vec<_>>(), ["wanted"]);
    assert!(pool.lock().threads <= MOST_AT_ONCE + 1);
}

#[test]
fn names_that_hang_keep_no_others_waiting_for_long() {
    let (pool, resolver, begun) = patient_pool(Duration::from_millis(10));
    let _kept = keep(5 * MOST_AT_ONCE, pool, &begun);
    // A queue that nobody enters any more goes on, too.
    let good: Vec<_> = (0..5).map(|number| format!("good{number}")).collect();
    good.iter().for_each(|name| resolver.let_go(name));
    let answers: Vec<_> = good.iter().map(|name| ask(pool, name)).collect();
    for (name, answer) in good.iter().zip(answers) {
        assert_eq!(refusal(answer), format!("{name} was looked up"));
    }
}

#[test]
fn as_many_as_hang_have_an_end_and_then_a_name_waits_for_one_of_them() {
    let (pool, resolver, begun) = patient_pool(Duration::ZERO);
    let _kept = keep(MOST_THREADS, pool, &begun);
    let wanted = ask(pool, "wanted");
    {
        let state = pool.lock();
        assert_eq!((state.threads, state.running.len(), state.waiting.len()), (MOST_THREADS, MOST_THREADS, 1));
    }
    resolver.let_go("wanted");
    resolver.let_go("stuck7");
    assert_eq!(refusal(wanted), "wanted was looked up");
}

#[test]
fn more_names_than_may_wait_are_refused_until_some_are_given_up() {
    let (pool, _resolver, begun) = pool();
    let _kept = keep(MOST_AT_ONCE, pool, &begun);
    let waiting: Vec<_> = (0..MOST_WAITING).map(|number| ask(pool, &number.to_string())).collect();
    let refused = pool.enter("one more", oneshot::channel().0).expect_err("no room");
    assert_eq!(refused, "1024 other names are waiting to be looked up, and 4 are being looked up");
    // One that waits already takes no room.
    let _same = ask(pool, "7");
    drop(waiting);
    let _one_more = ask(pool, "one more");
    let left: Vec<_> = pool.lock().waiting.iter().map(|lookup| lookup.host.to_string()).collect();
    assert_eq!(left, ["7", "one more"]);
}

#[test]
fn threads_without_work_go_and_come_again() {
    let pool = pool_of(NEVER, |_| Ok(Box::default()));
    for _ in 0..2 {
        ask(pool, "a").blocking_recv().expect("answered").expect("found");
        let mut state = pool.lock();
        while state.threads > 0 {
            // Nobody tells of a thread that leaves; the tests' own guard ends what hangs.
            state = pool.arrived.wait_timeout(state, Duration::from_millis(10)).expect("no panic").0;
        }
        assert_eq!((state.idle, state.running.len()), (0, 0));
    }
}

#[test]
fn a_look_up_that_panics_is_answered_and_the_thread_goes_on() {
    let pool = pool_of(NEVER, |host| if host == "bad" { panic!("as the test wants it") } else { Ok(Box::default()) });
    assert_eq!(refusal(ask(pool, "bad")), "the look-up panicked");
    assert!(ask(pool, "good").blocking_recv().expect("answered").is_ok());
}
