//! Engines and their threads: one loop for many channels, there while it is needed.

use std::sync::Arc;
use std::time::Duration;

use linkspan_core::{
    CallRequest, Channel, ChannelOptions, Code, Credentials, Engine, EngineOptions, ErrorKind, Event, State,
};
use tokio::sync::mpsc;

use crate::peer::client::{METHOD, call, events, failure, response};
use crate::peer::server::Server;
use crate::peer::{GUARD, run};

fn engine(thread_name: &str) -> Engine {
    Engine::new(EngineOptions { thread_name: thread_name.to_owned(), ..EngineOptions::default() }).expect("an engine")
}

fn channel_on(engine: &Engine, server: &Server) -> Channel {
    let target = format!("ipv4:{}", server.address());
    Channel::on(engine, &target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel")
}

/// How many threads of this process have this name, as the system tells.
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let comm =
        |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.expect("a thread").path().join("comm"));
    // A thread may end between being listed and being asked.
    tasks.filter_map(|task| comm(task).ok()).filter(|comm| comm.trim_end() == name).count()
}

/// Waits until no thread has this name. One that was joined may still be listed for a moment.
async fn none_is_named(name: &str) {
    while threads_named(name) > 0 {
        tokio::task::yield_now().await;
    }
}

/// Waits for the engine's thread without holding up the servers of the test.
async fn joined(engine: &Engine, timeout: Duration) -> bool {
    let engine = engine.clone();
    tokio::task::spawn_blocking(move || engine.join(Some(timeout))).await.expect("no panic")
}

#[test]
fn channels_start_no_thread_and_all_calls_of_an_engine_share_one() {
    run(async {
        let engine = engine("ls-one-thread");
        let servers = [Server::start(), Server::start()];
        let channels = [channel_on(&engine, &servers[0]), channel_on(&engine, &servers[1])];
        assert_eq!(threads_named("ls-one-thread"), 0);
        let calls = channels.each_ref().map(call);
        for server in &servers {
            server.accept().await.request().await.reset(h2::Reason::CANCEL);
        }
        for call in calls {
            call.await.expect("no panic").expect_err("reset, or the connection's end");
        }
        assert_eq!(threads_named("ls-one-thread"), 1);
        let metrics = engine.metrics();
        assert_eq!((metrics.channels, metrics.calls_started, metrics.connects), (2, 2, 2));
    });
}

#[test]
fn shutting_down_at_once_cancels_calls_and_leaves_no_thread() {
    run(async {
        let engine = engine("ls-shutdown");
        let server = Server::start();
        let channel = channel_on(&engine, &server);
        let running = call(&channel);
        let mut connection = server.accept().await;
        let _request = connection.request().await;
        assert_eq!(threads_named("ls-shutdown"), 1);

        engine.shutdown(Some(Duration::ZERO));
        failure(running, Code::Cancelled).await;
        assert_eq!(channel.state(false), State::Shutdown);
        assert!(joined(&engine, GUARD).await);
        none_is_named("ls-shutdown").await;

        assert!(engine.is_shut_down());
        let target = format!("ipv4:{}", server.address());
        let refused = Channel::on(&engine, &target, &Credentials::insecure(), &ChannelOptions::new());
        assert_eq!(refused.expect_err("shut down").kind(), ErrorKind::Closed);
        let (reply, events) = events();
        let refused = channel.start_unary(CallRequest::new(METHOD), reply).expect_err("shut down");
        assert_eq!(refused.kind(), ErrorKind::Closed);
        events.are_over().await;
    });
}

#[test]
fn shutting_down_with_grace_waits_for_running_calls() {
    run(async {
        let engine = engine("ls-grace");
        let server = Server::start();
        let channel = channel_on(&engine, &server);
        let running = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        engine.shutdown(None);
        assert!(!joined(&engine, Duration::from_millis(1)).await);
        request.answer(b"finished");
        assert_eq!(response(running).await.message, "finished");
        assert!(joined(&engine, GUARD).await);
        none_is_named("ls-grace").await;
    });
}

#[test]
fn an_engine_nobody_used_is_shut_down_at_once() {
    let engine = engine("ls-unused");
    engine.shutdown(None);
    assert!(engine.join(Some(Duration::ZERO)));
}

