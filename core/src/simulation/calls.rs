//! The calls of a world, as their callers see them: what was asked for, and every end that was reported.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::world::World;
use super::{STREAM, UNARY, message, message_id};
use crate::call::{CallEnd, CallRequest, Timeout};
use crate::engine::completion::{Event, Reply};
use crate::engine::{CallHandle, Channel};
use crate::metadata::Metadata;
use crate::observe::trail::Sent;
use crate::runtime::Driver;
use crate::runtime::simulated::{Journal, Now};
use crate::status::Code;
use crate::time::Time;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_ready: bool,
    pub(crate) size: usize,
    /// A unary call with none; a stream with that many messages.
    pub(crate) messages: Option<u32>,
    /// What the header [`KEY`] says.
    pub(crate) key: Option<u8>,
    pub(crate) no_retry: bool,
    pub(crate) idempotent: bool,
}

/// The name of a header.
pub(crate) const KEY: &str = "x-key";

impl Plan {
    /// Nothing out of the way, and no deadline.
    pub(crate) const NONE: Self = Self {
        timeout: None,
        wait_for_ready: false,
        size: 16,
        messages: None,
        key: None,
        no_retry: false,
        idempotent: false,
    };
}

impl Default for Plan {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(10)), ..Self::NONE }
    }
}

/// One call.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) plan: Plan,
    pub(crate) started: Time,
    /// When the caller cancelled.
    cancelled: RefCell<Option<Time>>,
    handle: CallHandle,
    reported: Arc<Reported>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) at: Time,
    pub(crate) code: Code,
    pub(crate) text: String,
    /// The address of the server it reached.
    pub(crate) peer: Option<Arc<str>>,
    pub(crate) sent: Sent,
    pub(crate) attempts: u32,
    pub(crate) is_local: bool,
    /// Whether the answers are those to its messages.
    pub(crate) is_right: bool,
}

/// Filled by the callback, which could run on any thread.
struct Reported {
    now: Now,
    journal: Journal,
    state: Mutex<State>,
    ended: Notify,
    /// For the one who drives a stream: a message came, or the end.
    progressed: Notify,
}

#[derive(Default)]
struct State {
    ends: Vec<End>,
    /// Messages of a stream that came back, and whether all were in order.
    received: u32,
    is_out_of_order: bool,
}

impl Call {
    pub(crate) fn ends(&self) -> Vec<End> {
        self.reported.with(|state| state.ends.clone())
    }

    /// Waits for the first end.
    pub(crate) async fn end(&self) -> End {
        loop {
            if let Some(end) = self.reported.with(|state| state.ends.first().cloned()) {
                return end;
            }
            self.reported.ended.notified().await;
        }
    }

    pub(crate) fn cancel(&self, now: Time) {
        self.cancelled.borrow_mut().get_or_insert(now);
        self.handle.cancel(Code::Cancelled, "the caller has lost interest");
    }

    pub(crate) fn was_cancelled(&self) -> bool {
        self.cancelled.borrow().is_some()
    }
}

impl Reported {
    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn on_end(&self, id: u64, end: &CallEnd, is_right: bool) {
        let code = end.status.code();
        self.journal.note(format_args!("call {id} ends {code:?} {:?}: {}", end.sent, end.status.message()));
        let text = end.status.message().to_owned();
        let (at, peer, sent, attempts) = (self.now.time(), end.peer.clone(), end.sent, end.attempts);
        let is_local = end.local;
        self.with(|state| state.ends.push(End { at, code, text, peer, sent, attempts, is_local, is_right }));
        self.ended.notify_one();
        self.progressed.notify_one();
    }

    fn on_message(&self, id: u64, received: &Bytes, plan: Plan) {
        self.with(|state| {
            state.is_out_of_order |= *received != stream_message(id, state.received, plan.size);
            state.received += 1;
        });
        self.progressed.notify_one();
    }
}

