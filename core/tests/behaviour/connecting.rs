//! When a channel connects, what it shows meanwhile, and what it does when the connection is lost.

use std::time::Duration;

use linkspan_core::{CallOptions, Channel, ChannelOptions, Code, Credentials, ErrorKind, Event, State, Timeout};

use crate::peer::client::{becomes, call, call_with, channel, events, failure, pick_first_channel, response, told};
use crate::peer::raw::Peer;
use crate::peer::server::{Connection, Server};
use crate::peer::{TemporaryFolder, run};

/// [CONN-1], [LB-8]
#[test]
fn a_new_channel_is_idle_and_connects_with_its_first_call() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        assert_eq!(channel.state(false), State::Idle);
        assert_eq!(channel.metrics().connect_attempts, 0);
        assert!(channel.events(0).is_empty());
        assert!(!server.has_waiting_connection());

        let call = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"hi");
        let response = response(call).await;
        assert_eq!(response.message, "hi");
        assert_eq!(&*response.peer, server.address());
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}

/// [CONN-3]
#[test]
fn the_first_call_leads_through_connecting_to_ready_and_each_change_has_its_cause() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(call).await;

        assert_eq!(
            told(&channel),
            [
                "IDLE → CONNECTING: a call was started".to_owned(),
                format!("CONNECTING → READY: connected [{}]", server.address())
            ]
        );
        let events = channel.events(0);
        assert_eq!([events[0].seq, events[1].seq], [1, 2]);
        assert!(events[0].at <= events[1].at);
        assert_eq!(events[1].connection, Some(channel.metrics().connections[0].id));
        assert_eq!(channel.events(1).len(), 1);
    });
}

/// [CONN-5]
#[test]
fn asking_to_connect_answers_with_the_state_before_and_connects_without_a_call() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        assert_eq!(channel.state(true), State::Idle);
        let _connection = server.accept().await;
        becomes(&channel, State::Ready).await;
        assert_eq!(channel.state(true), State::Ready);
        assert_eq!(channel.metrics().connect_attempts, 1);
        assert_eq!(told(&channel)[0], "IDLE → CONNECTING: a connection was asked for");
    });
}

/// [CONN-7]
#[test]
fn many_calls_share_the_one_connection_that_the_first_one_opens() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let calls: Vec<_> = (0..50).map(|_| call(&channel)).collect();
        let mut connection = server.accept().await;
        for _ in 0..50 {
            connection.request().await.answer(b"");
        }
        for call in calls {
            response(call).await;
        }
        assert_eq!(channel.metrics().connect_attempts, 1);
        assert_eq!(channel.metrics().connections[0].streams_total, 50);
        assert!(!server.has_waiting_connection());
    });
}

/// [CONN-32], [CONN-69], [CONN-78]
#[test]
fn a_lost_connection_means_idle_and_the_next_call_connects_again() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let first = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"first");
        response(first).await;

        drop(connection);
        becomes(&channel, State::Idle).await;
        let last = told(&channel).pop().expect("an event");
        assert!(last.starts_with("READY → IDLE: the connection was lost: "), "{last}");
        assert!(channel.metrics().connections.is_empty());
        assert!(!server.has_waiting_connection(), "nobody asked for a connection");

        let second = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"second");
        assert_eq!(response(second).await.message, "second");
        assert_eq!(channel.metrics().connect_failures, 0);
    });
}

/// [WIRE-178]
#[test]
fn a_connection_lost_under_a_call_ends_it_unavailable_and_says_that_it_was_sent() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut connection = server.accept().await;
        let _request = connection.request().await;
        drop(connection);
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("connection lost: "), "{text}");
        assert!(text.contains("; phase wait; on 127.0.0.1:"), "{text}");
        assert!(text.ends_with("; sent"), "{text}");
        assert_eq!(failure.end().sent, linkspan_core::Sent::Processed);
    });
}

/// [CONN-4]
#[test]
fn a_watch_completes_once_when_the_state_changes() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut watched) = events();
        channel.watch(State::Idle, None, reply).expect("a watch");
        assert!(watched.is_empty());
        channel.state(true);
        let Event::Connectivity { state, timed_out } = watched.next().await else { panic!("another event") };
        assert!(matches!(state, State::Connecting | State::Ready), "{state}");
        assert!(!timed_out);
        // More changes follow; the watch says nothing of them.
        let _connection = server.accept().await;
        becomes(&channel, State::Ready).await;
        watched.are_over().await;
    });
}

