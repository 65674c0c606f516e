//! Being told that something waits: blocking, by descriptor, by function, from inside a callback.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use linkspan::call::*;
use linkspan::engine::*;
use linkspan::error::*;
use linkspan::event::*;
use linkspan::linkspan_handle_close;
use linkspan::queue::*;
use linkspan::start::*;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use support::server::Server;
use support::*;

mod support;

const GUARD: Duration = Duration::from_secs(30);

/// A number that can be waited for.
#[derive(Default)]
struct Count(Mutex<usize>, Condvar);

impl Count {
    fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn add(&self) {
        *self.0.lock().expect("not poisoned") += 1;
        self.1.notify_all();
    }

    fn now(&self) -> usize {
        *self.0.lock().expect("not poisoned")
    }

    fn wait_for(&self, at_least: usize) {
        let count = self.0.lock().expect("not poisoned");
        let (count, _) = self.1.wait_timeout_while(count, GUARD, |count| *count < at_least).expect("not poisoned");
        assert!(*count >= at_least, "{} of {at_least}", *count);
    }
}

unsafe extern "C" fn add(user_data: *mut c_void) {
    // SAFETY: every test passes a `Count` that outlives the engine.
    unsafe { &*user_data.cast::<Count>() }.add();
}

#[test]
fn a_waiting_thread_is_woken_by_hand() {
    let client = Client::new("127.0.0.1:1");
    ok(linkspan_queue_wake(client.queue));
    let (mut event, mut count) = (empty_event(), 0);
    // SAFETY: live locals.
    let result = unsafe { linkspan_queue_next(client.queue, &raw mut event, EVENT, 1, GUARD_NS, &raw mut count) };
    assert_eq!(result, LINKSPAN_EINTERRUPTED);
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT, "one wake, one return");
    client.finish();
}

fn is_readable(fd: i64, timeout: Duration) -> bool {
    // SAFETY: the queue's descriptor, which lives as long as the queue.
    let fd = unsafe { BorrowedFd::borrow_raw(i32::try_from(fd).expect("a descriptor")) };
    let timeout = timeout.try_into().expect("small");
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).expect("poll") == 1
}

#[test]
fn the_descriptor_is_readable_exactly_while_events_wait() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut fd = -1;
    // SAFETY: a live local.
    ok(unsafe { linkspan_queue_fd(client.queue, &raw mut fd) });
    assert!(!is_readable(fd, Duration::ZERO));
    for round in 0..3 {
        client.unary(&client.to_queue(c"/test/Echo", round)).expect("started");
        assert!(is_readable(fd, GUARD));
        assert!(is_readable(fd, Duration::ZERO), "level, not edge");
        assert_eq!(client.next().0.tag, round);
        assert!(!is_readable(fd, Duration::ZERO));
    }
    ok(linkspan_queue_wake(client.queue));
    assert!(is_readable(fd, Duration::ZERO), "a wake reaches a host that polls");
    assert_eq!(client.poll(), LINKSPAN_EINTERRUPTED);
    ok(linkspan_engine_shutdown(client.engine, 0));
    assert!(is_readable(fd, GUARD), "the SHUTDOWN event waits");
    let mut again = -1;
    // SAFETY: a live local.
    ok(unsafe { linkspan_queue_fd(client.queue, &raw mut again) });
    assert_eq!(again, fd);
    assert_eq!(client.next().0.kind, LINKSPAN_EVENT_SHUTDOWN);
    client.finish();
}

#[test]
fn notify_rings_once_per_batch_and_is_given_back_once() {
    let server = Server::start();
    static RELEASED: Count = Count(Mutex::new(0), Condvar::new());
    unsafe extern "C" fn release(_: *mut c_void) {
        RELEASED.add();
    }
    let (first, second) = (Count::default(), Count::default());
    let client = Client::new(&server.target());
    // SAFETY: the counts outlive the engine.
    ok(unsafe { linkspan_queue_notify(client.queue, Some(add), first.pointer(), Some(release)) });
    client.unary(&client.to_queue(c"/test/Echo", 1)).expect("started");
    first.wait_for(1);
    assert_eq!(client.next().0.tag, 1);
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT);
    assert_eq!(first.now(), 1);
    client.unary(&client.to_queue(c"/test/Echo", 2)).expect("started");
    first.wait_for(2);
    assert_eq!(RELEASED.now(), 0);
    // SAFETY: as above.
    ok(unsafe { linkspan_queue_notify(client.queue, Some(add), second.pointer(), None) });
    RELEASED.wait_for(1);
    assert_eq!(second.now(), 1, "an event waits already");
    assert_eq!(client.next().0.tag, 2);
    client.finish();
    assert_eq!((first.now(), RELEASED.now()), (2, 1));
}

/// What a callback saw, and what it tried.
#[derive(Default)]
struct Seen {
    ended: Count,
    client: Mutex<Option<(linkspan_engine, linkspan_queue, u64)>>,
    code: AtomicI32,
    message_len: AtomicUsize,
    wait: AtomicI32,
    join: AtomicI32,
    blocking_next: AtomicI32,
    draining_next: AtomicI32,
}

