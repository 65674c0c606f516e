//! Calls through the C functions, from start to final event.

use std::ptr;

use linkspan::call::*;
use linkspan::channel::*;
use linkspan::error::*;
use linkspan::event::*;
use linkspan::message::*;
use linkspan::request::*;
use linkspan::start::*;
use linkspan::status::*;
use support::server::Server;
use support::*;

mod support;

fn slice(text: &'static str) -> linkspan_slice {
    linkspan_slice { bytes: text.as_ptr(), len: text.len() }
}

fn entry(key: &'static str, value: linkspan_slice) -> linkspan_metadata_entry {
    linkspan_metadata_entry { key: slice(key), value, flags: 0, reserved: 0 }
}

#[test]
fn a_unary_call_brings_everything_back_in_one_event() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let metadata = [
        entry("x-echo", slice("seen")),
        entry("x-trailer-bin", linkspan_slice { bytes: [0, 255, 7].as_ptr(), len: 3 }),
    ];
    let mut options = client.to_queue(c"/test/Echo", 42);
    options.message = message(b"hello");
    (options.metadata, options.metadata_count) = (metadata.as_ptr(), metadata.len());
    let handle = client.unary(&options).expect("started");
    let event = client.next();
    assert_eq!((event.0.kind, event.0.code), (LINKSPAN_EVENT_UNARY, LINKSPAN_CODE_OK), "{}", event.text());
    assert_eq!((event.0.tag, event.0.handle), (42, handle));
    assert_eq!(event.message(), Some(&b"hello"[..]));
    assert_eq!(event.initial("x-echo").as_deref(), Some(&b"seen"[..]));
    assert_eq!(event.trailing("x-trailer-bin").as_deref(), Some(&[0, 255, 7][..]));
    assert_eq!(event.0.flags & LINKSPAN_EVENT_F_LOCAL, 0);
    // SAFETY: the event is not released yet.
    assert_eq!(unsafe { bytes(event.0.peer.cast(), event.0.peer_len) }, server.target().as_bytes());
    assert!(event.0.elapsed_ns > 0);
    assert_eq!(linkspan_call_read(handle, 1), LINKSPAN_ECLOSED, "the final event closes the handle");
    drop(event);
    client.finish();
}

/// [WIRE-113], [WIRE-116]
#[test]
fn a_call_is_compressed_as_it_says_and_a_message_not_where_it_says_so() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let text = [b'x'; 1_000];
    let table = [
        (LINKSPAN_COMPRESSION_OF_CHANNEL, 0, "none 0"),
        (LINKSPAN_COMPRESSION_IDENTITY, 0, "none 0"),
        (LINKSPAN_COMPRESSION_DEFLATE, 0, "deflate 1"),
        (LINKSPAN_COMPRESSION_GZIP, 0, "gzip 1"),
        (LINKSPAN_COMPRESSION_GZIP, LINKSPAN_CALL_UNCOMPRESSED, "gzip 0"),
    ];
    for (compression, flags, told) in table {
        let asked = |method| linkspan_call_options {
            message: message(&text),
            compression,
            flags,
            ..client.to_queue(method, 1)
        };
        client.unary(&asked(c"/test/HowSent")).expect("started");
        assert_eq!(client.next().message(), Some(told.as_bytes()));
        client.unary(&asked(c"/test/Echo")).expect("started");
        assert_eq!(client.next().message(), Some(&text[..]));
    }
    let options = linkspan_call_options {
        message: no_message(),
        compression: LINKSPAN_COMPRESSION_GZIP,
        read_credit: 1,
        ..client.to_queue(c"/test/HowSent", 2)
    };
    let stream = client.stream(&options).expect("started");
    for flags in [0, LINKSPAN_CALL_UNCOMPRESSED, LINKSPAN_CALL_LAST] {
        // SAFETY: a live local.
        ok(unsafe { linkspan_call_send(stream, &message(&text), flags) });
    }
    assert_eq!(client.next().0.kind, LINKSPAN_EVENT_HEADERS);
    assert_eq!(client.next().message(), Some(&b"gzip 101"[..]));
    assert_eq!(client.next().0.code, LINKSPAN_CODE_OK);
    client.finish();
}

#[test]
fn a_status_of_the_peer_comes_with_its_text() {
    let server = Server::start();
    let client = Client::new(&server.target());
    client.unary(&client.to_queue(c"/test/Fail", 1)).expect("started");
    let event = client.next();
    assert_eq!((event.0.code, event.text()), (LINKSPAN_CODE_PERMISSION_DENIED, "no entry"));
    assert_eq!(event.message(), None);
    assert_eq!(event.0.flags & LINKSPAN_EVENT_F_LOCAL, 0);
    drop(event);
    client.finish();
}

