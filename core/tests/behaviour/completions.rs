//! Completion queues under real calls: one bell per batch, every completion once, places kept.

use std::sync::Arc;
use std::time::Duration;

use linkspan_core::{CallRequest, Channel, Completion, CompletionQueue, ErrorKind, Event, Reply, State, Waited};
use tokio::sync::mpsc;

use crate::peer::client::{METHOD, call, channel, response};
use crate::peer::run;
use crate::peer::server::{Connection, Server};

/// A queue's bell, as the sound of it.
fn bell(queue: &CompletionQueue) -> mpsc::Receiver<()> {
    let (sender, rings) = mpsc::channel(1_000);
    queue.set_bell(Some(Box::new(move || sender.try_send(()).expect("the test listens"))));
    rings
}

fn start(channel: &Channel, queue: &Arc<CompletionQueue>, tag: u64) -> Result<(), linkspan_core::Error> {
    channel.start_unary(CallRequest::new(METHOD), Reply::queue(queue, tag)).map(drop)
}

async fn answer(connection: &mut Connection, requests: usize) {
    for _ in 0..requests {
        connection.request().await.answer(b"");
    }
}

/// Calls there and back that are answered after all others: what those had to deliver is delivered. Two, because what a turn of the loop
/// completes is delivered at its end, and the first may end in the same turn.
async fn round_trip(channel: &Channel, connection: &mut Connection) {
    for _ in 0..2 {
        let call = call(channel);
        answer(connection, 1).await;
        response(call).await;
    }
}

fn tags(completions: &[Completion]) -> Vec<u64> {
    let mut tags: Vec<_> = completions.iter().map(|completion| completion.tag).collect();
    tags.sort_unstable();
    tags
}

#[test]
fn ten_calls_that_end_before_anybody_looks_ring_one_bell() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let queue = CompletionQueue::new(100);
        let mut rings = bell(&queue);
        (0..10).for_each(|tag| start(&channel, &queue, tag).expect("room"));
        let mut connection = server.accept().await;
        answer(&mut connection, 10).await;
        round_trip(&channel, &mut connection).await;
        assert_eq!(queue.len(), 10);
        rings.recv().await.expect("a ring");
        assert!(rings.is_empty(), "one bell for the batch");

        let mut taken = Vec::new();
        assert_eq!(queue.drain(&mut taken, 4), 4);
        assert_eq!(queue.drain(&mut taken, 100), 6);
        assert_eq!(tags(&taken), (0..10).collect::<Vec<_>>());
        assert!(
            taken.iter().all(|completion| matches!(&completion.event, Event::Unary(end) if end.end.status.is_ok()))
        );

        start(&channel, &queue, 10).expect("room");
        answer(&mut connection, 1).await;
        rings.recv().await.expect("a ring for the next batch");
        assert_eq!(queue.len(), 1);
    });
}

#[test]
fn a_consumer_that_drains_at_each_bell_gets_every_completion_once() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let queue = CompletionQueue::new(1_000);
        let mut rings = bell(&queue);
        (0..500).for_each(|tag| start(&channel, &queue, tag).expect("room"));
        let mut connection = server.accept().await;
        crate::peer::beside(async move {
            answer(&mut connection, 500).await;
            connection.closed_by_client().await;
        });
        let mut taken = Vec::new();
        while taken.len() < 500 {
            rings.recv().await.expect("a ring");
            while queue.drain(&mut taken, 64) > 0 {}
        }
        assert_eq!(tags(&taken), (0..500).collect::<Vec<_>>());
        assert!(queue.is_empty());
    });
}

#[test]
fn running_operations_count_towards_the_limit_and_a_refused_one_never_completes() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let queue = CompletionQueue::new(2);
        (0..2).for_each(|tag| start(&channel, &queue, tag).expect("room"));
        let refused = start(&channel, &queue, 2).expect_err("full");
        assert_eq!(refused.kind(), ErrorKind::Limit);
        assert_eq!(channel.metrics().calls_started, 2);
        let watch = channel.watch(State::Idle, None, Reply::queue(&queue, 3)).expect_err("full for watches too");
        assert_eq!(watch.kind(), ErrorKind::Limit);

        let mut connection = server.accept().await;
        answer(&mut connection, 2).await;
        round_trip(&channel, &mut connection).await;
        let mut taken = Vec::new();
        queue.drain(&mut taken, 10);
        assert_eq!(tags(&taken), [0, 1]);
        start(&channel, &queue, 4).expect("room again");
    });
}

#[test]
fn a_thread_that_waits_gets_completions_wakes_and_the_close() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let queue = CompletionQueue::new(10);
        let waiting = |queue: &Arc<CompletionQueue>| {
            let queue = Arc::clone(queue);
            tokio::task::spawn_blocking(move || {
                let mut taken = Vec::new();
                (queue.wait(&mut taken, 10, Some(Duration::from_secs(60))), tags(&taken))
            })
        };
        let waited = waiting(&queue);
        start(&channel, &queue, 7).expect("room");
        let mut connection = server.accept().await;
        answer(&mut connection, 1).await;
        assert_eq!(waited.await.expect("no panic"), (Waited::Ready(1), vec![7]));
        let waited = waiting(&queue);
        queue.wake();
        assert_eq!(waited.await.expect("no panic").0, Waited::Woken);
        let waited = waiting(&queue);
        queue.close();
        assert_eq!(waited.await.expect("no panic").0, Waited::Closed);
    });
}

#[test]
fn a_queue_closed_under_running_calls_lets_them_end_unheard_and_refuses_new_ones() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let queue = CompletionQueue::new(10);
        start(&channel, &queue, 0).expect("room");
        let mut connection = server.accept().await;
        let request = connection.request().await;
        queue.close();
        request.answer(b"");
        round_trip(&channel, &mut connection).await;
        assert!(queue.is_empty());
        assert_eq!(channel.metrics().calls_succeeded, 3);
        assert_eq!(start(&channel, &queue, 1).expect_err("closed").kind(), ErrorKind::Closed);
    });
}

#[test]
fn calls_of_a_batch_start_when_it_is_dropped_at_the_latest() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let batch = channel.batch();
        let calls = [call(&channel), call(&channel)];
        let nested = channel.batch();
        drop(batch);
        drop(nested);
        let mut connection = server.accept().await;
        for _ in 0..calls.len() {
            connection.request().await.answer(b"done");
        }
        for call in calls {
            assert_eq!(response(call).await.message, "done");
        }
    });
}
