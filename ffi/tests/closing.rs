//! Closing: whatever is closed, each operation ends exactly once, and the handles say so.

use std::ptr;

use linkspan::call::*;
use linkspan::channel::*;
use linkspan::engine::*;
use linkspan::error::*;
use linkspan::event::*;
use linkspan::linkspan_handle_close;
use linkspan::status::*;
use linkspan::watch::*;
use support::server::Server;
use support::*;

mod support;

#[test]
fn a_closed_call_is_cancelled_and_its_final_event_still_comes() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let call = client.unary(&client.to_queue(c"/test/Hang", 3)).expect("started");
    close(call);
    assert_eq!(linkspan_handle_close(call), LINKSPAN_ECLOSED);
    let event = client.next();
    assert_eq!((event.0.kind, event.0.code, event.0.tag), (LINKSPAN_EVENT_UNARY, LINKSPAN_CODE_CANCELLED, 3));
    drop(event);
    assert_eq!(client.poll(), LINKSPAN_ETIMEDOUT, "one final event");
    client.finish();
}

#[test]
fn closing_a_channel_ends_its_calls_and_closes_their_handles() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let call = client.unary(&client.to_queue(c"/test/Hang", 1)).expect("started");
    close(client.channel);
    assert_eq!(linkspan_handle_close(client.channel), LINKSPAN_ECLOSED);
    // SAFETY: no text.
    assert_eq!(unsafe { linkspan_call_cancel(call, 1, ptr::null(), 0) }, LINKSPAN_ECLOSED);
    assert_eq!(client.unary(&client.to_queue(c"/test/Hang", 2)), Err(LINKSPAN_ECLOSED));
    let event = client.next();
    assert!(matches!(event.0.code, LINKSPAN_CODE_CANCELLED | LINKSPAN_CODE_UNAVAILABLE), "{}", event.text());
    drop(event);
    client.finish();
}

#[test]
fn after_an_engine_was_shut_down_its_queue_ends_with_one_shutdown_event() {
    let server = Server::start();
    let client = Client::new(&server.target());
    for tag in 1..=3 {
        client.unary(&client.to_queue(c"/test/Hang", tag)).expect("started");
    }
    ok(linkspan_engine_shutdown(client.engine, 0));
    assert_eq!(client.unary(&client.to_queue(c"/test/Echo", 9)), Err(LINKSPAN_ECLOSED));
    let mut tags: Vec<_> = (0..3).map(|_| client.next()).map(|event| (event.0.kind, event.0.tag)).collect();
    tags.sort_unstable();
    assert_eq!(tags, [1, 2, 3].map(|tag| (LINKSPAN_EVENT_UNARY, tag)));
    assert_eq!(client.next().0.kind, LINKSPAN_EVENT_SHUTDOWN);
    assert_eq!(client.poll(), LINKSPAN_ECLOSED, "nothing follows");
    ok(linkspan_engine_join(client.engine, GUARD_NS));
    client.finish();
}

#[test]
fn closing_an_engine_closes_its_channels_and_leaves_the_queue_to_be_drained() {
    let server = Server::start();
    let client = Client::new(&server.target());
    client.unary(&client.to_queue(c"/test/Hang", 1)).expect("started");
    close(client.engine);
    let mut state = 0;
    // SAFETY: a live local.
    assert_eq!(unsafe { linkspan_channel_state(client.channel, 0, &raw mut state) }, LINKSPAN_ECLOSED);
    assert_eq!(linkspan_engine_join(client.engine, 0), LINKSPAN_ECLOSED);
    assert_eq!(client.next().0.tag, 1);
    assert_eq!(client.next().0.kind, LINKSPAN_EVENT_SHUTDOWN);
    close(client.queue);
}

#[test]
fn a_closed_queue_cancels_its_calls() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let call = client.unary(&client.to_queue(c"/test/Hang", 1)).expect("started");
    ok(linkspan_channel_watch(client.channel, LINKSPAN_STATE_SHUTDOWN, i64::MAX, client.queue, 2));
    close(client.queue);
    assert_eq!(linkspan_handle_close(call), LINKSPAN_ECLOSED);
    assert_eq!(client.poll(), LINKSPAN_ECLOSED);
    assert_eq!(client.unary(&client.to_queue(c"/test/Hang", 1)), Err(LINKSPAN_ECLOSED));
    ok(linkspan_engine_shutdown(client.engine, i64::MAX));
    // With calls that were not cancelled this would wait for ever.
    ok(linkspan_engine_join(client.engine, GUARD_NS));
    close(client.channel);
    close(client.engine);
}

#[test]
fn a_shut_down_channel_tells_and_refuses() {
    let server = Server::start();
    let client = Client::new(&server.target());
    ok(linkspan_channel_shutdown(client.channel, 0));
    let mut state = -1;
    // SAFETY: a live local.
    ok(unsafe { linkspan_channel_state(client.channel, LINKSPAN_CHANNEL_TRY_CONNECT, &raw mut state) });
    assert_eq!(state, LINKSPAN_STATE_SHUTDOWN);
    assert_eq!(client.unary(&client.to_queue(c"/test/Echo", 1)), Err(LINKSPAN_ECLOSED));
    client.finish();
}

#[test]
fn a_watch_tells_the_new_state_once() {
    let server = Server::start();
    let client = Client::new(&server.target());
    let mut state = -1;
    // SAFETY: a live local.
    ok(unsafe { linkspan_channel_state(client.channel, LINKSPAN_CHANNEL_TRY_CONNECT, &raw mut state) });
    assert_eq!(state, LINKSPAN_STATE_IDLE, "the state before the effect");
    while state != LINKSPAN_STATE_READY {
        ok(linkspan_channel_watch(client.channel, state, i64::MAX, client.queue, 7));
        let event = client.next();
        assert_eq!((event.0.kind, event.0.tag, event.0.handle), (LINKSPAN_EVENT_CONNECTIVITY, 7, client.channel));
        assert_eq!((event.0.flags, event.0.owner), (0, 0));
        assert_ne!(event.0.code, state);
        state = event.0.code;
    }
    ok(linkspan_channel_watch(client.channel, state, 1, client.queue, 8));
    let event = client.next();
    assert_eq!((event.0.tag, event.0.code, event.0.flags), (8, state, LINKSPAN_EVENT_F_TIMEOUT));
    drop(event);
    assert_eq!(linkspan_channel_watch(client.channel, 5, 1, client.queue, 8), LINKSPAN_EINVAL);
    client.finish();
}
