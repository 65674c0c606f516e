//! What a channel and an engine look like to people, in each state, from any thread.

use std::collections::BTreeSet;
use std::sync::mpsc;

use linkspan_core::{Channel, ChannelSnapshot, Credentials, Engine, EngineOptions, State};
use serde_json::Value;

use crate::peer::client::{
    METHOD, becomes, call, channel_with, events, failure, options, patient_call, pick_first_channel, response,
};
use crate::peer::server::{ReservedPort, Server};
use crate::peer::{GUARD, run};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|wrong| panic!("{wrong}: {text}"))
}

/// Waits until the loop has come so far.
async fn shows(channel: &Channel, is_it: impl Fn(&ChannelSnapshot) -> bool) -> ChannelSnapshot {
    loop {
        let snapshot = channel.snapshot();
        if is_it(&snapshot) {
            return snapshot;
        }
        tokio::task::yield_now().await;
    }
}

/// [CZ-01], [CZ-05], [CZ-10], [CONN-160]
#[test]
fn a_ready_channel_shows_its_address_its_connection_and_how_the_streams_ended() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let first = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"world");
        response(first).await;
        let broken = call(&channel);
        connection.request().await.reset(h2::Reason::INTERNAL_ERROR);
        failure(broken, linkspan_core::Code::Internal).await;
        let _running = call(&channel);
        let _request = connection.request().await;

        let snapshot = channel.snapshot();
        assert!(!snapshot.is_partial);
        assert!(snapshot.at.is_some() && snapshot.since.is_some());
        assert_eq!(snapshot.policy.as_deref(), Some("pick_first"));
        let resolver = snapshot.resolver.as_ref().expect("asked");
        assert_eq!((resolver.addresses, resolver.service_config), (1, "none"));
        assert!(resolver.age.is_some() && resolver.last_error.is_none() && resolver.looking_up_since.is_none());
        let [address] = &*snapshot.subchannels else { panic!("one address: {snapshot:?}") };
        assert_eq!((address.state, &address.address), (State::Ready, &server.address()));
        assert_eq!((address.failures, address.next_attempt, &address.last_error), (0, None, &None));
        assert!(address.dialing.is_none() && address.breaker.is_none() && !address.is_ejected);
        let [one] = &*address.connections else { panic!("one connection: {snapshot:?}") };
        assert_eq!((one.metrics.streams_active, one.metrics.streams_total), (1, 3));
        assert_eq!((one.streams_succeeded, one.streams_failed), (1, 1));
        assert!(one.age.is_some() && one.tls.is_none());
        let ids = BTreeSet::from([channel.id(), address.id, one.metrics.id, Engine::shared().id()]);
        assert_eq!((ids.len(), ids.contains(&0)), (4, false), "{ids:?}");
    });
}

/// [CONN-31], [CONN-52]
#[test]
fn an_address_that_refused_shows_why_how_often_and_when_it_is_tried_again() {
    run(async {
        let port = ReservedPort::new();
        let backoff = ("grpc.testing.fixed_reconnect_backoff_ms", 60_000.into());
        let channel = channel_with(&port.address(), &[("linkspan.preset", "grpc".into()), backoff]);
        failure(call(&channel), linkspan_core::Code::Unavailable).await;
        let snapshot = channel.snapshot();
        assert_eq!(snapshot.metrics.state, State::TransientFailure);
        let [address] = &*snapshot.subchannels else { panic!("one address: {snapshot:?}") };
        assert_eq!((address.state, address.failures), (State::TransientFailure, 1));
        assert_eq!(address.last_error.as_deref(), Some("Connection refused (os error 111)"));
        let next = address.next_attempt.expect("it waits");
        assert!(!next.is_zero() && next.as_secs() <= 60, "{next:?}");
        assert!(address.connections.is_empty() && address.dialing.is_none());
    });
}

