//! Programs whose instructions are counted: so many unary calls, in memory, on one thread; and so many picks.
//!
//! `tests/bench/budget.py` runs them under callgrind with N and with 2 N calls; the difference, divided by N, is what one call
//! costs. As tests they only check that the calls succeed.

mod picks;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use tokio::sync::Notify;

use super::completion::{CompletionQueue, Event, Reply};
use super::face::CallOptions;
use super::handle::{Channel, Engine, EngineOptions};
use super::run;
use crate::call::CallRequest;
use crate::channel::options::ChannelOptions;
use crate::runtime::Driver as _;
use crate::runtime::environment;
use crate::runtime::memory::MemoryDriver;
use crate::transport::credentials::Credentials;

const METHOD: &str = "/linkspan.bench.Echo/Unary";
const MESSAGE: &[u8] = &[b'x'; 64];

#[test]
fn unary_on_the_loop() {
    on_the_loop(environment::budget_calls().unwrap_or(100), 1);
}

#[test]
fn unary_on_the_loop_16_in_flight() {
    on_the_loop(environment::budget_calls().unwrap_or(100), 16);
}

#[test]
fn unary_by_a_queue() {
    by_a_queue(environment::budget_calls().unwrap_or(100), 1);
}

#[test]
fn unary_by_a_queue_16_in_flight() {
    by_a_queue(environment::budget_calls().unwrap_or(100), 16);
}

fn engine_and_channel() -> (Engine, Channel) {
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let channel = Channel::on(&engine, "ipv4:127.0.0.1:1", &Credentials::insecure(), &ChannelOptions::new());
    engine.queue().serve_by_hand();
    (engine, channel.expect("a channel"))
}

fn on_the_loop(calls: usize, in_flight: usize) {
    let (engine, channel) = engine_and_channel();
    // Shared with tasks that could run on another thread, and do not.
    let (left, callers, over) =
        (Arc::new(AtomicUsize::new(calls)), Arc::new(AtomicUsize::new(in_flight)), Notify::new());
    let over = Arc::new(over);
    MemoryDriver::run(|driver| async move {
        driver.spawn(run::run(driver.clone(), Arc::clone(engine.queue())));
        for _ in 0..in_flight {
            let (channel, left, callers, told) = (channel.clone(), left.clone(), callers.clone(), over.clone());
            let ran = engine.run_on_loop(move |on_loop| async move {
                let channel = on_loop.channel(&channel).expect("an open channel");
                while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let answer = channel.unary(METHOD, MESSAGE, CallOptions::default()).await.expect("OK");
                    assert_eq!(answer.message, MESSAGE);
                }
                if callers.fetch_sub(1, Relaxed) == 1 {
                    told.notify_one();
                }
            });
            ran.expect("accepted");
        }
        over.notified().await;
    });
}

fn by_a_queue(calls: usize, in_flight: usize) {
    let (engine, channel) = engine_and_channel();
    let queue = CompletionQueue::new(in_flight);
    let rung = Arc::new(Notify::new());
    let bell = Arc::clone(&rung);
    queue.set_bell(Some(Box::new(move || bell.notify_one())));
    let replies = Arc::clone(&queue);
    let start = move || {
        let message = Some(Bytes::from_static(MESSAGE));
        let request = CallRequest { message, ..CallRequest::new(METHOD) };
        channel.start_unary(request, Reply::queue(&replies, 0)).expect("accepted");
    };
    MemoryDriver::run(|driver| async move {
        driver.spawn(run::run(driver.clone(), Arc::clone(engine.queue())));
        (0..in_flight).for_each(|_| start());
        let (mut done, mut started, mut taken) = (0, in_flight, Vec::new());
        while done < calls {
            rung.notified().await;
            queue.drain(&mut taken, in_flight);
            for completion in taken.drain(..) {
                let Event::Unary(end) = completion.event else { panic!("a unary call has one event") };
                assert_eq!(end.message.expect("OK"), MESSAGE);
                done += 1;
                if started < calls {
                    started += 1;
                    start();
                }
            }
        }
    });
}
