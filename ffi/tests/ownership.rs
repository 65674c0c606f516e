//! Who owns what: lent messages, buffers, events, handles.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use linkspan::buffer::*;
use linkspan::call::*;
use linkspan::error::*;
use linkspan::event::*;
use linkspan::message::*;
use linkspan::request::*;
use linkspan::{LINKSPAN_FOREVER, linkspan_handle_close};
use support::server::Server;
use support::*;

mod support;

unsafe extern "C" fn count(user_data: *mut c_void) {
    // SAFETY: every test passes a counter that outlives the engine.
    unsafe { &*user_data.cast::<AtomicUsize>() }.fetch_add(1, SeqCst);
}

/// A message that is lent, and counts how often it is given back.
fn lent(bytes: &[u8], released: &AtomicUsize) -> linkspan_message {
    linkspan_message { release: Some(count), user_data: ptr::from_ref(released).cast_mut().cast(), ..message(bytes) }
}

#[test]
fn a_lent_message_is_given_back_once_when_the_call_succeeds() {
    let (server, released) = (Server::start(), AtomicUsize::new(0));
    let client = Client::new(&server.target());
    let bytes = vec![3; 100_000];
    let mut options = client.to_queue(c"/test/Echo", 1);
    options.message = lent(&bytes, &released);
    client.unary(&options).expect("started");
    let event = client.next();
    assert_eq!(event.message(), Some(&bytes[..]));
    drop(event);
    client.finish();
    assert_eq!(released.load(SeqCst), 1);
}

#[test]
fn a_lent_message_is_given_back_once_when_the_call_is_refused() {
    let released = AtomicUsize::new(0);
    let client = Client::new("127.0.0.1:1");
    let mut expected = 0;
    let mut refuse = |change: &dyn Fn(&mut linkspan_call_options), channel| {
        let mut options = client.to_queue(c"/test/Echo", 1);
        options.message = lent(b"lent", &released);
        change(&mut options);
        // SAFETY: live locals.
        let result = unsafe { linkspan::start::linkspan_channel_unary(channel, &raw const options, ptr::null_mut()) };
        assert_ne!(result, LINKSPAN_OK);
        expected += 1;
        assert_eq!(released.load(SeqCst), expected);
    };
    refuse(&|o| o.method = c"no-slash".as_ptr(), client.channel);
    refuse(&|o| o.flags = 1 << 20, client.channel);
    refuse(&|o| o.message.buffer = 77, client.channel);
    refuse(&|o| o.message.bytes = ptr::null(), client.channel);
    refuse(&|o| o.queue = 12, client.channel);
    refuse(&|_| {}, 0);
    refuse(&|_| {}, client.queue);
    client.finish();
    assert_eq!(released.load(SeqCst), expected);
}

#[test]
fn a_lent_message_is_given_back_once_however_the_call_ends() {
    let (server, released) = (Server::start(), AtomicUsize::new(0));
    let client = Client::new(&server.target());
    let mut options = client.to_queue(c"/test/Hang", 1);
    options.message = lent(b"lent", &released);
    let cancelled = client.unary(&options).expect("started");
    let closed = client.unary(&options).expect("started");
    client.unary(&linkspan_call_options { timeout_ns: 1, ..options }).expect("started");
    client.unary(&options).expect("started");
    // SAFETY: no text.
    ok(unsafe { linkspan_call_cancel(cancelled, 1, ptr::null(), 0) });
    close(closed);
    close(client.channel);
    for _ in 0..4 {
        assert_ne!(client.next().0.code, 0);
    }
    client.finish();
    assert_eq!(released.load(SeqCst), 4);
}

#[test]
fn a_lent_message_is_given_back_also_when_the_peer_is_too_slow_for_it() {
    let (server, released) = (Server::start(), AtomicUsize::new(0));
    let client = Client::new(&server.target());
    let call = client
        .stream(&linkspan_call_options { message: no_message(), ..client.to_queue(c"/test/Hang", 1) })
        .expect("started");
    let bytes = vec![1; 32 << 10];
    let mut sent = 0;
    loop {
        let message = lent(&bytes, &released);
        // SAFETY: live locals.
        let result = unsafe { linkspan_call_send(call, &raw const message, 0) };
        sent += 1;
        if result == LINKSPAN_EAGAIN {
            break;
        }
        ok(result);
        assert!(sent < 100_000, "nothing ever pushes back");
    }
    assert!(released.load(SeqCst) >= 1, "the refused one is given back at once");
    client.finish();
    assert_eq!(released.load(SeqCst), sent);
}

