//! Calls spread over several servers, and what becomes of them when one is lost.

use std::time::Duration;

use linkspan_core::State;

use crate::peer::client::{becomes, call, channel, channel_with, response, time_passes};
use crate::peer::run;
use crate::peer::server::Server;

/// [LB-25], [LB-28], [CONN-76]
#[test]
fn every_server_gets_its_turn() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel(&format!("{},{}", servers[0].address(), servers[1].address()));
        channel.state(true);
        let mut connections = [servers[0].accept().await, servers[1].accept().await];
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..4 {
            let calls = [call(&channel), call(&channel)];
            for connection in &mut connections {
                connection.request().await.answer(b"");
            }
            for call in calls {
                response(call).await;
            }
        }
    });
}

/// [LB-27], [CONN-76]
#[test]
fn a_server_that_is_lost_is_dialed_again_without_a_call_and_the_other_serves() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel(&format!("{},{}", servers[0].address(), servers[1].address()));
        channel.state(true);
        let lost = servers[0].accept().await;
        let mut kept = servers[1].accept().await;
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        drop(lost);
        let mut back = servers[0].accept_stream().await;
        for _ in 0..3 {
            let call = call(&channel);
            kept.request().await.answer(b"kept");
            assert_eq!(response(call).await.message, "kept");
        }
        assert_eq!(channel.state(false), State::Ready);
        tokio::io::AsyncWriteExt::shutdown(&mut back).await.expect("the end said");
    });
}

/// [RETRY-14]
#[test]
fn a_call_one_server_refused_is_made_again_at_the_other() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel(&format!("{},{}", servers[0].address(), servers[1].address()));
        channel.state(true);
        let mut refusing = servers[0].accept().await;
        let mut serving = servers[1].accept().await;
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        let visits = crate::peer::beside(async move {
            loop {
                refusing.request().await.reset(h2::Reason::REFUSED_STREAM);
            }
        });
        for _ in 0..10 {
            let call = call(&channel);
            serving.request().await.answer(b"");
            response(call).await;
        }
        visits.abort();
        let retries = channel.metrics().retries;
        assert!((5..=10).contains(&retries), "no call is refused twice: {retries}");
    });
}

#[test]
fn channels_that_wait_for_the_same_address_go_together_once_one_got_through() {
    run(async {
        let server = Server::start();
        // Whoever is not told that the gate is open waits beyond the end of the test.
        let an_hour = [("linkspan.probe_interval_ms", 3_600_000.into())];
        let channels: Vec<_> = (0..20).map(|_| channel_with(&server.address(), &an_hour)).collect();
        let attempts = || channels.iter().map(|channel| channel.metrics().connect_attempts).sum::<u64>();
        for channel in &channels {
            channel.state(true);
        }
        // The loop looks at its timers when nothing else is to be done, so all stand at the gate by then.
        time_passes(Duration::from_millis(1)).await;
        assert_eq!(attempts(), 1, "one probes, and the server has not greeted it");
        let visits = crate::peer::beside(async move {
            let mut connections = Vec::new();
            loop {
                connections.push(server.accept().await);
            }
        });
        for channel in &channels {
            becomes(channel, State::Ready).await;
        }
        visits.abort();
        assert_eq!(attempts(), 20);
    });
}

/// [LB-56], [LB-57]
#[test]
fn a_server_that_does_not_answer_gets_fewer_calls_by_least_request() {
    const CALLS: usize = 400;
    // Drawn twice it gets a call, as a quarter of them; this is six standard deviations more.
    const MOST: usize = 150;
    run(async {
        let servers = [Server::start(), Server::start()];
        let addresses = format!("{},{}", servers[0].address(), servers[1].address());
        let channel = channel_with(&addresses, &[("linkspan.lb_policy", "least_request".into())]);
        channel.state(true);
        let (mut quick, mut silent) = (servers[0].accept().await, servers[1].accept().await);
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        let answering = crate::peer::beside(async move {
            loop {
                quick.request().await.answer(b"");
            }
        });
        let mut unanswered = Vec::new();
        for _ in 0..CALLS {
            let mut call = call(&channel);
            tokio::select! {
                request = silent.request() => unanswered.push((request, call)),
                answered = &mut call => assert!(answered.expect("no panic").is_ok()),
            }
        }
        answering.abort();
        assert!((1..=MOST).contains(&unanswered.len()), "{} of {CALLS}", unanswered.len());
    });
}
