//! Tasks of the host's on an engine's loop.

use std::time::Duration;

use linkspan_core::{
    CallError, CallOptions, Channel, ChannelOptions, Code, Credentials, Engine, EngineOptions, ErrorKind, LoopChannel,
    State,
};
use tokio::sync::oneshot;

use crate::peer::client::METHOD;
use crate::peer::server::Server;
use crate::peer::{GUARD, run};

fn engine() -> Engine {
    Engine::new(EngineOptions::default()).expect("an engine")
}

fn channel_on(engine: &Engine, server: &Server) -> Channel {
    let target = format!("ipv4:{}", server.address());
    Channel::on(engine, &target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel")
}

/// Runs a task on the loop and waits for what it returns.
fn on_loop<T: Send + 'static, F: Future<Output = T> + 'static>(
    engine: &Engine,
    channel: &Channel,
    task: impl FnOnce(LoopChannel) -> F + Send + 'static,
) -> oneshot::Receiver<T> {
    let (told, answer) = oneshot::channel();
    let channel = channel.clone();
    let ran = engine.run_on_loop(move |on_loop| async move {
        let channel = on_loop.channel(&channel).expect("an open channel of this engine");
        let _ = told.send(task(channel).await);
    });
    ran.expect("accepted");
    answer
}

async fn joined(engine: &Engine) -> bool {
    let engine = engine.clone();
    tokio::task::spawn_blocking(move || engine.join(Some(GUARD))).await.expect("no panic")
}

#[test]
fn a_call_from_the_loop_is_a_call_as_any_other() {
    run(async {
        let (engine, server) = (engine(), Server::start());
        let channel = channel_on(&engine, &server);
        let call = on_loop(&engine, &channel, |channel| async move {
            channel.unary(METHOD, "hello", CallOptions::default()).await
        });
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(request.message().await.expect("a message"), "hello");
        request.answer(b"world");
        let response = call.await.expect("told").expect("OK");
        assert_eq!(response.message, "world");
        assert_eq!(&*response.peer, server.address());
        let metrics = channel.metrics();
        assert_eq!((metrics.calls_started, metrics.calls_succeeded, metrics.calls_in_flight), (1, 1, 0));
    });
}

#[test]
fn dropping_a_call_on_the_loop_resets_its_stream_and_counts_as_cancelled() {
    run(async {
        let (engine, server) = (engine(), Server::start());
        let channel = channel_on(&engine, &server);
        let (drop_it, dropped) = oneshot::channel::<()>();
        let call = on_loop(&engine, &channel, |channel| async move {
            tokio::select! {
                answer = channel.unary(METHOD, "hello", CallOptions::default()) => panic!("answered: {answer:?}"),
                _ = dropped => {}
            }
        });
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        drop_it.send(()).expect("waited for");
        call.await.expect("told");
        assert_eq!(request.reset_by_client().await, h2::Reason::CANCEL);
        let metrics = channel.metrics();
        assert_eq!(metrics.by_code[usize::try_from(Code::Cancelled.number()).expect("a code")], 1);
        assert_eq!(metrics.calls_in_flight, 0);
    });
}

#[test]
fn closing_the_channel_cancels_its_calls_on_the_loop_and_refuses_new_ones() {
    run(async {
        let (engine, server) = (engine(), Server::start());
        let channel = channel_on(&engine, &server);
        let calls = on_loop(&engine, &channel, |channel| async move {
            let first = channel.unary(METHOD, "hello", CallOptions::default()).await;
            (first, channel.unary(METHOD, "hello", CallOptions::default()).await)
        });
        let mut connection = server.accept().await;
        let _request = connection.request().await;
        channel.close(Some(Duration::ZERO));
        let (first, second) = calls.await.expect("told");
        assert_eq!(first.expect_err("cancelled").rpc().expect("a call").code(), Code::Cancelled);
        let CallError::Refused(refused) = second.expect_err("refused") else { panic!("the call was made") };
        assert_eq!(refused.kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_closed_channel_and_one_of_another_engine_are_refused() {
    run(async {
        let (engine, other, server) = (engine(), engine(), Server::start());
        let (closed, foreign) = (channel_on(&engine, &server), channel_on(&other, &server));
        closed.close(None);
        let (told, kinds) = oneshot::channel();
        let ran = engine.run_on_loop(move |on_loop| async move {
            let refusals = [&closed, &foreign].map(|channel| on_loop.channel(channel).expect_err("refused").kind());
            let _ = told.send(refusals);
        });
        ran.expect("accepted");
        assert_eq!(kinds.await.expect("told"), [ErrorKind::Closed, ErrorKind::State]);
    });
}

#[test]
fn a_panic_ends_its_task_and_neither_the_loop_nor_other_tasks() {
    run(async {
        let (engine, server) = (engine(), Server::start());
        let channel = channel_on(&engine, &server);
        engine.run_on_loop(|_| async { panic!("the host's") }).expect("accepted");
        engine.run_on_loop(|_| -> std::future::Ready<()> { panic!("the host's") }).expect("accepted");
        let state = on_loop(&engine, &channel, |channel| async move { channel.channel().state(false) });
        assert_eq!(state.await.expect("told"), State::Idle);
    });
}

#[test]
fn the_engines_end_drops_tasks_that_would_never_end_and_an_idle_one_waits_for_its_tasks() {
    run(async {
        let engine = engine();
        let (held, dropped) = oneshot::channel::<()>();
        let endless = engine.run_on_loop(|_| async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        endless.expect("accepted");
        assert!(!engine.join(Some(Duration::ZERO)), "a task runs");
        engine.shutdown(Some(Duration::ZERO));
        dropped.await.expect_err("dropped unused");
        assert!(joined(&engine).await);
        let refused = engine.run_on_loop(|_| async {}).expect_err("shut down");
        assert_eq!(refused.kind(), ErrorKind::Closed);
    });
}

#[test]
fn a_channel_nobody_used_before_the_engines_end_is_not_opened_by_a_task_after_it() {
    run(async {
        let (engine, server) = (engine(), Server::start());
        let (used, unused) = (channel_on(&engine, &server), channel_on(&engine, &server));
        let (go, may_go) = oneshot::channel::<()>();
        let (told, refused) = oneshot::channel();
        let held = unused.clone();
        let ran = engine.run_on_loop(move |on_loop| async move {
            may_go.await.expect("told");
            let _ = told.send(on_loop.channel(&held).expect_err("refused").kind());
        });
        ran.expect("accepted");
        engine.shutdown(None);
        go.send(()).expect("waited for");
        assert_eq!(refused.await.expect("told"), ErrorKind::Closed);
        assert!(joined(&engine).await);
        drop((used, unused));
    });
}