#[test]
fn a_buffer_moves_when_the_call_starts_and_stays_when_it_does_not() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let (mut buffer, mut start) = (0, ptr::null_mut());
    // SAFETY: live locals.
    ok(unsafe { linkspan_buffer_new(5, &raw mut buffer, &raw mut start) });
    assert_eq!(view(buffer), [0; 5]);
    // SAFETY: the library gave five bytes to write.
    unsafe { ptr::copy_nonoverlapping(b"cargo".as_ptr(), start, 5) };
    let mut options = client.to_queue(c"no-slash", 1);
    options.message = linkspan_message { buffer, ..no_message() };
    assert_eq!(client.unary(&options), Err(LINKSPAN_EINVAL));
    assert_eq!(view(buffer), b"cargo");
    options.method = c"/test/Echo".as_ptr();
    // Part of it, kept once more for the second call.
    retain(buffer);
    // SAFETY: inside the buffer.
    let part = unsafe { start.add(1) };
    options.message = linkspan_message { bytes: part, len: 3, ..options.message };
    client.unary(&options).expect("started");
    assert_eq!(client.next().message(), Some(&b"arg"[..]));
    options.message = linkspan_message { buffer, ..no_message() };
    client.unary(&options).expect("started");
    assert_eq!(client.next().message(), Some(&b"cargo"[..]));
    assert_eq!(client.unary(&options), Err(LINKSPAN_ECLOSED), "both holds have moved");
    client.finish();
}

#[test]
fn bytes_outside_the_buffer_are_refused() {
    let client = Client::new("127.0.0.1:1");
    let (mut buffer, mut start) = (0, ptr::null_mut());
    // SAFETY: live locals.
    ok(unsafe { linkspan_buffer_new(4, &raw mut buffer, &raw mut start) });
    let mut options = client.to_queue(c"/test/Echo", 1);
    options.message = linkspan_message { bytes: start, len: 5, buffer, ..no_message() };
    assert_eq!(client.unary(&options), Err(LINKSPAN_EINVAL));
    let elsewhere = [0; 2];
    options.message = linkspan_message { bytes: elsewhere.as_ptr(), len: 2, buffer, ..no_message() };
    assert_eq!(client.unary(&options), Err(LINKSPAN_EINVAL));
    close(buffer);
    client.finish();
}

#[test]
fn a_received_message_can_be_kept_and_sent_on() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut options = client.to_queue(c"/test/Echo", 1);
    options.message = message(b"there and back");
    client.unary(&options).expect("started");
    let event = client.next();
    let owner = event.0.owner;
    retain(owner);
    drop(event);
    assert_eq!(view(owner), b"there and back");
    options.message = linkspan_message { buffer: owner, ..no_message() };
    client.unary(&options).expect("started");
    assert_eq!(client.next().message(), Some(&b"there and back"[..]));
    assert_eq!(linkspan_handle_close(owner), LINKSPAN_ECLOSED, "the hold moved");
    client.finish();
}

#[test]
fn releasing_events_twice_is_harmless() {
    let server = Server::start();
    let client = Client::new(&server.target());
    client.unary(&client.to_queue(c"/test/Echo", 1)).expect("started");
    let mut event = client.next();
    let owner = event.0.owner;
    // SAFETY: one event.
    ok(unsafe { linkspan_events_release(&raw mut event.0, EVENT, 1) });
    assert_eq!(event.0.owner, 0);
    // SAFETY: one event.
    ok(unsafe { linkspan_events_release(&raw mut event.0, EVENT, 1) });
    assert_eq!(linkspan_buffer_retain(owner), LINKSPAN_ECLOSED);
    drop(event);
    client.finish();
}

#[test]
fn a_caller_with_a_newer_header_gets_zeroes_behind_what_the_library_knows() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let stride = EVENT + 16;
    for tag in 0..2 {
        client.unary(&client.to_queue(c"/test/Echo", tag)).expect("started");
    }
    let mut room = vec![u64::MAX; 2 * stride / 8];
    let events = room.as_mut_ptr().cast::<linkspan_event>();
    let mut taken = 0;
    while taken < 2 {
        let mut count = 0;
        // SAFETY: room for two elements of this stride.
        let place = unsafe { events.byte_add(taken * stride) };
        // SAFETY: as above.
        let result = unsafe {
            linkspan::queue::linkspan_queue_next(
                client.queue,
                place,
                stride,
                2 - taken,
                LINKSPAN_FOREVER,
                &raw mut count,
            )
        };
        ok(result);
        taken += count;
    }
    for element in room.chunks(stride / 8) {
        assert_eq!(element[EVENT / 8..], [0, 0]);
    }
    // SAFETY: two events at this stride.
    ok(unsafe { linkspan_events_release(events, stride, 2) });
    let mut count = 0;
    // SAFETY: live locals.
    let small = unsafe { linkspan::queue::linkspan_queue_next(client.queue, events, EVENT - 8, 1, 0, &raw mut count) };
    assert_eq!(small, LINKSPAN_EABI);
    client.finish();
}
