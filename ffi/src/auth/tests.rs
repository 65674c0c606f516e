//! Requests and their ends, on channels that are secure without TLS: those of this machine.

use std::ptr;
use std::sync::Barrier;
use std::thread;

use linkspan_core::{Credentials, LocalConnection, Waited};

use super::*;
use crate::LINKSPAN_ABI;
use crate::channel::linkspan_channel_new;
use crate::engine::linkspan_engine_new;
use crate::queue::linkspan_queue_new;
use crate::support::server::Server;
use crate::support::{Client, Event, GUARD_NS, close, ok};

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

/// Whichever comes first: what the host was told of, it is told the end of, and what it was not told of leaves nothing behind.
#[test]
fn a_call_that_ends_while_its_question_is_taken_out_is_told_of_wholly_or_not_at_all() {
    let server = Server::start();
    let asking = Asking::new(&server.target());
    let queue = QUEUES.get(asking.provider.queue).unwrap_or_else(|refusal| panic!("{}", refusal.text));
    for tag in 0..1000 {
        asking.calls.unary(&asking.calls.to_queue(c"/test/Echo", tag)).expect("started");
        let mut taken = Vec::new();
        assert_eq!(queue.core.wait(&mut taken, 1, crate::engine::duration(GUARD_NS)), Waited::Ready(1));
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