/// [CONN-4]
#[test]
fn a_watch_from_another_state_than_the_present_one_completes_at_once() {
    run(async {
        let channel = channel("127.0.0.1:1");
        let (reply, mut watched) = events();
        channel.watch(State::Ready, None, reply).expect("a watch");
        assert!(matches!(watched.next().await, Event::Connectivity { state: State::Idle, timed_out: false }));
        watched.are_over().await;
    });
}

/// [CONN-4]
#[test]
fn a_watch_completes_once_by_its_timeout_and_once_by_its_cancellation() {
    run(async {
        let channel = channel("127.0.0.1:1");
        let (reply, mut watched) = events();
        channel.watch(State::Idle, Some(Duration::from_millis(1)), reply).expect("a watch");
        assert!(matches!(watched.next().await, Event::Connectivity { state: State::Idle, timed_out: true }));
        watched.are_over().await;

        let (reply, mut watched) = events();
        let watch = channel.watch(State::Idle, None, reply).expect("a watch");
        watch.cancel();
        watch.cancel();
        assert!(matches!(watched.next().await, Event::Connectivity { state: State::Idle, timed_out: true }));
        watched.are_over().await;
        watch.cancel();
    });
}

/// [CONN-2]
#[test]
fn a_watch_completes_when_the_channel_is_closed_and_a_closed_one_has_nothing_to_watch() {
    run(async {
        let channel = channel("127.0.0.1:1");
        let (reply, mut watched) = events();
        channel.watch(State::Idle, None, reply).expect("a watch");
        channel.close(None);
        assert!(matches!(watched.next().await, Event::Connectivity { state: State::Shutdown, timed_out: false }));
        watched.are_over().await;

        let (reply, mut watched) = events();
        channel.watch(State::Ready, None, reply).expect("SHUTDOWN is not READY");
        assert!(matches!(watched.next().await, Event::Connectivity { state: State::Shutdown, timed_out: false }));
        let (reply, watched) = events();
        let refused = channel.watch(State::Shutdown, None, reply).expect_err("nothing will change");
        assert_eq!(refused.kind(), ErrorKind::Closed);
        watched.are_over().await;
    });
}

#[test]
fn a_unix_socket_carries_calls() {
    run(async {
        let folder = TemporaryFolder::new();
        let path = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let target = format!("unix:{}", path.display());
        let channel = Channel::new(&target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
        let call = call(&channel);
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        let request = connection.request().await;
        // [NAME-33]
        assert_eq!(request.head.uri.authority().expect("an authority"), "localhost");
        request.answer(b"over a file");
        let response = response(call).await;
        assert_eq!(response.message, "over a file");
        assert_eq!(&*response.peer, target);
    });
}

#[test]
fn a_name_is_resolved_and_its_addresses_are_tried() {
    run(async {
        let server = Server::start();
        let port = server.address().rsplit(':').next().expect("a port").to_owned();
        // Often ::1 as well, where nobody listens.
        let target = format!("dns:///localhost:{port}");
        let channel = Channel::new(&target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
        let call = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority").as_str(), format!("localhost:{port}"));
        request.answer(b"");
        assert_eq!(&*response(call).await.peer, server.address());
    });
}

/// A connection nobody can write to is lost, even while the server keeps its own side open.
#[test]
fn a_server_that_stops_receiving_and_stays_silent_ends_the_call() {
    run(async {
        let folder = TemporaryFolder::new();
        let path = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let target = format!("unix:{}", path.display());
        let channel = Channel::new(&target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
        channel.state(true);
        let (stream, _) = listener.accept().await.expect("a connection");
        let socket = stream.into_std().expect("a socket");
        let same = socket.try_clone().expect("a descriptor");
        let stream = tokio::net::UnixStream::from_std(socket).expect("a socket");
        let mut peer = Peer::new(stream);
        peer.greet().await;
        becomes(&channel, State::Ready).await;
        same.shutdown(std::net::Shutdown::Read).expect("shut");
        let options = CallOptions { timeout: Timeout::After(Duration::from_secs(10)), ..CallOptions::default() };
        failure(call_with(&channel, "", options), Code::Unavailable).await;
    });
}