unsafe extern "C" fn try_everything(user_data: *mut c_void, event: *const linkspan_event) {
    // SAFETY: the test passes a `Seen` that outlives the engine.
    let seen = unsafe { &*user_data.cast::<Seen>() };
    // SAFETY: valid during the callback.
    let event = unsafe { &*event };
    let (engine, queue, channel) = seen.client.lock().expect("not poisoned").expect("set before the call");
    seen.code.store(event.code, SeqCst);
    seen.message_len.store(event.message_len, SeqCst);
    let (options, mut out, mut count) = (call(c"/test/Echo"), empty_event(), 0);
    // SAFETY: live locals.
    let wait = unsafe { linkspan_channel_unary_wait(channel, &raw const options, &raw mut out, EVENT) };
    seen.wait.store(wait, SeqCst);
    seen.join.store(linkspan_engine_join(engine, 0), SeqCst);
    // SAFETY: live locals.
    let blocking = unsafe { linkspan_queue_next(queue, &raw mut out, EVENT, 1, 1, &raw mut count) };
    seen.blocking_next.store(blocking, SeqCst);
    // SAFETY: live locals.
    let draining = unsafe { linkspan_queue_next(queue, &raw mut out, EVENT, 1, 0, &raw mut count) };
    seen.draining_next.store(draining, SeqCst);
    linkspan_handle_close(engine);
    seen.ended.add();
}

#[test]
fn inside_a_callback_nothing_blocks_and_even_the_engine_may_be_closed() {
    let server = Server::start();
    let seen = Seen::default();
    let client = Client::new(&server.target());
    *seen.client.lock().expect("not poisoned") = Some((client.engine, client.queue, client.channel));
    let mut options = call(c"/test/Echo");
    options.message = message(b"twelve bytes");
    options.callback = Some(try_everything);
    options.user_data = ptr::from_ref(&seen).cast_mut().cast();
    client.unary(&options).expect("started");
    seen.ended.wait_for(1);
    assert_eq!(seen.code.load(SeqCst), 0);
    assert_eq!(seen.message_len.load(SeqCst), 12);
    for blocked in [&seen.wait, &seen.join, &seen.blocking_next] {
        assert_eq!(blocked.load(SeqCst), LINKSPAN_EREENTRANT);
    }
    assert_eq!(seen.draining_next.load(SeqCst), LINKSPAN_ETIMEDOUT);
    assert_eq!(linkspan_handle_close(client.engine), LINKSPAN_ECLOSED);
    assert_eq!(client.next().0.kind, LINKSPAN_EVENT_SHUTDOWN);
    close(client.queue);
}

unsafe extern "C" fn keep_owner(user_data: *mut c_void, event: *const linkspan_event) {
    // SAFETY: the test passes a channel end that outlives the engine.
    let sender = unsafe { &*user_data.cast::<std::sync::mpsc::SyncSender<u64>>() };
    // SAFETY: valid during the callback.
    let owner = unsafe { (*event).owner };
    retain(owner);
    sender.send(owner).expect("the test waits");
}

#[test]
fn an_owner_kept_in_a_callback_outlives_it() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let (sender, receiver) = std::sync::mpsc::sync_channel::<u64>(1);
    let mut options = call(c"/test/Echo");
    options.message = message(b"kept");
    options.callback = Some(keep_owner);
    options.user_data = ptr::from_ref(&sender).cast_mut().cast();
    client.unary(&options).expect("started");
    let owner = receiver.recv_timeout(GUARD).expect("the callback ran");
    client.finish();
    assert_eq!(view(owner), b"kept");
    close(owner);
    assert_eq!(linkspan_handle_close(owner), LINKSPAN_ECLOSED);
}

#[test]
fn several_threads_share_a_queue_and_each_event_goes_to_one() {
    let server = Server::start();
    let client = Client::new(&server.target());
    const CALLS: u64 = 400;
    let (seen, shutdowns) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Each ends by finding the queue at its end.
                let end = loop {
                    match client.try_next() {
                        Ok(event) if event.0.kind == LINKSPAN_EVENT_UNARY => {
                            seen.lock().expect("not poisoned").push(event.0.tag);
                        }
                        Ok(event) => {
                            assert_eq!(event.0.kind, LINKSPAN_EVENT_SHUTDOWN);
                            shutdowns.fetch_add(1, SeqCst);
                        }
                        Err(result) => break result,
                    }
                };
                assert_eq!(end, LINKSPAN_ECLOSED);
            });
        }
        for tag in 0..CALLS {
            client.unary(&client.to_queue(c"/test/Echo", tag)).expect("started");
        }
        ok(linkspan_engine_shutdown(client.engine, i64::MAX));
    });
    let mut seen = seen.into_inner().expect("not poisoned");
    seen.sort_unstable();
    assert_eq!(seen, (0..CALLS).collect::<Vec<_>>());
    assert_eq!(shutdowns.load(SeqCst), 1);
    client.finish();
}

#[test]
fn a_call_with_neither_queue_nor_callback_is_refused() {
    let client = Client::new("127.0.0.1:1");
    assert_eq!(client.unary(&call(c"/test/Echo")), Err(LINKSPAN_EINVAL));
    assert_eq!(linkspan_call_read(0, 1), LINKSPAN_EHANDLE);
    client.finish();
}
