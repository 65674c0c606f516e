//! One connection of a server, from its preface to its end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::sync::Notify;

use super::wire::{Control, Wire};
use super::{Inner, answering};
use crate::runtime::simulated::SimulatedSocket;
use crate::runtime::{Driver, Task, sleep_until};
use crate::time::Time;

/// What a connection is told by its server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Goodbye,
    Cut,
    Limit(u32),
}

/// The orders that wait.
#[derive(Default)]
pub(super) struct Orders {
    waiting: RefCell<VecDeque<Order>>,
    given: Notify,
}

impl Orders {
    pub(super) fn give(&self, order: Order) {
        self.waiting.borrow_mut().push_back(order);
        self.given.notify_one();
    }

    async fn next(&self) -> Order {
        loop {
            if let Some(order) = self.waiting.borrow_mut().pop_front() {
                return order;
            }
            self.given.notified().await;
        }
    }
}

/// What the calls of a connection tell it.
pub(super) struct Calls {
    control: Rc<Control>,
    idle_since: Cell<Time>,
    ended: Notify,
}

/// One open call.
pub(super) struct OpenCall {
    server: Rc<Inner>,
    calls: Rc<Calls>,
}

impl OpenCall {
    fn enter(server: &Rc<Inner>, calls: &Rc<Calls>) -> Self {
        calls.control.calls.set(calls.control.calls.get() + 1);
        Self { server: Rc::clone(server), calls: Rc::clone(calls) }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let left = self.calls.control.calls.get() - 1;
        self.calls.control.calls.set(left);
        if left == 0 {
            self.calls.idle_since.set(self.server.driver.now());
            self.calls.ended.notify_one();
        }
    }
}

/// Large enough not to matter.
const WINDOW: u32 = 1 << 24;

pub(super) async fn serve(server: &Rc<Inner>, socket: SimulatedSocket, orders: &Orders, number: usize) {
    let script = server.script.borrow().clone();
    let driver = &server.driver;
    driver.sleep(script.settings_after).await;
    let control = Control::new(server);
    let wire = Wire::new(socket, Rc::clone(server), Rc::clone(&control));
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        // What is cancelled is remembered by the real clock; by count, it is the same each time.
        .max_concurrent_reset_streams(10_000)
        .max_pending_accept_reset_streams(10_000)
        .max_local_error_reset_streams(None)
        .reset_stream_duration(Duration::from_secs(3600));
    if let Some(limit) = server.script.borrow().max_streams {
        // Not by the library, which would refuse what is above the first limit for ever.
        control.announce_limit(limit);
    }
    let Ok(mut http2) = builder.handshake::<_, Bytes>(wire).await else { return };

    let calls = Rc::new(Calls { control, idle_since: Cell::new(driver.now()), ended: Notify::new() });
    let mut old_at = script.max_age.map(|(age, _)| driver.now() + age.mul_f64(0.9 + 0.2 * server.random.unit()));
    let mut cut_at = None;
    let mut is_leaving = false;
    let mut answering = Vec::new();
    loop {
        let is_idle = calls.control.calls.get() == 0 && !is_leaving;
        let idle_at = script.max_idle.filter(|_| is_idle).map(|length| calls.idle_since.get() + length);
        let next = [old_at, idle_at, cut_at].into_iter().flatten().min();
        tokio::select! {
            biased;
            order = orders.next() => match order {
                Order::Goodbye => {
                    is_leaving = true;
                    http2.graceful_shutdown();
                }
                Order::Cut => http2.abrupt_shutdown(Reason::NO_ERROR),
                // The wire is polled with the connection.
                Order::Limit(limit) => calls.control.announce_limit(limit),
            },
            accepted = poll_fn(|cx| http2.poll_accept(cx)) => {
                let Some(Ok((request, respond))) = accepted else { break };
                let (server, open) = (Rc::clone(server), OpenCall::enter(server, &calls));
                answering.push(driver.spawn(async move {
                    answering::answer(&server, request, respond).await;
                    drop(open);
                }));
            }
            () = calls.ended.notified() => {}
            () = sleep_until(driver, next) => {
                let now = driver.now();
                if cut_at.is_some_and(|at| at <= now) {
                    server.note(format_args!("cuts connection {number}: its grace is over"));
                    break;
                }
                let is_old = old_at.is_some_and(|at| at <= now);
                server.note(format_args!("ends connection {number}: it is {}", if is_old { "old" } else { "idle" }));
                is_leaving = true;
                old_at = None;
                cut_at = script.max_age.filter(|_| is_old).and_then(|(_, grace)| Some(now + grace?));
                http2.graceful_shutdown();
            }
        }
    }
    drop(http2);
    answering.iter().for_each(Task::abort);
    server.note(format_args!("is done with connection {number}"));
}
