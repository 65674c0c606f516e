//! Requests and their ends, on channels that are secure without TLS: those of this machine.

use std::ffi::c_void;
use std::ptr;
use std::sync::{Barrier, mpsc};
use std::thread;

use linkspan_core::{Credentials, LocalConnection, Waited};

use super::*;
use crate::LINKSPAN_ABI;
use crate::call::linkspan_call_cancel;
use crate::channel::linkspan_channel_new;
use crate::engine::{duration, linkspan_engine_new, linkspan_engine_shutdown};
use crate::error::{LINKSPAN_ETIMEDOUT, LINKSPAN_OK};
use crate::event::LINKSPAN_EVENT_SHUTDOWN;
use crate::queue::{linkspan_queue_new, linkspan_queue_notify};
use crate::request::linkspan_call_options;
use crate::support::server::Server;
use crate::support::{Client, Event, GUARD_NS, call, close, ok};

/// Two clients on one engine: the queue of the first is its calls', that of the second the provider's.
struct Asking {
    calls: Client,
    provider: Client,
}

impl Asking {
    fn new(target: &str) -> Self {
        let (mut engine, mut queues, mut by_queue, mut both, mut channel) = (0, [0; 2], 0, 0, 0);
        // SAFETY: a live local.
        ok(unsafe { linkspan_engine_new(LINKSPAN_ABI, 0, &raw mut engine, ptr::null_mut()) });
        for queue in &mut queues {
            // SAFETY: a live local.
            ok(unsafe { linkspan_queue_new(engine, 0, queue, ptr::null_mut()) });
        }
        let provider = linkspan_provider {
            struct_size: u32::try_from(size_of::<linkspan_provider>()).expect("small"),
            flags: 0,
            queue: queues[1],
            tag: 7,
            callback: None,
            user_data: ptr::null_mut(),
            release: None,
        };
        // SAFETY: live locals.
        ok(unsafe { linkspan_credentials_call(engine, &raw const provider, &raw mut by_queue, ptr::null_mut()) });
        let local = Held::OfChannel(Credentials::local(LocalConnection::Tcp));
        let local = CREDENTIALS.insert(local).unwrap_or_else(|refusal| panic!("{}", refusal.text));
        // SAFETY: a live local.
        ok(unsafe { linkspan_credentials_combine(local, by_queue, &raw mut both) });
        let (out, error) = (&raw mut channel, ptr::null_mut());
        // SAFETY: live locals and the caller's text.
        ok(unsafe { linkspan_channel_new(engine, target.as_ptr().cast(), target.len(), both, 0, out, error) });
        [local, by_queue, both].into_iter().for_each(close);
        let [calls, provider] = queues.map(|queue| Client { engine, queue, channel });
        Self { calls, provider }
    }

    /// The next event of the provider's queue: its kind, and the request.
    fn asked(&self) -> (u32, linkspan_request) {
        let event = self.provider.next();
        (event.0.kind, event.0.handle)
    }

    fn finish(self) {
        close(self.provider.queue);
        self.calls.finish();
    }
}

fn give_nothing(request: linkspan_request) -> linkspan_result {
    // SAFETY: no text and no metadata.
    unsafe { linkspan_auth_reply(request, 0, ptr::null(), 0, ptr::null(), 0) }
}

/// Holds up the engine's thread, from when it says so until it is let go.
struct HoldUp {
    is_held: Barrier,
    is_let_go: Barrier,
}

unsafe extern "C" fn hold_up(hold_up: *mut c_void, _: *const linkspan_event) {
    // SAFETY: the test's, which waits for the engine's end.
    let hold_up = unsafe { &*hold_up.cast::<HoldUp>() };
    hold_up.is_held.wait();
    hold_up.is_let_go.wait();
}

#[test]
fn a_call_that_was_started_before_a_shutdown_with_grace_asks_after_it() {
    let server = Server::start();
    let asking = Asking::new(&server.target());
    let held = HoldUp { is_held: Barrier::new(2), is_let_go: Barrier::new(2) };
    let user_data = (&raw const held).cast_mut().cast();
    let first = linkspan_call_options { callback: Some(hold_up), user_data, ..call(c"/test/Echo") };
    asking.calls.unary(&first).expect("started");
    ok(give_nothing(asking.asked().1));
    held.is_held.wait();
    asking.calls.unary(&asking.calls.to_queue(c"/test/Echo", 2)).expect("started");
    ok(linkspan_engine_shutdown(asking.calls.engine, GUARD_NS));
    assert_eq!(asking.provider.poll(), LINKSPAN_ETIMEDOUT, "a call runs, and has not asked");
    held.is_let_go.wait();
    let (kind, request) = asking.asked();
    assert_eq!(kind, LINKSPAN_EVENT_AUTH);
    assert_eq!(asking.provider.poll(), LINKSPAN_ETIMEDOUT, "it may ask again");
    ok(give_nothing(request));
    let end = asking.calls.next();
    // Its connection may be closed meanwhile, because no call was on it.
    assert!(end.0.code == 0 || end.text().starts_with("channel closed"), "{}", end.text());
    drop(end);
    assert_eq!(asking.asked().0, LINKSPAN_EVENT_SHUTDOWN);
    assert_eq!(asking.provider.poll(), LINKSPAN_ECLOSED, "nothing follows");
    asking.finish();
}