#[test]
fn a_dial_shows_what_it_waits_for() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        channel.state(true);
        // It never says anything.
        let _silent = server.accept_raw().await;
        let is_there = |snapshot: &ChannelSnapshot| {
            let dial = snapshot.subchannels.first().and_then(|address| address.dialing.as_ref());
            dial.is_some_and(|dial| dial.step == "settings")
        };
        let snapshot = shows(&channel, is_there).await;
        assert_eq!((snapshot.metrics.state, snapshot.subchannels[0].state), (State::Connecting, State::Connecting));
        assert!(snapshot.subchannels[0].connections.is_empty());
    });
}

#[test]
fn a_connection_that_says_goodbye_stays_with_its_address_until_it_is_gone() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.lb_policy", "round_robin".into())]);
        let running = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        connection.shut_down_gracefully();
        let is_draining = |snapshot: &ChannelSnapshot| {
            let one = snapshot.subchannels.first().and_then(|address| address.connections.first());
            one.is_some_and(|one| one.metrics.state == "draining" && one.age.is_none())
        };
        let snapshot = shows(&channel, is_draining).await;
        let [one] = &*snapshot.subchannels[0].connections else { panic!("one connection: {snapshot:?}") };
        assert_eq!(one.metrics.goaway_code, Some(0));
        request.answer(b"world");
        response(running).await;
    });
}

#[test]
fn what_is_not_used_or_closed_shows_what_everybody_may_know_and_says_that_it_is_not_all() {
    run(async {
        let server = Server::start();
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        let target = format!("ipv4:{}", server.address());
        let channel = Channel::on(&engine, &target, &Credentials::insecure(), &options(&[])).expect("a channel");
        let before = channel.snapshot();
        assert!(before.is_partial && before.at.is_none() && before.subchannels.is_empty());
        assert_eq!(before.metrics.state, State::Idle);
        let of_engine = engine.snapshot();
        assert!(of_engine.is_partial && of_engine.channels.is_empty());
        assert!(engine.join(Some(std::time::Duration::ZERO)), "no thread was started for it");

        let running = patient_call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        assert!(!channel.snapshot().is_partial);
        channel.close(None);
        let after = channel.snapshot();
        assert!(after.is_partial && after.subchannels.is_empty() && after.resolver.is_none());
        assert_eq!((after.metrics.state, after.metrics.connections.len()), (State::Shutdown, 1));
        request.answer(b"world");
        response(running).await;

        engine.shutdown(None);
        let joining = engine.clone();
        assert!(tokio::task::spawn_blocking(move || joining.join(Some(GUARD))).await.expect("no panic"));
        assert!(engine.snapshot().is_partial);
        parsed(&channel.snapshot().to_json());
        parsed(&engine.snapshot().to_json());
    });
}

/// Whoever waited for the loop there would wait for himself.
#[test]
fn on_a_loop_nobody_waits_for_a_snapshot() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        channel.state(true);
        let _connection = server.accept().await;
        becomes(&channel, State::Ready).await;
        let (told, seen) = mpsc::channel();
        let there = channel.clone();
        let task = move |_| async move {
            let _ = told.send((there.snapshot(), Engine::shared().snapshot()));
        };
        Engine::shared().run_on_loop(task).expect("accepted");
        let (of_channel, of_engine) = seen.recv().expect("told");
        assert!(of_channel.is_partial && of_engine.is_partial);
        assert_eq!((of_channel.metrics.state, of_channel.metrics.connections.len()), (State::Ready, 1));

        // The same in a callback.
        let (told, seen) = mpsc::channel();
        let there = channel.clone();
        let reply = linkspan_core::Reply::callback(move |_| {
            let _ = told.send(there.snapshot().is_partial);
        });
        channel.watch(State::Idle, None, reply).expect("a watch");
        assert_eq!(seen.recv(), Ok(true));
    });
}

/// Everything else that is started waits until the batch is dropped.
#[test]
fn an_open_batch_does_not_hold_a_snapshot_back() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        channel.state(true);
        let _connection = server.accept().await;
        becomes(&channel, State::Ready).await;
        let batch = channel.batch();
        assert!(!channel.snapshot().is_partial);
        drop(batch);
    });
}