/// The n-th message of a stream; the first has its id.
fn stream_message(id: u64, number: u32, size: usize) -> Bytes {
    message(if number == 0 { id } else { u64::from(number) }, size)
}

impl World {
    /// Starts a call.
    ///
    /// # Panics
    /// The engine refuses to take it, or its loop is over: another would be started on a thread.
    pub(crate) fn call(&self, channel: &Channel, plan: Plan) -> Rc<Call> {
        assert!(!self.loop_is_over(), "the loop has ended while there were channels");
        let id = self.next_call();
        let reported = Arc::new(Reported {
            now: self.driver().clock().reader(),
            journal: self.driver().journal().clone(),
            state: Mutex::default(),
            ended: Notify::new(),
            progressed: Notify::new(),
        });
        let started = self.driver().now();
        let kind = if plan.messages.is_some() { "stream" } else { "call" };
        self.driver().journal().note(format_args!(
            "{kind} {id} starts, timeout {:?}, wait for ready {}",
            plan.timeout, plan.wait_for_ready
        ));
        let handle = match plan.messages {
            None => start_unary(channel, id, plan, &reported),
            Some(_) => start_stream(channel, id, plan, &reported),
        };
        let cancelled = RefCell::default();
        let call = Rc::new(Call { id, plan, started, cancelled, handle, reported });
        if let Some(messages) = plan.messages {
            self.driver().spawn(drive_stream(Rc::clone(&call), messages));
        }
        self.add_call(&call);
        call
    }
}

fn request(method: &str, plan: Plan) -> CallRequest {
    let mut metadata = Metadata::new();
    if let Some(key) = plan.key {
        metadata.append(KEY, key.to_string()).expect("good metadata");
    }
    CallRequest {
        metadata,
        timeout: plan.timeout.map_or(Timeout::None, Timeout::After),
        wait_for_ready: Some(plan.wait_for_ready),
        no_retry: plan.no_retry,
        idempotent: plan.idempotent,
        ..CallRequest::new(method)
    }
}

fn start_unary(channel: &Channel, id: u64, plan: Plan, reported: &Arc<Reported>) -> CallHandle {
    let sent = message(id, plan.size);
    let request = CallRequest { message: Some(sent.clone()), ..request(UNARY, plan) };
    let reported = Arc::clone(reported);
    let reply = Reply::callback(move |event| {
        let Event::Unary(end) = event else { panic!("a unary call has one event") };
        let is_right = end.message.as_ref().is_none_or(|message| *message == sent && message_id(message) == id);
        reported.on_end(id, &end.end, is_right);
    });
    channel.start_unary(request, reply).expect("taken")
}

fn start_stream(channel: &Channel, id: u64, plan: Plan, reported: &Arc<Reported>) -> CallHandle {
    let request = CallRequest { read_credit: 1, ..request(STREAM, plan) };
    let reported = Arc::clone(reported);
    let reply = Reply::callback(move |event| match event {
        Event::Message(message) => reported.on_message(id, &message, plan),
        Event::Status(end) => {
            let (received, is_out_of_order) = reported.with(|state| (state.received, state.is_out_of_order));
            let is_whole = !end.status.is_ok() || Some(received) == plan.messages;
            reported.on_end(id, &end, is_whole && !is_out_of_order);
        }
        Event::Headers { .. } | Event::Writable => {}
        Event::Unary(_) | Event::Connectivity { .. } => panic!("not an event of a stream"),
    });
    channel.start_stream(request, reply).expect("taken")
}

/// Sends the next message when the one before came back; half-closes after the last.
async fn drive_stream(call: Rc<Call>, messages: u32) {
    for number in 0..messages {
        let is_last = number + 1 == messages;
        if call.handle.send(stream_message(call.id, number, call.plan.size), is_last).is_err() {
            return;
        }
        loop {
            let (received, is_over) = call.reported.with(|state| (state.received, !state.ends.is_empty()));
            if is_over {
                return;
            }
            if received > number {
                break;
            }
            call.reported.progressed.notified().await;
        }
        call.handle.read(1);
    }
}