#[test]
fn a_refused_connection_is_a_local_unprocessed_status() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let target = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let client = Client::new(&target);
    client.unary(&client.to_queue(c"/test/Echo", 1)).expect("started");
    let event = client.next();
    assert_eq!(event.0.code, LINKSPAN_CODE_UNAVAILABLE, "{}", event.text());
    assert_eq!(event.0.flags & 3, LINKSPAN_EVENT_F_LOCAL | LINKSPAN_EVENT_F_UNPROCESSED);
    assert!(event.text().contains(&target), "{}", event.text());
    drop(event);
    client.finish();
}

#[test]
fn many_calls_start_with_one_crossing_and_stop_at_the_first_refused() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut options =
        [c"/test/Echo", c"/test/Echo", c"no-slash", c"/test/Echo"].map(|method| client.to_queue(method, 0));
    for (tag, options) in (0..).zip(&mut options) {
        options.tag = tag;
        options.message = message(b"m");
    }
    let mut handles = [0; 4];
    let mut started = 99;
    // SAFETY: live locals.
    let many = |count, started: &mut usize, handles: &mut [u64; 4]| unsafe {
        linkspan_channel_unary_many(client.channel, options.as_ptr(), count, handles.as_mut_ptr(), started)
    };
    assert_eq!(many(4, &mut started, &mut handles), LINKSPAN_EINVAL);
    assert_eq!((started, handles[2], handles[3]), (2, 0, 0));
    let mut tags: Vec<_> =
        (0..2).map(|_| client.next()).map(|event| (event.0.tag, event.0.handle, event.0.code)).collect();
    tags.sort_unstable();
    assert_eq!(tags, [(0, handles[0], 0), (1, handles[1], 0)]);
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT, "a refused call has no event");
    assert_eq!(many(0, &mut started, &mut handles), LINKSPAN_OK);
    assert_eq!(started, 0);
    client.finish();
}

#[test]
fn a_blocking_call_returns_its_event() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut options = call(c"/test/Echo");
    options.message = message(b"wait");
    options.tag = 5;
    let mut event = empty_event();
    // SAFETY: live locals.
    ok(unsafe { linkspan_channel_unary_wait(client.channel, &raw const options, &raw mut event, EVENT) });
    let event = Event(event);
    assert_eq!((event.0.kind, event.0.code, event.0.tag), (LINKSPAN_EVENT_UNARY, 0, 5));
    assert_eq!(event.message(), Some(&b"wait"[..]));
    options.queue = client.queue;
    let mut unwritten = empty_event();
    // SAFETY: live locals.
    let refused = unsafe { linkspan_channel_unary_wait(client.channel, &raw const options, &raw mut unwritten, EVENT) };
    assert_eq!((refused, unwritten.owner), (LINKSPAN_EINVAL, 0), "a queue would be forgotten");
    drop(event);
    client.finish();
}

fn send(call: linkspan_call, bytes: &[u8], flags: u32) -> linkspan_result {
    let message = message(bytes);
    // SAFETY: a live local.
    unsafe { linkspan_call_send(call, &raw const message, flags) }
}

#[test]
fn a_stream_gives_messages_as_credit_allows_and_one_status() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut options = client.to_queue(c"/test/Echo", 9);
    options.message = no_message();
    let call = client.stream(&options).expect("started");
    ok(send(call, b"one", 0));
    ok(send(call, b"two", LINKSPAN_CALL_LAST));
    assert_eq!(send(call, b"three", 0), LINKSPAN_ESTATE, "after the last message");
    let headers = client.next();
    assert_eq!((headers.0.kind, headers.0.tag, headers.0.handle), (LINKSPAN_EVENT_HEADERS, 9, call));
    drop(headers);
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT, "no credit, no message");
    ok(linkspan_call_read(call, 1));
    assert_eq!(client.next().message(), Some(&b"one"[..]));
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT, "the credit is used up");
    ok(linkspan_call_read(call, 5));
    assert_eq!(client.next().message(), Some(&b"two"[..]));
    let end = client.next();
    assert_eq!((end.0.kind, end.0.code), (LINKSPAN_EVENT_STATUS, 0));
    drop(end);
    client.finish();
}

#[test]
fn a_sender_ahead_of_the_peer_is_told_to_wait_and_when_to_go_on() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut options = client.to_queue(c"/test/Echo", 0);
    (options.message, options.read_credit) = (no_message(), u32::MAX);
    let call = client.stream(&options).expect("started");
    let block = vec![7; 64 << 10];
    let (mut refused, mut received, mut sent) = (0, 0, 0);
    while refused < 3 {
        assert!(sent < 100_000, "nothing ever pushes back");
        match send(call, &block, 0) {
            LINKSPAN_OK => sent += 1,
            LINKSPAN_EAGAIN => {
                refused += 1;
                // WRITABLE comes once, whatever else comes before it.
                loop {
                    let event = client.next();
                    match event.0.kind {
                        LINKSPAN_EVENT_WRITABLE => break,
                        LINKSPAN_EVENT_MESSAGE => received += 1,
                        kind => assert_eq!(kind, LINKSPAN_EVENT_HEADERS),
                    }
                }
            }
            other => ok(other),
        }
    }
    // SAFETY: NULL is allowed with LAST.
    ok(unsafe { linkspan_call_send(call, ptr::null(), LINKSPAN_CALL_LAST) });
    loop {
        let event = client.next();
        match event.0.kind {
            LINKSPAN_EVENT_MESSAGE => received += 1,
            LINKSPAN_EVENT_HEADERS => {}
            kind => {
                assert_eq!((kind, event.0.code), (LINKSPAN_EVENT_STATUS, 0), "{}", event.text());
                break;
            }
        }
    }
    assert_eq!(received, sent);
    client.finish();
}