#[test]
fn an_engine_shows_each_of_its_channels_that_is_used_and_what_their_calls_wait_for() {
    run(async {
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        let (server, port) = (Server::start(), ReservedPort::new());
        let on = |address: String, set: &[_]| {
            Channel::on(&engine, &format!("ipv4:{address}"), &Credentials::insecure(), &options(set))
                .expect("a channel")
        };
        let used = on(server.address(), &[("linkspan.lb_policy", "round_robin".into())]);
        let failing = on(port.address(), &[("grpc.testing.fixed_reconnect_backoff_ms", 60_000.into())]);
        let _never_used = on(port.address(), &[]);
        used.state(true);
        let _connection = server.accept().await;
        becomes(&used, State::Ready).await;
        let (reply, mut replies) = events();
        failing.start_unary(linkspan_core::CallRequest::new(METHOD), reply).expect("accepted");
        replies.next().await;

        let snapshot = engine.snapshot();
        assert!(!snapshot.is_partial && snapshot.at.is_some());
        assert_eq!((snapshot.id, snapshot.process_id), (engine.id(), std::process::id()));
        assert_eq!(snapshot.metrics.channels, 3);
        let states: Vec<_> = snapshot.channels.iter().map(|channel| (channel.id, channel.metrics.state)).collect();
        assert_eq!(states, [(used.id(), State::Ready), (failing.id(), State::TransientFailure)]);
        assert_eq!(snapshot.channels[0].policy.as_deref(), Some("round_robin"));

        let json = parsed(&snapshot.to_json());
        assert_eq!(json["engine"]["ref"]["engineId"], engine.id());
        assert_eq!(json["channels"][0], parsed(&snapshot.channels[0].to_json()));
        assert_eq!(json["channels"][1]["subchannels"][0]["data"]["state"]["state"], "TRANSIENT_FAILURE");
        assert_eq!(json["channels"][1]["data"]["callsByCode"]["UNAVAILABLE"], 1);
    });
}

/// The names that pages and scripts go by.
#[test]
fn the_json_of_a_snapshot_has_these_names() {
    run(async {
        let server = Server::start();
        let breaker = ("linkspan.breaker", "{}".into());
        let channel = channel_with(&server.address(), &[breaker]);
        let first = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"world");
        response(first).await;
        let engine = parsed(&Engine::shared().snapshot().to_json());
        has(&engine["engine"], "ref version pid atNs isPartial data");
        has(
            &engine["engine"]["data"],
            "callsStarted callsSucceeded callsFailed callsActive retries bytesSent bytesReceived connects connectsFailed goaways channels",
        );
        let json = parsed(&channel.snapshot().to_json());
        has(&json, "ref atNs isPartial data subchannels connections");
        has(&json["ref"], "channelId name");
        has(
            &json["data"],
            "state sinceNs target authority callsStarted callsSucceeded callsFailed callsInFlight callsQueued callsByCode connectAttempts \
             connectFailures lastError policy resolver trace",
        );
        has(&json["data"]["resolver"], "addresses ageNs lookingUpSinceNs nextLookUpNs lastError serviceConfig");
        let address = &json["subchannels"][0];
        has(address, "ref data connections");
        has(&address["ref"], "subchannelId name");
        has(
            &address["data"],
            "state sinceNs address lastError failures nextAttemptNs dialing breaker ejected health callsWaiting",
        );
        has(&address["data"]["breaker"], "state why nextProbeNs");
        assert_eq!(address["data"]["breaker"]["state"], "closed");
        has(
            &address["connections"][0],
            "id state remote local ageNs connect_ns tls_ns tls rttNs streamsActive streamsStarted streamsSucceeded streamsFailed streamLimit \
             bytesSent bytesReceived keepalivePings pings goawayCode",
        );
        assert_eq!(address["connections"][0]["id"], json["connections"][0]["id"]);
    });
}

#[track_caller]
fn has(object: &Value, names: &str) {
    for name in names.split_whitespace() {
        assert!(object.get(name).is_some(), "{name} is missing in {object}");
    }
}