#[test]
fn a_request_that_was_taken_out_is_gone_before_the_engine_has_shut_down() {
    for grace in [GUARD_NS, 0] {
        let server = Server::start();
        let asking = Asking::new(&server.target());
        let call = asking.calls.unary(&asking.calls.to_queue(c"/test/Echo", 1)).expect("started");
        let (kind, request) = asking.asked();
        assert_eq!(kind, LINKSPAN_EVENT_AUTH);
        ok(linkspan_engine_shutdown(asking.calls.engine, grace));
        if grace > 0 {
            assert_eq!(asking.provider.poll(), LINKSPAN_ETIMEDOUT, "the call waits for an answer");
            // SAFETY: no text.
            ok(unsafe { linkspan_call_cancel(call, 1, ptr::null(), 0) });
        }
        assert_eq!(asking.asked(), (LINKSPAN_EVENT_GONE, request));
        assert_eq!(asking.asked().0, LINKSPAN_EVENT_SHUTDOWN);
        assert_eq!(asking.provider.poll(), LINKSPAN_ECLOSED, "nothing follows");
        assert_eq!(give_nothing(request), LINKSPAN_ECLOSED);
        asking.finish();
    }
}

unsafe extern "C" fn notify(sender: *mut c_void) {
    // SAFETY: the test's, which waits for the engine's end.
    let sender = unsafe { &*sender.cast::<mpsc::SyncSender<()>>() };
    sender.try_send(()).expect("the test listens, and there is room");
}

#[test]
fn who_is_notified_of_requests_is_notified_of_the_last_event() {
    let (sender, notified) = mpsc::sync_channel::<()>(8);
    let wait = || notified.recv_timeout(duration(GUARD_NS).expect("not for ever")).expect("notified");
    let server = Server::start();
    let asking = Asking::new(&server.target());
    let user_data = (&raw const sender).cast_mut().cast();
    // SAFETY: the sender outlives the engine.
    ok(unsafe { linkspan_queue_notify(asking.provider.queue, Some(notify), user_data, None) });
    asking.calls.unary(&asking.calls.to_queue(c"/test/Echo", 1)).expect("started");
    wait();
    ok(give_nothing(asking.asked().1));
    assert_eq!(asking.provider.poll(), LINKSPAN_ETIMEDOUT);
    drop(asking.calls.next());
    ok(linkspan_engine_shutdown(asking.calls.engine, 0));
    wait();
    assert_eq!(asking.asked().0, LINKSPAN_EVENT_SHUTDOWN);
    asking.finish();
}

#[test]
fn a_providers_queue_ends_at_once_when_nobody_can_ask() {
    let asking = Asking::new("127.0.0.1:1");
    ok(linkspan_engine_shutdown(asking.calls.engine, GUARD_NS));
    assert_eq!(asking.provider.poll(), LINKSPAN_OK, "SHUTDOWN");
    assert_eq!(asking.provider.poll(), LINKSPAN_ECLOSED);
    asking.finish();
}

/// Whichever comes first: what the host was told of, it is told the end of, and what it was not told of leaves nothing behind.
#[test]
fn a_call_that_ends_while_its_question_is_taken_out_is_told_of_wholly_or_not_at_all() {
    let server = Server::start();
    let asking = Asking::new(&server.target());
    let queue = QUEUES.get(asking.provider.queue).unwrap_or_else(|refusal| panic!("{}", refusal.text));
    for tag in 0..1000 {
        asking.calls.unary(&asking.calls.to_queue(c"/test/Echo", tag)).expect("started");
        let mut taken = Vec::new();
        assert_eq!(queue.core.wait(&mut taken, 1, duration(GUARD_NS)), Waited::Ready(1));
        let Completion { tag: handle, event } = taken.remove(0);
        let request = REQUESTS.get(handle).unwrap_or_else(|refusal| panic!("{}", refusal.text));
        let together = Barrier::new(3);
        let is_told = thread::scope(|scope| {
            // Both find the lock held, so that it goes to and fro between them.
            let held = request.state();
            let taking = scope.spawn(|| {
                together.wait();
                complete(handle, &event).map(Event).is_some()
            });
            scope.spawn(|| {
                together.wait();
                on_unwanted(handle);
            });
            together.wait();
            thread::yield_now();
            drop(held);
            taking.join().expect("no panic")
        });
        queue.end();
        assert_eq!(queue.core.len(), usize::from(is_told), "GONE for what was told");
        assert_eq!(give_nothing(handle), LINKSPAN_ECLOSED);
        if is_told {
            assert_eq!(asking.asked(), (LINKSPAN_EVENT_GONE, handle));
        }
        assert!(REQUESTS.get(handle).is_err(), "its handle is closed");
        assert_eq!(asking.calls.next().0.tag, tag);
    }
    asking.finish();
}