/// The hooks run on the thread, first and last; so they tell when it comes and goes.
#[test]
fn the_thread_ends_some_time_after_the_last_channel_and_starts_again_with_the_next_use() {
    run(async {
        let (sender, mut life) = mpsc::channel(10);
        let hook = |what: &'static str| {
            let sender = sender.clone();
            let name = || std::thread::current().name().unwrap_or_default().to_owned();
            let hook: linkspan_core::ThreadHook = Arc::new(move || sender.try_send((what, name())).expect("room"));
            Some(hook)
        };
        let engine = Engine::new(EngineOptions {
            thread_name: "ls-comes-again".to_owned(),
            thread_start: hook("starts"),
            thread_stop: hook("stops"),
        })
        .expect("an engine");
        let server = Server::start();
        for _ in 0..2 {
            let channel = channel_on(&engine, &server);
            let call = call(&channel);
            let mut connection = server.accept().await;
            connection.request().await.answer(b"");
            response(call).await;
            assert_eq!(life.recv().await.expect("told"), ("starts", "ls-comes-again".to_owned()));
            drop(channel);
            assert_eq!(life.recv().await.expect("told"), ("stops", "ls-comes-again".to_owned()));
        }
        assert!(joined(&engine, GUARD).await);
        none_is_named("ls-comes-again").await;
    });
}

#[test]
fn a_panic_in_a_completion_ends_there_and_the_engine_goes_on() {
    run(async {
        let engine = engine("ls-panic");
        let server = Server::start();
        let channel = channel_on(&engine, &server);
        let panicking = linkspan_core::Reply::callback(|_| panic!("a host's mistake"));
        channel.start_unary(CallRequest::new(METHOD), panicking).expect("a call");
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        let (reply, mut events) = events();
        channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
        connection.request().await.answer(b"after it");
        let Event::Unary(end) = events.next().await else { panic!("another event") };
        assert_eq!(end.message.expect("a message"), "after it");
        assert_eq!(engine.metrics().calls_ok, 2);
    });
}

#[test]
fn shutting_down_ends_calls_whose_channels_nobody_holds_any_more() {
    run(async {
        let engine = engine("ls-forsaken");
        let server = Server::start();
        let channels = [channel_on(&engine, &server), channel_on(&engine, &server)];
        let mut ends = Vec::new();
        let mut held = Vec::new();
        for channel in &channels {
            let (reply, ended) = events();
            channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
            let mut connection = server.accept().await;
            held.push((connection.request().await, connection));
            ends.push(ended);
        }
        let [dropped, closed] = channels;
        drop(dropped);
        closed.close(None);
        engine.shutdown(Some(Duration::ZERO));
        for mut ended in ends {
            let Event::Unary(end) = ended.next().await else { panic!("another event") };
            assert_eq!(end.end.status.code(), Code::Cancelled);
        }
        assert!(joined(&engine, GUARD).await);
    });
}

#[test]
fn a_panic_in_a_thread_hook_ends_there() {
    run(async {
        let hook: linkspan_core::ThreadHook = Arc::new(|| panic!("a host's mistake"));
        let (thread_start, thread_stop) = (Some(Arc::clone(&hook)), Some(hook));
        let options = EngineOptions { thread_name: "ls-hook".to_owned(), thread_start, thread_stop };
        let engine = Engine::new(options).expect("an engine");
        let server = Server::start();
        let channel = channel_on(&engine, &server);
        let call = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(call).await;
        engine.shutdown(Some(Duration::ZERO));
        assert!(joined(&engine, GUARD).await);
    });
}

/// The logger is the process's; this one minds only the lines about this test's server.
#[test]
fn a_panic_in_the_logger_ends_there() {
    run(async {
        let server = Server::start();
        let address = server.address();
        linkspan_core::set_logger(Some(Box::new(move |_, _, text| {
            assert!(!text.contains(&address), "a host's mistake");
        })));
        let channel = channel_on(&engine("ls-logger"), &server);
        let call = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(call).await;
        linkspan_core::set_logger(None);
        assert_eq!(channel.state(false), State::Ready);
    });
}

#[test]
fn everybody_who_joins_an_engine_waits_for_the_same_end() {
    run(async {
        let engine = engine("ls-joined-twice");
        let server = Server::start();
        let channel = channel_on(&engine, &server);
        let running = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        engine.shutdown(None);
        let joins = [0; 3].map(|_| {
            let engine = engine.clone();
            tokio::task::spawn_blocking(move || (engine.join(Some(GUARD)), threads_named("ls-joined-twice")))
        });
        request.answer(b"");
        response(running).await;
        for join in joins {
            assert_eq!(join.await.expect("no panic"), (true, 0));
        }
    });
}