#[test]
fn cancelling_ends_a_call_with_the_code_and_text_given() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let call = client.unary(&client.to_queue(c"/test/Hang", 1)).expect("started");
    // SAFETY: a static text.
    let cancel = |code| unsafe { linkspan_call_cancel(call, code, c"enough".as_ptr(), NUL) };
    assert_eq!((cancel(0), cancel(17), cancel(-1)), (LINKSPAN_EINVAL, LINKSPAN_EINVAL, LINKSPAN_EINVAL));
    ok(cancel(LINKSPAN_CODE_ABORTED));
    let event = client.next();
    assert_eq!(event.0.code, LINKSPAN_CODE_ABORTED);
    assert!(event.text().starts_with("enough"), "{}", event.text());
    assert_eq!(event.0.flags & LINKSPAN_EVENT_F_LOCAL, LINKSPAN_EVENT_F_LOCAL);
    assert_eq!(cancel(LINKSPAN_CODE_CANCELLED), LINKSPAN_ECLOSED);
    drop(event);
    client.finish();
}

#[test]
fn a_timeout_that_is_already_past_sends_nothing() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut options = client.to_queue(c"/test/Echo", 1);
    options.timeout_ns = -1;
    client.unary(&options).expect("started");
    let event = client.next();
    assert_eq!(event.0.code, LINKSPAN_CODE_DEADLINE_EXCEEDED);
    assert_eq!(event.0.flags & LINKSPAN_EVENT_F_UNPROCESSED, LINKSPAN_EVENT_F_UNPROCESSED);
    drop(event);
    client.finish();
    assert_eq!(server.streams.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn malformed_requests_are_refused_at_the_start() {
    let client = Client::new("127.0.0.1:1");
    let good = client.to_queue(c"/test/Echo", 1);
    let with = |change: &dyn Fn(&mut linkspan_call_options)| {
        let mut options = good;
        change(&mut options);
        client.unary(&options).expect_err("malformed")
    };
    let bad_entries = [
        entry("Upper", slice("v")),
        entry(":path", slice("v")),
        entry("", slice("v")),
        entry("a b", slice("v")),
        entry("grpc-timeout", slice("1S")),
        entry("ascii", slice("line\n")),
        linkspan_metadata_entry { flags: 1, ..entry("fine", slice("v")) },
        linkspan_metadata_entry { reserved: 1, ..entry("fine", slice("v")) },
        entry("null", linkspan_slice { bytes: ptr::null(), len: 4 }),
    ];
    for bad in &bad_entries {
        assert_eq!(with(&|o| (o.metadata, o.metadata_count) = (bad, 1)), LINKSPAN_EINVAL, "{bad:?}");
    }
    assert_eq!(with(&|o| o.method = c"no/slash".as_ptr()), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.method = c"".as_ptr()), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.method = ptr::null()), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.method = c"/\xff/x".as_ptr()), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.flags = 1 << 30), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.queue = 0), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.queue = client.channel), LINKSPAN_EHANDLE);
    assert_eq!(with(&|o| o.credentials = 1), LINKSPAN_EHANDLE);
    assert_eq!(with(&|o| o.compression = 99), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.message = linkspan_message { len: 3, ..no_message() }), LINKSPAN_EINVAL);
    assert_eq!(with(&|o| o.struct_size = 159), LINKSPAN_EABI);
    assert_eq!(with(&|o| o.struct_size = u32::MAX), LINKSPAN_EABI);
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT, "a refused call has no event");
    client.finish();
}

#[test]
fn an_error_explains_what_a_channel_cannot_be_made_of() {
    let client = Client::new("127.0.0.1:1");
    let mut credentials = 0;
    // SAFETY: a live local.
    ok(unsafe { linkspan::credentials::linkspan_credentials_insecure(&raw mut credentials) });
    for target in [c"", c"unknown://x", c"127.0.0.1:99999"] {
        let (mut out, mut error) = (0, error());
        // SAFETY: live locals.
        let result = unsafe {
            linkspan_channel_new(client.engine, target.as_ptr(), NUL, credentials, 0, &raw mut out, &raw mut error)
        };
        assert_eq!((result, error.code, out), (LINKSPAN_ECONFIG, LINKSPAN_ECONFIG, 0), "{target:?}");
        assert!(message_of(&error).len() > 10, "{target:?}: {:?}", message_of(&error));
    }
    close(credentials);
    client.finish();
}
